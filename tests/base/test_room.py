"""A workspace that takes nothing says so, on the command line and on whichever page is opened first."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from mtl_core.base.room import RoomError, held, require, try_out
from mtl_core.cli.main import main

PROGRAM = Path(__file__).parents[2]


def test_what_is_missing_is_made_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    try_out(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RoomError, match=r"it is not a folder\. Fix its permissions, or set MTL_WORKSPACE"):
        try_out(tmp_path / "file")


def test_more_than_the_disk_has_is_refused(tmp_path: Path) -> None:
    require(tmp_path, 1)
    with pytest.raises(RoomError, match=r"MB free; the checkpoints of this training need about 1,000,000,000,000 MB"):
        require(tmp_path, 10**18)


def test_the_bytes_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"12345")
    (tmp_path / "c").write_bytes(b"67")
    os.link(tmp_path / "a" / "b", tmp_path / "d")  # another name takes no room
    assert held(tmp_path) == 7
    assert held(tmp_path / "none") == 0


@pytest.mark.parametrize("command", [["runs"], ["doctor"], ["train", str(PROGRAM / "data" / "shop.yaml")], ["predict", "x", "--task", "y"]])
def test_the_command_line_says_it_in_one_sentence(tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main([*command, "--workspace", str(tmp_path / "file")]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith("Nothing can be written to")


@pytest.mark.parametrize("page", ["home", "train"])
def test_every_page_says_it_until_it_is_mended(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "file"
    place.touch()
    monkeypatch.setenv("MTL_WORKSPACE", str(place))
    at = AppTest.from_file(str(PROGRAM / "app.py"), default_timeout=60)
    at.query_params["lang"] = "en"
    if page != "home":
        at.switch_page(f"pages/{page}.py")
    at.run()
    assert not at.exception
    assert [error.value.startswith("Nothing can be written to") for error in at.error] == [True]
    place.unlink()
    at.button[0].click().run()
    assert not at.exception and not at.error


@pytest.mark.skipif(shutil.which("unshare") is None, reason="mount and unshare are of Linux")
def test_a_disk_that_can_only_be_read_says_so(tmp_path: Path) -> None:
    read_only = (
        f"mount -t tmpfs tmpfs {tmp_path} && mount -o remount,ro {tmp_path} && {sys.executable} -m mtl_core runs --workspace {tmp_path}"
    )
    done = subprocess.run(["unshare", "-rm", "sh", "-c", read_only], cwd=PROGRAM, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("This system lets nobody mount a folder of her own.")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].endswith("Read-only file system. Fix its permissions, or set MTL_WORKSPACE to another folder.")
