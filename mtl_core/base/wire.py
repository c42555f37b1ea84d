"""Values between our own processes, as JSON with arrays and tables behind it. No pickle: what a process made that read a stranger's file
can be no more than values, and records and errors of this program.

A frame is the length of its JSON (8 bytes), the JSON, and the bytes that it says come after.
"""

import io
import json
import struct
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import IO, Any

LARGEST = 512 << 20
"""Bytes of a frame that is read."""
_LENGTH = struct.Struct(">Q")
_OURS = ("mtl_core", "builtins")


class WireError(ValueError):
    """What came is no frame, or holds what may not come."""


def send(stream: IO[bytes], kind: str, value: Any) -> None:
    """Raises TypeError: a value that cannot be written; nothing is sent then. OSError: nobody reads any more."""
    stream.write(packed(kind, value))
    stream.flush()


def packed(kind: str, value: Any) -> bytes:
    """The frame. Raises TypeError: see `send`."""
    behind: list[bytes] = []
    plain = _plain(value, behind)
    head = json.dumps({"kind": kind, "value": plain, "behind": [len(part) for part in behind]}).encode()
    return b"".join([_LENGTH.pack(len(head)), head, *behind])


def receive(stream: IO[bytes]) -> tuple[str, Any]:
    """(kind, value) of the next frame. Raises EOFError: there is none; WireError: see there."""
    try:
        head = json.loads(_exactly(stream, _LENGTH.unpack(_exactly(stream, _LENGTH.size))[0]))
        sizes = [int(size) for size in head["behind"]]
        if sum(sizes) > LARGEST:
            raise WireError(f"A frame of {sum(sizes):,} bytes.")
        return str(head["kind"]), _value(head["value"], [_exactly(stream, size) for size in sizes])
    except EOFError:
        raise
    except Exception as error:
        raise WireError(f"{type(error).__name__}: {error}") from error


def _exactly(stream: IO[bytes], n: int) -> bytes:
    if not 0 <= n <= LARGEST:
        raise WireError(f"{n:,} bytes.")
    found = stream.read(n)
    if len(found) < n:
        raise EOFError
    return found


def _plain(value: Any, behind: list[bytes]) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, list):
        return [_plain(one, behind) for one in value]
    if isinstance(value, tuple | set | frozenset):
        return {type(value).__name__: [_plain(one, behind) for one in value]}
    if isinstance(value, Mapping):
        return {"dict": [[_plain(key, behind), _plain(one, behind)] for key, one in value.items()]}
    if isinstance(value, Path):
        return {"path": str(value)}
    if isinstance(value, datetime | date):
        return {type(value).__name__: value.isoformat()}
    if isinstance(value, Enum):
        return {"enum": _name(type(value)), "of": value.value}
    if isinstance(value, Exception):
        return {"error": _name(type(value)), "of": [_plain(one, behind) for one in value.__reduce__()[1]]}
    if is_dataclass(value) and not isinstance(value, type):
        of = {field.name: _plain(getattr(value, field.name), behind) for field in fields(value) if field.init}
        return {"record": _name(type(value)), "of": of}
    return _numbers(value, behind)


def _numbers(value: Any, behind: list[bytes]) -> Any:
    """Of numpy and Arrow, which only who has such values has loaded."""
    import numpy as np
    import pyarrow as pa

    if isinstance(value, np.generic):
        return _plain(value.item(), behind)
    target = io.BytesIO()
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        np.save(target, value, allow_pickle=False)
    elif isinstance(value, pa.Table):
        with pa.ipc.new_stream(target, value.schema) as writer:
            writer.write_table(value)
    else:
        raise TypeError(f"{type(value).__module__}.{type(value).__qualname__}")
    behind.append(target.getvalue())
    return {"array" if isinstance(value, np.ndarray) else "table": len(behind) - 1}


def _name(cls: type) -> str:
    if cls.__module__.split(".")[0] not in _OURS:
        raise TypeError(f"{cls.__module__}.{cls.__qualname__}")
    return f"{cls.__module__}:{cls.__qualname__}"


def _class(name: str, base: type | None) -> Any:
    """base: what it has to be; None: a dataclass."""
    module, _, qualified = name.partition(":")
    if module.split(".")[0] not in _OURS or module not in sys.modules:  # nothing is imported at the word of who sent it
        raise WireError(name)
    found: Any = sys.modules[module]
    for part in qualified.split("."):
        found = getattr(found, part)
    if not isinstance(found, type) or not (is_dataclass(found) if base is None else issubclass(found, base)):
        raise WireError(name)
    return found


def _value(plain: Any, behind: list[bytes]) -> Any:
    if isinstance(plain, list):
        return [_value(one, behind) for one in plain]
    if not isinstance(plain, dict):
        return plain
    what = next(iter(plain))
    if what == "dict":
        return {_value(key, behind): _value(one, behind) for key, one in plain[what]}
    if what in ("tuple", "set", "frozenset"):
        return {"tuple": tuple, "set": set, "frozenset": frozenset}[what](_value(plain[what], behind))
    if what == "path":
        return Path(plain[what])
    if what in ("datetime", "date"):
        return (datetime if what == "datetime" else date).fromisoformat(plain[what])
    if what == "enum":
        return _class(plain[what], Enum)(plain["of"])
    if what == "error":
        return _class(plain[what], Exception)(*_value(plain["of"], behind))
    if what == "record":
        return _class(plain[what], None)(**{name: _value(one, behind) for name, one in plain["of"].items()})
    if what == "array":
        import numpy as np

        return np.load(io.BytesIO(behind[plain[what]]), allow_pickle=False)
    if what == "table":
        import pyarrow as pa

        table = pa.ipc.open_stream(behind[plain[what]]).read_all()
        table.validate(full=True)
        return table
    raise WireError(what)
