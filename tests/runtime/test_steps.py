"""Checkpoints as folders: what is last and best, what is damaged, going back, what is kept, and what kills leave."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mtl_core.base.files import new_folder
from mtl_core.runtime.steps import (
    MANIFEST,
    DamagedError,
    examine,
    find,
    forget_after,
    go_back,
    keep_only,
    pin,
    places,
    prune,
    read_manifest,
    settle,
    step_folder,
    steps,
    write_manifest,
)
from tests.kept_checkpoints import write


def saved(run: Path, step: int, best: int, **peaks: int) -> Path:
    """A checkpoint whose files are as small as can be."""
    folder = step_folder(run, step)
    with new_folder(folder) as new:
        (new / "encoder").mkdir()
        for name in ("specs.json", "encoder/model.safetensors", "state.json", "optimizer.safetensors"):
            (new / name).write_text(f"{name} of step {step}", encoding="utf-8")
        write_manifest(new, 3, step, {"best": best} | {f"peak-{task}": at for task, at in peaks.items()}, journal=10 * step)
    return folder


def numbers(run: Path) -> list[int]:
    return [int(folder.name.removeprefix("step-")) for folder in steps(run)]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Steps 0, 5 and 10, of which 5 is best."""
    for step, best in ((0, 0), (5, 5), (10, 5)):
        saved(tmp_path, step, best, ads=0)
    return tmp_path


def test_the_newest_one_names_the_others(run: Path) -> None:
    assert [find(run, name) for name in ("last", "best", "peak-ads")] == [step_folder(run, step) for step in (10, 5, 0)]
    assert find(run, "peak-search") is None and find(run, "step-7") is None and find(run, "step-5") == step_folder(run, 5)
    assert read_manifest(step_folder(run, 10)).journal == 100
    assert find(run / "nothing", "last") is None


def test_a_best_from_a_future_that_never_happened_is_not_best(run: Path) -> None:
    """A kill after a better model was saved, and a checkpoint that turned out to be damaged: the run is where the one before is."""
    newest = saved(run, 15, 15)
    assert find(run, "best") == newest
    (newest / "optimizer.safetensors").write_bytes(b"")
    assert find(run, "last") == step_folder(run, 10) and find(run, "best") == step_folder(run, 5)


FILES = ("specs.json", "encoder/model.safetensors", "state.json", "optimizer.safetensors", MANIFEST)
DAMAGES: dict[str, Callable[[Path], object]] = {
    "removed": Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b" x"),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "one bit": lambda path: path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:]),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_every_damage_to_every_file_is_found_and_named(run: Path, name: str, damage: str) -> None:
    folder = step_folder(run, 10)
    examine(folder)
    DAMAGES[damage](folder / name)
    os.utime(folder / name if (folder / name).exists() else folder, ns=(1, 1))  # a clock that stands still hides nothing
    with pytest.raises(DamagedError, match="damaged") as found:
        examine(folder)
    assert found.value.why.startswith(name)


def test_a_manifest_of_another_step_is_damage(run: Path) -> None:
    os.rename(step_folder(run, 10), step_folder(run, 11))
    with pytest.raises(DamagedError, match="step 10"):
        examine(step_folder(run, 11))


def test_what_is_kept(run: Path) -> None:
    for step, best in ((15, 5), (20, 20), (25, 20), (30, 20)):
        saved(run, step, best)
    prune(run, keep=2, places=[10])
    assert numbers(run) == [30, 25, 20, 10, 5, 0], "two newest, what they name, the place, and what it names"
    assert sorted(places(run)) == [10, 25, 30]
    for folder in steps(run):
        assert (folder / "optimizer.safetensors").exists() == read_manifest(folder).full
        examine(folder)
    pin(step_folder(run, 25), True)
    saved(run, 35, 35)
    prune(run, keep=1, places=())
    assert numbers(run) == [35, 25, 20], "a person pinned one, which names its best"
    pin(step_folder(run, 25), False)
    prune(run, keep=1, places=())
    assert numbers(run) == [35]


