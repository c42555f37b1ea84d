"""A file as a table: CSV, TSV, JSON Lines or an array of JSON objects, Parquet, Excel, and .gz or .zip of one of them.

Everything wrong with it is reported at once.

Texts stay as they are (also cells that begin with `=`); what they mean (numbers, dates) is decided when columns are mapped to fields.
The file is read as a stream in chunks of rows, once: its bytes are checked and hashed on the way. What is not UTF-8, or has bytes that no
text has, is read again from its start: all of it for its encoding and faults, then for its rows.
"""

import gzip
import hashlib
import io
import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa

from mtl_core.base.apart import tell
from mtl_core.base.messages import N_, message
from mtl_core.data.csv_rows import read_csv
from mtl_core.data.encodings import BLANK, CHUNK, LimitError, NotPlainError, PlainText, Scan, check_ratio, scan
from mtl_core.data.excel_rows import read_xlsx
from mtl_core.data.findings import FileProblems, Limits, check_header, empty
from mtl_core.data.json_rows import read_jsonl
from mtl_core.data.parquet_rows import read_parquet
from mtl_core.data.places import LINE, PARTS, in_file
from mtl_core.data.problems import DataError, Problem, Severity, gathered, has_errors

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".pq": "parquet",
}
SUFFIXES = tuple(FORMATS) + tuple(f + packed for f in FORMATS for packed in (".gz", ".zip"))


_MAX_LINE_BYTES = 64 << 20
_UNPACKABLE = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Table:
    """table: columns of the file (CSV and JSONL: string or list<string>; null for empty) and `_line` (int64).

    problems: warnings and notes; a table with errors is never made. encoding, delimiter: None where the format has none.
    digests: SHA-256 of each file of the table, None where it was not read from its start to its end.
    """

    table: pa.Table
    problems: list[Problem]
    name: str
    encoding: str | None = None
    delimiter: str | None = None
    digests: tuple[str | None, ...] = (None,)


def read_files(
    path: Path,
    others: Mapping[str, Path],
    *,
    name: str | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
    read: Table | None = None,
) -> Table:
    """`read_table` of a table whose validation or test rows lie in files of their own; `LINE` says of each row which.

    path: of the training rows, or of all; others: part → its file; read: what `read_table` made of `path`, where that is at hand.
    Raises DataError: as `read_table`, or the files do not have the same columns; the problems of all files.
    """
    name = name or Path(path).name
    tables: dict[str, Table] = {}
    problems: list[Problem] = []
    if read:
        tables["train"] = replace(read, problems=[replace(problem, file=name) for problem in read.problems])
    for part, file in {"train": path, **others}.items():
        if part not in tables:
            try:
                called = name if part == "train" else f"{name}/{part}"
                tables[part] = read_table(file, name=called, encoding=encoding, sheet=sheet)
            except DataError as error:
                problems += error.problems
                continue
        problems += tables[part].problems
    if "train" in tables:
        for part in others.keys() & tables.keys():
            problems += _other_columns(tables["train"].table, tables[part], part)
    if has_errors(problems):
        raise DataError(problems)
    first = tables["train"]
    if not others:
        return first
    shifted = [_of_part(tables[part].table, part) for part in tables]
    table = pa.concat_tables(shifted, promote_options="permissive")
    return replace(first, table=table, problems=problems, name=name, digests=tuple(d for t in tables.values() for d in t.digests))


def _of_part(table: pa.Table, part: str) -> pa.Table:
    lines = in_file(table.column(LINE).to_numpy(), PARTS.index(part))
    return table.set_column(table.column_names.index(LINE), LINE, pa.array(lines))


def _other_columns(train: pa.Table, other: Table, part: str) -> list[Problem]:
    """What keeps the rows of another file from being put below those of the training file."""
    own, found = train.column_names, other.table.column_names
    remedy = message("Give all files of the table the same columns.")
    problems = []
    for code, names, text in (
        ("missing_columns", [c for c in own if c not in found], N_("The training file has columns that this file lacks: {columns}.")),
        ("additional_columns", [c for c in found if c not in own], N_("This file has columns that the training file lacks: {columns}.")),
    ):
        if names:
            why = message(text, columns=", ".join(names[:20]))
            problems.append(Problem(Severity.ERROR, code, why, remedy, other.name, 1, names[0], len(names)))
    for column in (c for c in own if c in found):
        types = train.schema.field(column), other.table.schema.field(column)
        try:
            common = pa.unify_schemas([pa.schema([field]) for field in types], promote_options="permissive").field(column).type
            for table in (train, other.table):
                table.column(column).cast(common)  # whole numbers beyond 2^53 are none of floating point
        except pa.ArrowException:
            first, second = (str(field.type) for field in types)
            why = message("The column holds {second}; in the training file it holds {first}.", first=first, second=second)
            problems.append(Problem(Severity.ERROR, "other_type", why, remedy, other.name, None, column))
    return problems


