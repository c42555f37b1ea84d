"""Training that is killed, unplugged and damaged, and what it comes to: its numbers against those of a run that nothing happened to.

    python benchmarks/faults.py [--only kill,back,change,power,damage] [--n 20] [--encoder minilm] [--folder DIR] [--json]

kill: -9 at a random moment; back: while going back to a place; change: while a checkpoint is being written or removed; power: the file
system is shut down without its journal (a loop-mounted ext4, which needs root); damage: every file of the newest checkpoint is removed,
emptied, cut, or has one bit turned. Each ends when the run has been resumed to its end. Every trial is a line of DIR/trials.jsonl as soon
as it has ended; calling again goes on. The run steers and goes back on the way, so that its end is that of a run that never did.
"""

import argparse
import contextlib
import fcntl
import json
import multiprocessing
import os
import random
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.jobs.work import perform, training
from mtl_core.runtime.steps import find, read_manifest, step_folder, steps
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import RunState, create_run, run
from mtl_core.training.control import Control
from mtl_core.training.events import CheckpointSaved, Evaluated, Event, Finished, Steered, StepDone
from mtl_core.training.replay import compare_replay

STEPS, STEERED, BACK = 24, 8, 14
"""After which steps a person changes a weight, and goes back to before that."""
ATTEMPTS = 6
SHUTDOWN, WITHOUT_LOG = 0x8004587D, 2
"""EXT4_IOC_SHUTDOWN and EXT4_GOING_FLAGS_NOLOGFLUSH of linux/fs/ext4/ext4.h: nothing that was not synced is written any more."""
DAMAGES: dict[str, Callable[[Path], object]] = {
    "removed": Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3]),
    "one bit": lambda path: _turn_a_bit(path),
}


def experiment_of(encoder: str) -> Any:
    """Three tasks on tables of the sample shop."""
    tasks = {
        "department": {"kind": "classification", "data": "reviews", "columns": {"text": "review", "label": "department"}},
        "rating": {"kind": "classification", "data": "reviews", "columns": {"text": "review", "label": "rating"}},
        "intent": {"kind": "classification", "data": "messages", "columns": {"text": "message", "label": "intent"}},
    }
    return experiment_from_dict(
        {
            "name": "faults",
            "data": {name: {"file": str(ROOT / "data" / f"{name}.csv")} for name in ("reviews", "messages")},
            "tasks": tasks,
            "encoder": {"name": encoder, "trainable": "top:1", "max_length": 32},
            "training": {"steps": STEPS, "batch_size": 12, "evaluate_every": 4, "max_validation_rows": 40, "device": "cpu"},
        }
    )