def test_of_places_the_last_five_are_kept(tmp_path: Path) -> None:
    for step in range(1, 10):
        saved(tmp_path, step, step)
    prune(tmp_path, keep=1, places=range(1, 9))
    assert numbers(tmp_path) == [9, 8, 7, 6, 5, 4]


def test_only_a_model_is_kept(run: Path) -> None:
    keep_only(run, "best")
    assert numbers(run) == [5] and find(run, "best") == step_folder(run, 5) and find(run, "last") is None
    assert not examine(step_folder(run, 5)).full
    keep_only(run, None)
    assert numbers(run) == []


def test_going_back(run: Path) -> None:
    saved(run, 15, 15)
    go_back(run, 10)
    assert numbers(run) == [10, 5, 0] and find(run, "best") == step_folder(run, 5)
    with pytest.raises(FileNotFoundError):
        go_back(run, 15)
    assert numbers(run) == [10, 5, 0]


def test_going_back_that_was_killed_has_happened_for_every_reader(run: Path) -> None:
    saved(run, 15, 15)
    (run / "checkpoints" / "back.json").write_text(json.dumps({"step": 5}))
    assert find(run, "last") == find(run, "best") == step_folder(run, 5) and 10 not in places(run)
    os.rename(step_folder(run, 15), run / "checkpoints" / ".step-15.0badcafe")  # as a kill in the middle of removing leaves it
    settle(run)
    assert sorted(os.listdir(run / "checkpoints")) == ["step-0", "step-5"]


def test_a_checkpoint_that_was_not_finished_is_none(run: Path) -> None:
    def cut_short() -> None:
        with new_folder(step_folder(run, 15)) as new:
            (new / "specs.json").write_text("{}")
            assert numbers(run) == [10, 5, 0]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_short()
    assert sorted(os.listdir(run / "checkpoints")) == ["step-0", "step-10", "step-5"]


def test_what_came_later_is_forgotten(run: Path) -> None:
    forget_after(run, 5)
    assert numbers(run) == [5, 0]


def old(run: Path, name: str, step: int, best: int) -> Path:
    folder = write(run / "checkpoints" / name, 2)
    state = json.loads((folder / "state.json").read_text())
    state |= {"step": step, "best_step": best, "judge": {"peaks": {"mood": {"step": 3}}}}
    (folder / "state.json").write_text(json.dumps(state))
    if name in ("best", "peak-mood") or "kept" in name:
        (folder / "optimizer.safetensors").unlink()
    return folder


def test_folders_of_older_programs_are_read_and_become_steps(tmp_path: Path) -> None:
    for name, step, best in (("last", 20, 15), ("best", 15, 15), ("before-10", 10, 5), ("before-10/kept/best", 5, 5), ("peak-mood", 3, 3)):
        old(tmp_path, name, step, best)
    for heads in (tmp_path / "checkpoints" / "heads", tmp_path / "checkpoints" / "before-10" / "kept" / "heads"):
        heads.mkdir()
        (heads / "mood.safetensors").write_bytes(b"head")
    names = ("last", "best", "peak-mood", "step-10")
    assert [find(tmp_path, name).name for name in names] == ["last", "best", "peak-mood", "before-10"]  # type: ignore[union-attr]
    assert list(places(tmp_path)) == [10]
    settle(tmp_path)
    assert [find(tmp_path, name) for name in names] == [step_folder(tmp_path, step) for step in (20, 15, 3, 10)]
    assert numbers(tmp_path) == [20, 15, 10, 5, 3] and sorted(places(tmp_path)) == [10, 20]
    assert all(examine(folder).version == 2 for folder in steps(tmp_path))
    assert (step_folder(tmp_path, 20) / "heads" / "mood.safetensors").is_file()
    assert (step_folder(tmp_path, 10) / "heads" / "mood.safetensors").is_file()
    go_back(tmp_path, 10)
    assert find(tmp_path, "best") == step_folder(tmp_path, 5)


def test_an_old_swap_that_was_killed(tmp_path: Path) -> None:
    old(tmp_path, "last.old", 20, 20)
    assert find(tmp_path, "last") == tmp_path / "checkpoints" / "last.old"
    settle(tmp_path)
    assert numbers(tmp_path) == [20]
