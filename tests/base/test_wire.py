"""Values from process to process: the same on the other side, and nothing but values."""

import io
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mtl_core.api.looked import Looked, Proposal
from mtl_core.base.messages import listed, message
from mtl_core.base.wire import WireError, packed, receive
from mtl_core.base.workspace import Workspace
from mtl_core.data.problems import DataError, Problem, Severity


def there(value: Any) -> Any:
    kind, found = receive(io.BytesIO(packed("done", value)))
    assert kind == "done"
    return found


PROBLEM = Problem(Severity.WARNING, "code", message("Of {all}.", all=listed(["a", message("b")])), message(""), "t.csv", 3, "c", 2)


@pytest.mark.parametrize(
    "value",
    [
        None, True, 7, 1.5, "文 \ud800", [1, [2]], (1, ("a",)), {"a": 1, 2: (3,)}, {1, 2}, frozenset("ab"), Path("/a/b"),
        Workspace(Path("/w")),
        datetime(2024, 2, 29, 12, tzinfo=UTC), date(2024, 2, 29), Severity.ERROR, PROBLEM,
        Looked([PROBLEM], 3, ("a", "b"), "utf-8", (), pa.table({"a": ["x", None]}), [Proposal({"a": 1}, {"b": []}, False, PROBLEM.why)]),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_it_is_the_same_on_the_other_side(value: Any) -> None:
    found = there(value)
    assert found == value and type(found) is type(value)


def test_arrays_and_numbers_of_numpy() -> None:
    counts, edges = there((np.arange(3), np.array([0.5, np.nan])))
    np.testing.assert_array_equal(counts, [0, 1, 2])
    np.testing.assert_array_equal(edges, [0.5, np.nan])
    assert there(np.int64(3)) == 3 and there(np.float32(0.5)) == 0.5


def test_errors_of_ours_and_of_python() -> None:
    found = there(DataError([PROBLEM]))
    assert isinstance(found, DataError) and found.problems == [PROBLEM] and str(found) == str(DataError([PROBLEM]))
    assert repr(there(ValueError("a", 2))) == repr(ValueError("a", 2))


@pytest.mark.parametrize("value", [object(), np.array([{}]), json.JSONDecodeError("a", "b", 0), lambda: None])
def test_what_cannot_be_written_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        packed("done", value)


@pytest.mark.parametrize(
    "value",
    [
        {"record": "subprocess:Popen", "of": {"args": "true"}},
        {"record": "builtins:eval", "of": {}},
        {"record": "mtl_core.base.wire:Path", "of": {}},
        {"error": "builtins:exec", "of": ["1"]},
        {"error": "mtl_core.base.files:remove", "of": ["/"]},
        {"error": "builtins:SystemExit", "of": [1]},
        {"record": "mtl_core.__main__:main", "of": {}},
        {"enum": "mtl_core.base.workspace:Workspace", "of": "/"},
        {"record": "os.path:join", "of": {}},
        {"pickle": "gASVAAAA"},
        {},
    ],
)
def test_what_may_not_come_is_refused(value: Any) -> None:
    head = json.dumps({"kind": "done", "value": value, "behind": []}).encode()
    with pytest.raises(WireError):
        receive(io.BytesIO(len(head).to_bytes(8, "big") + head))


def test_no_frame_is_too_large_or_cut_off() -> None:
    with pytest.raises(WireError, match="bytes"):
        receive(io.BytesIO((1 << 40).to_bytes(8, "big")))
    head = json.dumps({"kind": "done", "value": {"table": 0}, "behind": [1 << 40]}).encode()
    with pytest.raises(WireError, match="bytes"):
        receive(io.BytesIO(len(head).to_bytes(8, "big") + head))
    whole = packed("done", pa.table({"a": [1]}))
    for n in (0, 4, 20, len(whole) - 1):
        with pytest.raises(EOFError):
            receive(io.BytesIO(whole[:n]))