def tiny_encoder(folder: Path) -> Path:
    """A BERT of random weights, saved once."""
    if not (folder / "config.json").exists():
        import torch
        from transformers import BertConfig, BertModel

        from mtl_core.model.loading import load_tokenizer

        tokenizer = load_tokenizer("minilm")
        torch.manual_seed(0)
        config = BertConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
        BertModel(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def attempt(root: Path, run_id: str, told: Path, steers: bool) -> None:
    """A process: trains the run from where it is to its end. told: a file, elsewhere, that learns of every checkpoint that is reported."""
    import torch

    torch.set_num_threads(1)
    workspace = Workspace(root)
    target = run(workspace, run_id)
    recorder, control = Recorder(target.folder), Control()
    changed = any(isinstance(event, Steered) for event in target.events())

    def hear(event: Event) -> None:
        nonlocal changed
        if isinstance(event, CheckpointSaved):
            with told.open("a") as file:
                file.write(f"{event.step}\n")
        if isinstance(event, StepDone) and steers:
            if event.step == STEERED and not changed:
                changed = True
                control.set_weights({"department": 7.0})
            elif event.step == BACK and recorder.series.steered:
                control.go_back(STEERED)

    try:
        perform(recorder, training(target, workspace, resume=find(target.folder, "last") is not None), control, hear)
    finally:
        recorder.close()


class Trials:
    """folder: of trials.jsonl and of what is trained."""

    def __init__(self, folder: Path, encoder: str):
        self.folder, self.encoder = folder, encoder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = encoder if encoder == "tiny" else "minilm"
        self.experiment = experiment_of(str(tiny_encoder(folder / "tiny")) if encoder == "tiny" else encoder)
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["mtl_core.training.loop", "mtl_core.runtime.prepare", "benchmarks.faults"])
        self.file = folder / "trials.jsonl"
        self.random = random.Random(os.urandom(8))

    def done(self, what: str) -> list[dict[str, Any]]:
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return [trial for trial in map(json.loads, lines) if (trial["what"], trial["encoder"]) == (what, self.name)]

    def note(self, what: str, **trial: Any) -> None:
        with self.file.open("a") as file:
            file.write(json.dumps({"what": what, "encoder": self.name, **trial}) + "\n")
            os.fsync(file.fileno())
        print(what, trial, file=sys.stderr)

    def start(self, root: Path, run_id: str, steers: bool = True) -> Any:
        process = self.context.Process(target=attempt, args=(root, run_id, self.folder / f"told-{run_id}", steers))
        process.start()
        return process

    def new(self, root: Path) -> str:
        return create_run(self.experiment, Workspace(root), None).id

    def reference(self) -> list[Event]:
        """The events of a run that nothing happened to."""
        root, noted = self.folder / f"reference-{self.name}", self.folder / f"reference-{self.name}.json"
        if not noted.exists():
            shutil.rmtree(root, ignore_errors=True)
            for _ in range(2):  # the first one also tokenises
                run_id = self.new(root)
                self.start(root, run_id, steers=False).join()
            assert run(Workspace(root), run_id).state is RunState.FINISHED, "the reference did not finish"
            noted.write_text(json.dumps(run_id))
        return list(run(Workspace(root), json.loads(noted.read_text())).events())

    def workspace(self) -> Path:
        """One for all trials: tables are stored and tokenised once."""
        root = self.folder / f"workspace-{self.name}"
        if not root.exists():
            shutil.copytree(self.folder / f"reference-{self.name}", root, ignore=shutil.ignore_patterns("runs", "mlruns", "mlflow*"))
        return root

    def verdict(self, root: Path, run_id: str) -> dict[str, Any]:
        found, wanted = run(Workspace(root), run_id), self.reference()
        if found.state is not RunState.FINISHED:
            error = found.error
            return {"equal": False, "why": f"{found.state}: {error.message if error else ''}"}
        compared = compare_replay(wanted, found.events())
        ends = [next(e for e in reversed(list(events)) if isinstance(e, Finished)) for events in (wanted, found.events())]
        tests = [
            [e.metrics for e in events if isinstance(e, Evaluated) and e.split == "test"][-1:] for events in (wanted, list(found.events()))
        ]
        same = tests[0] == tests[1] and (ends[0].best_step, ends[0].best) == (ends[1].best_step, ends[1].best)
        missing = [event.lines for event in found.series().missing]
        why = compared.difference or ("" if same else "the end differs") or (f"{missing} lines of the journal are gone" if missing else "")
        return {"equal": not why, "why": why, "steps": compared.steps}

    def finish(self, root: Path, run_id: str) -> None:
        for _ in range(ATTEMPTS):
            if run(Workspace(root), run_id).state in (RunState.FINISHED, RunState.FAILED):
                return
            self.start(root, run_id).join()

    def await_a_moment(self, process: Any, folder: Path) -> None:
        """Some steps, and a little more: a moment of the training, not of its start, however busy the machine is."""
        steps, journal = self.random.randrange(STEPS + BACK - STEERED), folder / "events.jsonl"
        while process.is_alive() and (not journal.exists() or journal.read_bytes().count(b'"StepDone"') < steps):
            time.sleep(0.002)
        time.sleep(self.random.uniform(0, 0.1))

    def kill(self) -> None:
        root = self.workspace()
        run_id = self.new(root)
        process = self.start(root, run_id)
        self.await_a_moment(process, Workspace(root).folder("runs", run_id))
        killed = process.is_alive()
        process.kill()
        process.join()
        at = max((e.step for e in run(Workspace(root), run_id).events() if isinstance(e, StepDone)), default=0)
        self.finish(root, run_id)
        self.end("kill", root, run_id, killed=killed, step=at)

    def watched(self, what: str, seen: Callable[[Path], bool], longest: float) -> None:
        """A kill in the moment when something is seen in the folder of checkpoints. longest: seconds more, at random."""
        root = self.workspace()
        run_id, turn = self.new(root), self.random.randrange(1, 7) if what == "change" else 1
        folder, process, before = Workspace(root).folder("runs", run_id) / "checkpoints", self.start(root, run_id), False
        while process.is_alive():
            now = seen(folder)
            turn -= now and not before
            before = now
            if now and not turn:
                time.sleep(self.random.uniform(0, longest))
                break
        killed = process.is_alive()
        process.kill()
        process.join()
        left = sorted(os.listdir(folder)) if folder.exists() else []
        self.finish(root, run_id)
        self.end(what, root, run_id, killed=killed, left=left)

    def back(self) -> None:
        self.watched("back", lambda folder: (folder / "back.json").exists(), 0.004)

    def change(self) -> None:
        self.watched("change", lambda folder: folder.exists() and any(name.startswith(".step-") for name in os.listdir(folder)), 0.03)

    def power(self) -> None:
        """Raises RuntimeError: no loop-mounted file system can be had here."""
        place = self.folder / "mounted"
        with mounted(self.folder / "disk.img", place) as again:
            root = place / "workspace"
            shutil.copytree(self.workspace(), root, ignore=shutil.ignore_patterns("runs"))
            run_id = self.new(root)
            os.sync()
            process = self.start(root, run_id)
            self.await_a_moment(process, Workspace(root).folder("runs", run_id))
            pull_the_plug(place)
            process.kill()
            process.join()
            again()
            told = self.folder / f"told-{run_id}"
            reported = [int(step) for step in told.read_text().split()] if told.exists() else []
            newest = next((read_manifest(folder).step for folder in steps(Workspace(root).folder("runs", run_id))), None)
            self.finish(root, run_id)
            last = reported[-1] if reported else None
            self.end("power", root, run_id, reported=last, found=newest, kept=last is None or (newest is not None and newest >= last))

    def damage(self) -> bool:
        """The next file and damage that were not tried; False: there is none left."""
        root, made = self.workspace(), self.folder / f"stopped-{self.name}.json"
        if not made.exists():
            run_id = self.new(root)
            folder, process = Workspace(root).folder("runs", run_id), self.start(root, run_id, steers=False)
            while process.is_alive() and find(folder, "step-12") is None:
                time.sleep(0.001)
            process.kill()
            process.join()
            made.write_text(json.dumps(run_id))
        whole = Workspace(root).folder("runs", json.loads(made.read_text()))
        newest = find(whole, "last")
        assert newest is not None
        files = sorted(path.relative_to(newest).as_posix() for path in newest.rglob("*") if path.is_file())
        tried = {(trial["file"], trial["damage"]) for trial in self.done("damage")}
        for file, damage in ((f, d) for f in files for d in DAMAGES if (f, d) not in tried):
            run_id = f"{random.getrandbits(48):012x}"
            shutil.copytree(whole, whole.parent / run_id)
            DAMAGES[damage](step_folder(whole.parent / run_id, read_manifest(newest).step) / file)
            self.finish(root, run_id)
            named = any(getattr(event, "damaged", None) for event in run(Workspace(root), run_id).events())
            self.end("damage", root, run_id, file=file, damage=damage, named=named)
            return True
        return False

    def end(self, what: str, root: Path, run_id: str, **more: Any) -> None:
        found = self.verdict(root, run_id)
        self.note(what, **more, **found)
        if found["equal"]:  # what went wrong stays to be looked at
            shutil.rmtree(Workspace(root).folder("runs", run_id))
            (self.folder / f"told-{run_id}").unlink(missing_ok=True)


