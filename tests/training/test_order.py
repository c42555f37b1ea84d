"""What a training brings to the disk, in which order: from a trace of its system calls, where the power cannot be cut (that needs root,
see `benchmarks/faults.py`)."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from mtl_core.base.workspace import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")]

WRITES, SYNCS, RENAMES = {"write", "writev", "pwrite64", "ftruncate"}, {"fsync", "fdatasync"}, {"rename", "renameat", "renameat2"}
_LINE = re.compile(r"^(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\((.*))")
_OPEN, _NAMED = re.compile(r"^\d+<([^>]+)>"), re.compile(r'"([^"]*)"')


def traced(lines: Iterator[str]) -> Iterator[tuple[str, str, str]]:
    """(write | sync | rename, path, new path), each where it is known to have begun, a sync where it is known to have ended."""
    begun: dict[str, str] = {}
    for line in lines:
        if not (found := _LINE.match(line)):
            continue
        pid, resumed, call, rest = found.groups()
        if resumed:
            if resumed in SYNCS:
                yield "sync", begun.pop(pid), ""
        elif call in RENAMES:
            source, target = _NAMED.findall(rest)[:2]
            yield "rename", source, target
        elif path := _OPEN.match(rest):
            if call in WRITES:
                yield "write", path[1], ""
            elif "<unfinished" in rest:
                begun[pid] = path[1]
            else:
                yield "sync", path[1], ""


def test_all_is_on_the_disk_before_it_has_its_name(workspace: Workspace, tiny_encoder: Path, tmp_path: Path) -> None:
    texts = [f"{'where is my parcel' if i % 2 else 'my money back'} {i},{'ab'[i % 2]}" for i in range(100)]
    (tmp_path / "t.csv").write_text("text,label\n" + "\n".join(texts))
    description = {
        "data": {"t": {"file": str(tmp_path / "t.csv")}},
        "tasks": {"intent": {"kind": "classification", "data": "t", "columns": {"text": "text", "label": "label"}}},
        "encoder": {"name": str(tiny_encoder), "max_length": 16},
        "training": {"steps": 4, "evaluate_every": 2, "device": "cpu"},
    }
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(description))
    calls = [
        "strace",
        "-f",
        "--seccomp-bpf",
        "-y",
        "-s",
        "0",
        "-e",
        "signal=none",
        "-e",
        f"trace={','.join(sorted(WRITES | SYNCS | RENAMES))}",
    ]
    train = [sys.executable, "-m", "mtl_core", "train", str(tmp_path / "e.yaml"), "--workspace", str(workspace.root)]
    done = subprocess.run([*calls, "-o", str(tmp_path / "trace"), *train], capture_output=True, text=True, timeout=240, check=False)
    if "ptrace" in done.stderr.lower():
        pytest.skip(f"system calls cannot be traced here: {done.stderr.splitlines()[0]}")
    assert done.returncode == 0, done.stderr[-2000:]

    with (tmp_path / "trace").open(encoding="utf-8", errors="replace") as lines:
        events = list(traced(lines))
    (run,) = workspace.runs.iterdir()
    written, synced, named = dict[str, int](), dict[str, int](), list[tuple[int, str]]()
    for at, (call, path, target) in enumerate(events):
        if call == "write":
            written[path] = at
        elif call == "sync":
            synced[path] = at
        else:
            parts = [p for p in written if p == path or p.startswith(path + "/")]
            if target.startswith(str(run)) and not any(part.startswith(".") for part in Path(target).relative_to(run).parts):
                named.append((at, target))
                assert parts, f"{target}: nothing was written to it"
                assert [p for p in parts if synced.get(p, -1) < written[p]] == [], f"{target} has its name before this is on the disk"
                if re.fullmatch(r"step-\d+", Path(target).name):
                    journal = str(run / "events.jsonl")
                    assert synced[journal] > written[journal], f"{target} before the journal that leads to it"
            for known in (written, synced):
                for p in [p for p in known if p in parts]:
                    known[target + p.removeprefix(path)] = known.pop(p)
    folders = [i for i, (call, _path, _target) in enumerate(events) if call == "sync"]
    for at, target in named:
        after = next((i for i in folders if i > at and events[i][1] == str(Path(target).parent)), None)
        assert after is not None, f"the name {target} is not brought to the disk"
    assert sum(bool(re.fullmatch(r"step-\d+", Path(target).name)) for _at, target in named) >= 2
    assert "status.json" in {Path(target).name for _at, target in named}