def read_table(
    path: Path, *, name: str | None = None, encoding: str | None = None, sheet: str | None = None, limits: Limits = Limits()
) -> Table:
    """Reads the file at `path`.

    name: how messages call the file (uploads are stored under generated names). encoding: what a person says that a text file is in;
    None: found out. sheet: of a workbook; None: the first.
    Raises DataError: the file is missing, empty, not what its name says, or has rows that cannot be read; all problems together.
    """
    path, name = Path(path), name or Path(path).name
    findings = FileProblems(name)
    form, packing = format_of(path)
    if form is None:
        why = message("The format of this file is not known.")
        remedy = message("Use one of {suffixes}, or .gz or .zip of one of them; save others as CSV.", suffixes=", ".join(FORMATS))
        raise DataError([Problem(Severity.ERROR, "unknown_format", why, remedy, name)])
    if not _is_file(path):
        raise DataError([Problem(Severity.ERROR, "file_missing", message("There is no such file."), message("Check the path."), name)])
    chosen = encoding
    encoding = delimiter = digest = plain = None
    try:
        if form in ("csv", "jsonl") and not chosen:
            plain = _read_plain(path, form, packing, name, limits)
        if not plain:
            form, packing = _as_content_says(path, form, packing, findings)
        if plain:
            table, encoding, delimiter, digest, findings = plain
        elif form == "parquet":
            with _as_file(path, packing, name, limits) as unpacked:
                table = read_parquet(unpacked, findings, limits)
        elif form == "xlsx":
            with _as_file(path, packing, name, limits) as unpacked:
                table = read_xlsx(unpacked, findings, limits, sheet)
        else:
            open_stream = partial(_open, path, packing, name, limits)
            found = scan(open_stream, name, limits.max_bytes, _MAX_LINE_BYTES, chosen)
            findings.problems += found.problems
            if not has_errors(found.problems) and not found.head.strip(BLANK):
                empty(findings)
            if found.encoding is None or (has_errors(findings.problems) and not found.n_bytes):
                raise DataError(findings.problems)
            encoding = found.encoding
            table, delimiter = _rows(form, open_stream, found, path, findings, limits)
    except LimitError as e:
        raise DataError([*findings.problems, e.problem]) from e
    except _UNPACKABLE as e:
        if packing is None or isinstance(e, RecursionError):
            raise
        why = message("The archive cannot be unpacked: {reason}.", reason=str(e).rstrip("."))
        raise DataError(
            [
                *findings.problems,
                Problem(Severity.ERROR, "broken_archive", why, message("Compress the file again, without a password."), name),
            ]
        ) from e
    findings.finish()
    if table is not None and table.num_rows == 0 and not has_errors(findings.problems):
        why = message("The file has a header and no rows.")
        findings.add("no_rows", why, message("Add rows below the header."), 1)
    if has_errors(findings.problems):
        raise DataError(findings.problems)
    if form in ("csv", "xlsx") and table is not None:
        check_header(table, findings)
    return Table(table, gathered(findings.problems), name, encoding, delimiter, (digest,))


def _is_file(path: Path) -> bool:
    """False also for a name that no file can have: too long, or with a NUL in it."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def file_digest(path: Path) -> str:
    """SHA-256 of a file, as `Table.digest`. Raises OSError."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_plain(
    path: Path, form: str, packing: str | None, name: str, limits: Limits
) -> tuple[pa.Table | None, str | None, str | None, str | None, FileProblems] | None:
    """(table, encoding, delimiter, digest, findings) of a file in UTF-8 without a wrong byte, read once. None: it is not such a file."""
    findings = FileProblems(name)
    try:
        with open(path, "rb", buffering=0) as file:
            hashed = _Hashed(file, path.stat().st_size)
            with _unpacked(hashed, path, packing, name, limits) as stream:
                text = PlainText(stream, limits.max_bytes, _MAX_LINE_BYTES)
                table, delimiter = _rows(form, text.open, text.found, path, findings, limits, once=True)
                text.finish()
            while packing != "zip" and hashed.read(CHUNK):
                pass
    except NotPlainError:
        return None
    except _UNPACKABLE:
        if packing is None:
            raise
        return None
    return table, text.found.encoding, delimiter, None if packing == "zip" else hashed.digest.hexdigest(), findings


def _rows(
    form: str,
    open_stream: Callable[[], BinaryIO],
    found: Scan,
    path: Path,
    findings: FileProblems,
    limits: Limits,
    once: bool = False,
) -> tuple[pa.Table | None, str | None]:
    if form == "csv":
        return read_csv(open_stream, found, path, findings, limits, once)
    return read_jsonl(open_stream, found, findings, limits), None


class _Hashed(io.RawIOBase):
    """A file that hashes what is read of it, for readers that go from its start to its end."""

    def __init__(self, file: io.RawIOBase, size: int):
        self._file, self._n_bytes, self._size = file, 0, size
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = self._file.readinto(buffer) or 0
        self.digest.update(buffer[:size])
        self._n_bytes += size
        tell(self._n_bytes / max(1, self._size))
        return size

    def tell(self) -> int:
        return self._n_bytes