def _turn_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1 << random.randrange(8)
    path.write_bytes(content)


@contextlib.contextmanager
def mounted(image: Path, place: Path, megabytes: int = 1500) -> Iterator[Callable[[], None]]:
    """An ext4 of its own at `place`; what is yielded mounts it anew, as after a power cut. Raises RuntimeError: it cannot be had."""
    place.mkdir(exist_ok=True)

    def mount() -> None:
        done = subprocess.run(["mount", "-o", "loop", str(image), str(place)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"mount: {done.stderr.strip()}")

    def again() -> None:
        subprocess.run(["umount", str(place)], check=True)
        mount()

    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    try:
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(f"mkfs.ext4: {error}") from error
    mount()
    try:
        yield again
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)
        image.unlink()


def pull_the_plug(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", WITHOUT_LOG))
    finally:
        os.close(descriptor)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", default="kill,back,change,power,damage")
    parser.add_argument("--n", type=int, default=20, help="trials of each sort; of damage, all")
    parser.add_argument("--encoder", default="tiny", help="tiny, minilm or a folder")
    parser.add_argument("--folder", type=Path, help="default: benchmarks/faults in the workspace")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    trials = Trials((options.folder or Workspace.default().folder("benchmarks", "faults")).resolve(), options.encoder)
    trials.reference()
    for what in options.only.split(","):
        try:
            while what == "damage" and trials.damage():
                pass
            while what != "damage" and len(trials.done(what)) < options.n:
                getattr(trials, what)()
        except RuntimeError as error:
            print(f"{what}: skipped ({error})", file=sys.stderr)
    found = {what: trials.done(what) for what in options.only.split(",")}
    if options.json:
        print(json.dumps(found))
    for what, tried in found.items():
        equal = sum(trial["equal"] and trial.get("kept", True) for trial in tried)
        print(f"{what}: {equal} of {len(tried)} as a run that nothing happened to", *[t for t in tried if not t["equal"]], sep="\n  ")
    return 0 if all(t["equal"] and t.get("kept", True) for tried in found.values() for t in tried) else 1


if __name__ == "__main__":
    from benchmarks import faults  # by its name, under which the processes that train find it

    sys.exit(faults.main())
