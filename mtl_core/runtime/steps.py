"""The checkpoints of a run: one folder a step, with a manifest that is written last. No torch.

<run>/checkpoints/step-<N>/manifest.json   format, step, what is named, how far the journal was, size and SHA-256 of each file
<run>/checkpoints/step-<N>/pinned          a person wants to be able to go back to it
<run>/checkpoints/back.json                a person went back to a step, and what came after it is not all removed yet

Which step is *last*, *best* or the peak of a task follows from one fact, the newest checkpoint that holds: it names the others by their
steps. What came after it never happened. A folder whose name begins with a dot is none yet, or no longer one.

Programs before format 3 kept folders named last, best, peak-<task> and before-<step>; they are read, and become steps when the run goes on.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mtl_core.base.faults import CheckpointError
from mtl_core.base.files import TEMPORARY, remove, sync, write_atomically
from mtl_core.base.messages import message

MANIFEST = "manifest.json"
TRAINING = ("optimizer.safetensors", "made.safetensors")
"""What only a training goes on from: dropped of a checkpoint that is kept for its model."""
PLACES = 5  # to go back to, beside those that are pinned
_BACK, _PINNED, _STEP = "back.json", "pinned", "step-"
_BEFORE = "before-"  # what places were called before format 3


class DamagedError(CheckpointError):
    """A checkpoint is not as it was written. `why`: which of its files, and what is wrong with it."""

    def __init__(self, folder: Path, why: str):
        self.why = why
        super().__init__(
            message(
                "The checkpoint {folder} is damaged ({why}). Use another checkpoint of the run, or train it again.", folder=folder, why=why
            )
        )


@dataclass(frozen=True)
class Manifest:
    """names: best, or peak-<task> → step; journal: the number of the line of the journal that led to it; files: path → (bytes, SHA-256)."""

    version: int
    step: int
    names: Mapping[str, int]
    journal: int
    files: Mapping[str, tuple[int, str]]

    @property
    def full(self) -> bool:
        """Whether a training can go on from it."""
        return TRAINING[0] in self.files


def step_folder(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"{_STEP}{step}"


def write_manifest(folder: Path, version: int, step: int, names: Mapping[str, int], journal: int) -> None:
    """Of all that lies in `folder`, on the disk when this returns."""
    files = {path.relative_to(folder).as_posix(): (path.stat().st_size, _sha256(path)) for path in sorted(_files(folder))}
    _write(folder, Manifest(version, step, names, journal, files))


def _write(folder: Path, manifest: Manifest) -> None:
    values = json.loads(json.dumps(vars(manifest)))
    write_atomically(folder / MANIFEST, json.dumps({**values, "sha256": _own_sha256(values)}, indent=1))


def _own_sha256(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def has_manifest(folder: Path) -> bool:
    """Or ought to have one."""
    return folder.name.startswith(_STEP) or (folder / MANIFEST).exists()


def read_manifest(folder: Path) -> Manifest:
    """Raises DamagedError: there is none, or it is not one."""
    path = folder / MANIFEST
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(folder, f"{MANIFEST}: {type(error).__name__}: {error}") from error


@lru_cache(maxsize=4096)
def _read(path: Path, changed: int) -> Manifest:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    files = {str(name): (int(size), str(digest)) for name, (size, digest) in found["files"].items()}
    names = {str(name): int(step) for name, step in found["names"].items()}
    if _own_sha256({name: value for name, value in found.items() if name != "sha256"}) != found["sha256"]:
        raise ValueError("SHA-256")
    return Manifest(int(found["version"]), int(found["step"]), names, int(found["journal"]), files)


def examine(folder: Path, leave_out: Collection[str] = ()) -> Manifest:
    """Reads every file that the manifest lists, but those. Raises DamagedError: one is missing, cut, or holds something else."""
    manifest = read_manifest(folder)
    if folder.name.startswith(_STEP) and folder.name != f"{_STEP}{manifest.step}":
        raise DamagedError(folder, f"{MANIFEST}: step {manifest.step}")
    for name, (size, digest) in manifest.files.items():
        path = folder / name
        if name in leave_out:
            continue
        try:
            found = path.stat().st_size
            wrong = f"{name}: {found:,} B, {size:,} B" if found != size else "" if _sha256(path) == digest else f"{name}: SHA-256"
        except OSError as error:
            wrong = f"{name}: {error.strerror}"
        if wrong:
            raise DamagedError(folder, wrong)
    return manifest


def held(folder: Path) -> Manifest | None:
    """Its manifest, where every file has its size; None: it is damaged, or not there. Reads no other file."""
    try:
        manifest = read_manifest(folder)
        return manifest if all((folder / name).stat().st_size == size for name, (size, _) in manifest.files.items()) else None
    except (DamagedError, OSError):
        return None


def steps(run: Path) -> Iterator[Path]:
    """The folders of all steps, newest first, damaged ones too; of a run that went back, those up to there."""
    back, found = _going_back(run), []
    try:
        names = os.listdir(run / "checkpoints")
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        number = name.removeprefix(_STEP)
        if number != name and number.isdigit() and (back is None or int(number) <= back):
            found.append(int(number))
    yield from (step_folder(run, step) for step in sorted(found, reverse=True))


def find(run: Path, name: str) -> Path | None:
    """The folder of a checkpoint. name: last (the newest that a training can go on from), best, peak-<task> or step-<N>; None: none is.

    The one that is best is it even if it was damaged since: who loads it is told so, and does not get another in its place.
    """
    if (old := _old(run, name)) is not None:
        return old
    if name.startswith(_STEP):
        return next((folder for folder in steps(run) if folder.name == name and held(folder)), None)
    for folder in steps(run):
        manifest = held(folder)
        if manifest is None or (name == "last" and not manifest.full):
            continue
        if name == "last":
            return folder
        return step_folder(run, manifest.names[name]) if name in manifest.names else None
    return None


def places(run: Path) -> dict[int, Path]:
    """Step → checkpoint, of those that a training can go on from and a person go back to."""
    found = {manifest.step: folder for folder in steps(run) if (manifest := held(folder)) and manifest.full}
    old = (run / "checkpoints").glob(f"{_BEFORE}*/specs.json")
    return found | {
        int(path.parent.name.removeprefix(_BEFORE)): path.parent for path in old if path.parent.name.removeprefix(_BEFORE).isdigit()
    }


def step_of(folder: Path) -> int:
    """Of a checkpoint that `find` gave."""
    if has_manifest(folder):
        return read_manifest(folder).step
    return int(json.loads((folder / "state.json").read_text(encoding="utf-8"))["step"])


def written(folder: Path) -> int:
    """When a checkpoint was written, in nanoseconds; 0: its model is not there."""
    try:
        return (folder / "specs.json").stat().st_mtime_ns
    except OSError:
        return 0


def is_pinned(folder: Path) -> bool:
    return (folder / _PINNED).is_file()


def pin(folder: Path, pinned: bool) -> None:
    """A person wants to keep a place to go back to, or no longer."""
    if pinned:
        (folder / _PINNED).touch()
    else:
        (folder / _PINNED).unlink(missing_ok=True)


def prune(run: Path, keep: int, places: Collection[int]) -> None:
    """Removes what is none of the newest `keep` that a training can go on from, no place that a person may go back to (`places`: the steps
    before changes, of which the last few stay), not pinned, and not named by any of these; of what is only named the model stays."""
    manifests = {folder: manifest for folder in steps(run) if (manifest := held(folder))}
    full = [folder for folder, manifest in manifests.items() if manifest.full]
    roots = {*full[:keep], *(step_folder(run, step) for step in sorted(places)[-PLACES:]), *filter(is_pinned, full)}
    named = {step_folder(run, step) for root in roots & manifests.keys() for step in manifests[root].names.values()}
    for folder in steps(run):
        if folder in roots:
            continue
        if folder in named and folder in manifests:
            _lighten(folder, manifests[folder])
        else:
            remove(folder)


def disk_bytes(once: int, each: int, keep: int) -> int:
    """What a run's checkpoints take while it trains: those that `prune` leaves, the best one, and one that is being written.

    once: bytes that they share; each: of every one beside."""
    return once + each * (keep + 2)


def keep_only(run: Path, name: str | None) -> None:
    """Removes all checkpoints but the model of one."""
    kept = find(run, name) if name else None
    for folder in steps(run):
        if folder != kept:
            remove(folder)
    if kept is not None:
        _lighten(kept, read_manifest(kept))


def _lighten(folder: Path, manifest: Manifest) -> None:
    """The manifest first: a kill in between leaves a file too many, not one too few."""
    if manifest.full:
        files = {name: found for name, found in manifest.files.items() if name not in TRAINING}
        _write(folder, Manifest(manifest.version, manifest.step, manifest.names, manifest.journal, files))
    for name in TRAINING:
        (folder / name).unlink(missing_ok=True)


def go_back(run: Path, step: int) -> None:
    """Makes the checkpoint of `step` the newest one; what came after it is removed. A kill at any moment leaves the one or the other.

    Raises FileNotFoundError: there is none that a training can go on from.
    """
    become_steps(run)
    if step not in places(run):
        raise FileNotFoundError(f"There is no checkpoint of step {step} in {run}.")
    write_atomically(run / "checkpoints" / _BACK, json.dumps({"step": step}))
    settle(run)


def settle(run: Path) -> None:
    """Ends what a kill cut short: going back, and writing or removing checkpoints. For who owns the run."""
    folder = run / "checkpoints"
    become_steps(run)
    if (back := _going_back(run)) is not None:
        forget_after(run, back)
        sync(folder)
        (folder / _BACK).unlink()
        sync(folder)
    for left in folder.glob(f"{TEMPORARY}*"):
        left.unlink() if left.is_file() else shutil.rmtree(left, ignore_errors=True)


def forget_after(run: Path, step: int) -> None:
    """Removes the checkpoints of later steps: the run goes on from `step`."""
    for found in (run / "checkpoints").glob(f"{_STEP}*"):
        if (number := found.name.removeprefix(_STEP)).isdigit() and int(number) > step:
            remove(found)


def _going_back(run: Path) -> int | None:
    try:
        return int(json.loads((run / "checkpoints" / _BACK).read_text(encoding="utf-8"))["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and path.name not in (MANIFEST, _PINNED))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Before format 3


def _old(run: Path, name: str) -> Path | None:
    """`.old` is what a kill in the middle of replacing a folder left."""
    name = name.replace(_STEP, _BEFORE, 1) if name.startswith(_STEP) else name
    folders = (run / "checkpoints" / name, run / "checkpoints" / f"{name}.old")
    return next((folder for folder in folders if (folder / "specs.json").is_file()), None)


def become_steps(run: Path) -> None:
    """Gives folders of the time before format 3 their steps' names, and manifests. Each changes by one rename: a kill does no harm."""
    folder = run / "checkpoints"
    old = [path for path in folder.glob("*") if (path / "specs.json").is_file() and not path.name.startswith((_STEP, TEMPORARY))]
    peaks = {path.name.removesuffix(".old") for path in old if path.name.startswith("peak-")}
    for found in sorted(old, key=lambda path: (not path.name.startswith("last"), not path.name.startswith(_BEFORE), path.name)):
        for kept in (found / "kept").glob("*/specs.json"):
            _become_step(run, kept.parent, peaks)
        heads = found / "kept" / "heads" if found.name.startswith(_BEFORE) else folder / "heads"
        if heads.is_dir() and found.name.startswith((_BEFORE, "last")):
            os.replace(heads, found / "heads")
        shutil.rmtree(found / "kept", ignore_errors=True)
        _become_step(run, found, peaks)


def _become_step(run: Path, found: Path, peaks: Collection[str]) -> None:
    state = json.loads((found / "state.json").read_text(encoding="utf-8"))
    target = step_folder(run, int(state["step"]))
    if target.exists():
        remove(found)
        return
    names = {f"peak-{task}": int(peak["step"]) for task, peak in state.get("judge", {}).get("peaks", {}).items()}
    names = {"best": int(state["best_step"])} | {name: step for name, step in names.items() if name in peaks}
    write_manifest(found, 2, int(state["step"]), names, 0)
    os.replace(found, target)
    sync(target.parent)
