"""`tables` lists, deletes and restores what lies in the workspace."""

import io
import json

import pytest

from mtl_core.base.workspace import Workspace
from mtl_core.cli.main import main
from mtl_core.config import drafts
from mtl_core.data.upload import save_upload


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    assert main(["tables", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_list_delete_restore(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys) == {"tables": [], "trash": []}
    path = save_upload(io.BytesIO(b"a,b\nx,y\n"), "评论.csv", workspace)
    file = f"uploads/{path.name}"
    drafts.add_task(workspace, "stars", {"kind": "classification", "columns": {"text": "a", "label": "b"}}, "t", {"file": file})
    (table,) = answer(capsys)["tables"]
    assert {key: table[key] for key in ("name", "file", "bytes", "tasks", "runs")} == {
        "name": "评论.csv",
        "file": file,
        "bytes": 8,
        "tasks": ["stars"],
        "runs": [],
    }
    found = answer(capsys, "--delete", "评论.csv")
    assert (found["tables"], [e["name"] for e in found["trash"]]) == ([], ["评论.csv"])
    assert answer(capsys, "--restore", "评论.csv") == {"tables": [table], "trash": []}
    save_upload(io.BytesIO(b"a\n"), "评论.csv", workspace)
    assert main(["tables"]) == 0
    assert "stars" in capsys.readouterr().out
    assert main(["tables", "--delete", "评论.csv"]) == 2  # two of that name
    assert file in capsys.readouterr().err
    assert [t["bytes"] for t in answer(capsys, "--delete", path.name)["tables"]] == [2]


@pytest.mark.parametrize("action", ["--delete", "--restore"])
def test_an_unknown_name(workspace: Workspace, capsys: pytest.CaptureFixture[str], action: str) -> None:
    assert main(["tables", action, "no.csv"]) == 2
    assert "no.csv" in capsys.readouterr().err
