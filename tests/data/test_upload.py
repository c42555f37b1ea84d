import io
import os

import pytest

from mtl_core.base.workspace import Workspace
from mtl_core.data.problems import DataError
from mtl_core.data.upload import ASKED, forget_name, name_upload, save_upload, shown_name, upload_name, uploads


@pytest.mark.parametrize(
    ("filename", "suffix"),
    [
        ("a.csv", ".csv"),
        ("../../etc/passwd.csv", ".csv"),
        ("..\\..\\boot.TSV", ".tsv"),
        ("a.csv.gz", ".csv.gz"),
        ("x.zip", ".zip"),
        ("/abs/a.parquet", ".parquet"),
    ],
)
def test_only_the_format_of_the_name_is_kept(workspace: Workspace, filename: str, suffix: str) -> None:
    path = save_upload(io.BytesIO(b"a\n1\n"), filename, workspace)
    assert path.parent == workspace.uploads
    assert len(path.name.removesuffix(suffix)) == 12
    assert path.read_bytes() == b"a\n1\n"
    assert sorted(p.name for p in workspace.root.rglob("*") if p.is_file()) == [path.name, path.name + ".json"]
    assert uploads(workspace) == [path]
    assert upload_name(path) == shown_name(filename)


def test_two_uploads_of_one_name(workspace: Workspace) -> None:
    assert save_upload(io.BytesIO(b"a"), "a.csv", workspace) != save_upload(io.BytesIO(b"b"), "a.csv", workspace)


@pytest.mark.parametrize(
    ("filename", "content", "code"),
    [
        ("a.exe", b"x", "unknown_format"),
        ("a", b"x", "unknown_format"),
        ("", b"x", "unknown_format"),
        ("a.csv", b"", "empty_file"),
        ("a.csv", b"x" * 11, "too_large"),
    ],
)
def test_what_is_refused_leaves_nothing(workspace: Workspace, filename: str, content: bytes, code: str) -> None:
    with pytest.raises(DataError) as caught:
        save_upload(io.BytesIO(content), filename, workspace, max_bytes=10)
    assert [p.code for p in caught.value.problems] == [code]
    assert [p for p in workspace.root.rglob("*") if p.is_file()] == []


def test_the_stream_is_left_at_the_limit(workspace: Workspace) -> None:
    stream = io.BytesIO(bytes(64 << 20))
    with pytest.raises(DataError):
        save_upload(stream, "a.csv", workspace, max_bytes=1 << 20)
    assert stream.tell() <= 2 << 20


@pytest.mark.parametrize(
    ("filename", "shown"),
    [("../a.csv", "a.csv"), ("C:\\x\\订单.csv", "订单.csv"), ("a\n\0b.csv", "ab.csv"), ("..", ".."), ("x/", "upload")],
)
def test_shown_name(filename: str, shown: str) -> None:
    assert shown_name(filename) == shown


def test_the_name_of_an_upload_is_kept_changed_and_forgotten(workspace: Workspace) -> None:
    path = save_upload(io.BytesIO(b"a"), "../评论 (1).csv", workspace)
    assert upload_name(path) == "评论 (1).csv"
    name_upload(path, "x/../订单.csv")
    assert upload_name(path) == "订单.csv"
    for broken in ("", "[1]", "{}", "{"):
        path.with_name(path.name + ".json").write_text(broken)
        assert upload_name(path) == path.name
    forget_name(path)
    forget_name(path)
    assert upload_name(path) == path.name
    assert [p.name for p in workspace.uploads.iterdir()] == [path.name]


def test_content_is_kept_once(workspace: Workspace) -> None:
    first = save_upload(io.BytesIO(b"a,b\n1,2\n"), "orders.csv", workspace)
    assert save_upload(io.BytesIO(b"a,b\n1,2\n"), "orders.csv", workspace) == first
    other = save_upload(io.BytesIO(b"a,b\n1,2\n"), "sales.csv", workspace)
    assert other != first and os.path.samefile(other, first)
    assert [upload_name(path) for path in uploads(workspace)] in (["orders.csv", "sales.csv"], ["sales.csv", "orders.csv"])
    third = save_upload(io.BytesIO(b"a,b\n1,3\n"), "orders.csv", workspace)
    assert not os.path.samefile(third, first)
    name_upload(first, "renamed.csv")
    assert os.path.samefile(save_upload(io.BytesIO(b"a,b\n1,2\n"), "orders.csv", workspace), first)
    other.unlink()
    assert first.read_bytes() == b"a,b\n1,2\n"
    for path in workspace.uploads.glob("*.json"):  # of a program that noted no content
        path.write_text('{"name": "orders.csv"}')
    assert save_upload(io.BytesIO(b"a,b\n1,3\n"), "orders.csv", workspace) == third


def test_files_to_be_answered_are_no_tables_and_the_last_ones_stay(workspace: Workspace) -> None:
    path = save_upload(io.BytesIO(b"a\nx\n"), "mine.csv", workspace)
    asked = [save_upload(io.BytesIO(b"a\n%d\n" % i), "mine.csv", workspace, folder=ASKED) for i in range(25)]
    assert uploads(workspace) == [path]
    assert uploads(workspace, ASKED) == asked[5:]
    again = save_upload(io.BytesIO(b"a\n5\n"), "mine.csv", workspace, folder=ASKED)  # the last that was asked, whatever was before
    assert uploads(workspace, ASKED) == [*asked[6:], again]
    assert len(list(workspace.inside("asked").iterdir())) == 40