def format_of(path: Path) -> tuple[str | None, str | None]:
    """(csv | jsonl | parquet | None when unknown, gz | zip | None when not packed), by the name. `table.zip` counts as packed CSV."""
    suffixes = [s.lower() for s in Path(path).suffixes]
    packing = suffixes.pop()[1:] if suffixes and suffixes[-1] in (".gz", ".zip") else None
    if packing == "zip":
        try:
            with zipfile.ZipFile(path) as archive:
                return FORMATS.get(Path(_member(archive)).suffix.lower()), packing
        except (*_UNPACKABLE, DataError):
            return FORMATS.get(suffixes[-1] if suffixes else ".csv"), packing
    return FORMATS.get(suffixes[-1] if suffixes else ""), packing


def _as_content_says(path: Path, form: str, packing: str | None, findings: FileProblems) -> tuple[str, str | None]:
    """(form, packing) by the first bytes, where they are none that a file of this name begins with; a note says so."""
    with open(path, "rb") as stream:
        head = stream.read(4)
    said = form, packing
    if head == b"PAR1":
        form, packing = "parquet", None
    elif head[:2] == b"\x1f\x8b" and packing != "gz":
        packing = "gz"
    elif head == b"PK\x03\x04" and packing != "zip" and form != "xlsx":
        try:
            with zipfile.ZipFile(path) as archive:
                book = "xl/workbook.xml" in archive.namelist()
                form, packing = ("xlsx", None) if book else (FORMATS[Path(_member(archive)).suffix.lower()], "zip")
        except (*_UNPACKABLE, DataError):
            return said
    if (form, packing) != said:
        called = packing or {"parquet": "Parquet", "xlsx": "Excel"}[form]
        why = message("The file is not what its name says: it is read as {format}.", format=called)
        findings.add("not_as_named", why, message("No action needed; a fitting suffix would say it."), severity=Severity.INFO)
    return form, packing


def _member(archive: zipfile.ZipFile) -> str:
    """The one table in an archive. Raises DataError: none or several."""
    members = [m for m in archive.namelist() if not m.endswith("/") and not m.startswith("__MACOSX/") and Path(m).suffix.lower() in FORMATS]
    if len(members) != 1:
        why = message("The archive should hold exactly one table. Found {count}.", count=len(members))
        remedy = message("Compress one CSV, TSV, JSON Lines or Parquet file by itself.")
        raise DataError([Problem(Severity.ERROR, "archive_members", why, remedy, Path(archive.filename or "").name)])
    return members[0]


class _Measured(io.RawIOBase):
    """What comes out of an archive, as far as it is in proportion to what went in. packed: bytes that were unpacked so far."""

    def __init__(self, stream: Any, packed: Callable[[], int], limits: Limits, name: str):
        self._stream, self._packed, self._limits, self._name = stream, packed, limits, name
        self._n_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._stream.read(len(buffer))
        buffer[: len(chunk)] = chunk
        self._n_bytes += len(chunk)
        check_ratio(self._n_bytes, self._packed(), self._limits, self._name)
        return len(chunk)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _unpacked(file: io.RawIOBase, path: Path, packing: str | None, name: str, limits: Limits) -> BinaryIO:
    """As `_open`, from a file that is open already; a zip is read from its end, and opened anew."""
    if packing == "zip":
        return _open(path, packing, name, limits)
    if packing is None:
        return cast(BinaryIO, file)
    return _measured(gzip.open(cast(BinaryIO, io.BufferedReader(file))), file.tell, limits, name)


def _measured(stream: Any, packed: Callable[[], int], limits: Limits, name: str) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Measured(stream, packed, limits, name), CHUNK))


def _open(path: Path, packing: str | None, name: str, limits: Limits) -> BinaryIO:
    """The unpacked bytes as a stream; nothing is unpacked to disk. Raises LimitError from its `read`: see `_Measured`."""
    if packing == "zip":
        archive = zipfile.ZipFile(path)
        try:
            member = archive.getinfo(_member(archive))
        except DataError as e:
            raise DataError([Problem(p.severity, p.code, p.why, p.remedy, name) for p in e.problems]) from e
        check_ratio(member.file_size, member.compress_size, limits, name)
        return _measured(archive.open(member), lambda: member.compress_size, limits, name)
    if packing == "gz":
        stream: Any = gzip.open(path)  # noqa: SIM115 - `_Measured.close` closes it
        return _measured(stream, stream.fileobj.tell, limits, name)
    return open(path, "rb")


@contextmanager
def _as_file(path: Path, packing: str | None, name: str, limits: Limits) -> Iterator[Path]:
    """A Parquet file is read from its end, so a packed one is unpacked to a temporary file first."""
    if packing is None:
        yield path
        return
    with tempfile.NamedTemporaryFile(suffix=".parquet") as target, _open(path, packing, name, limits) as source:
        for chunk in iter(partial(source.read, CHUNK), b""):
            target.write(chunk)
            if target.tell() > limits.max_bytes:
                why = message("The content is larger than {limit} MB.", limit=limits.max_bytes >> 20)
                remedy = message("Split the table into smaller files, or raise the limit.")
                raise LimitError(Problem(Severity.ERROR, "too_large", why, remedy, name))
        target.flush()
        yield Path(target.name)
