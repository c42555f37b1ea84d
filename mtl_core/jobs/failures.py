"""Why a run could not go on, in words for people."""

import errno
import os
import shutil
import traceback
from contextlib import suppress
from pathlib import Path

from mtl_core.base.faults import ExperimentError
from mtl_core.base.messages import N_
from mtl_core.base.room import held
from mtl_core.data.problems import DataError
from mtl_core.runtime.steps import steps
from mtl_core.tracking.recorder import Recorder
from mtl_core.training.events import Failed

ADVICE = {
    "data": N_("Correct the table or its columns on the page Data, then start again."),
    "experiment": N_("Correct the experiment, then start again."),
    "out_of_memory": N_("Use fewer tokens per micro-batch or a shorter max sequence length, then resume."),
    "disk": N_("Free disk space or fix the permissions of the folder, then resume the run."),
    "deleted": N_("What it had trained is gone with the folder. Start it again from its experiment, where that is kept."),
    "error": N_("The details are in error.txt in the run's folder. If there is a checkpoint, the run can be resumed."),
}


_ERRNOS = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EIO)
_SAID = (
    *(f"os error {number})" for number in _ERRNOS),
    *map(os.strerror, _ERRNOS),
    "database or disk is full",
    "disk I/O error",
    " requested and ",
)
"""What libraries with errors of their own say of it: safetensors in Rust's words, Arrow in the system's, SQLite and numpy in theirs."""


def is_of_the_disk(error: BaseException | None) -> bool:
    """Whether the disk did not take what was written, whichever library met it."""
    while error is not None:
        if (isinstance(error, OSError) and error.errno in _ERRNOS) or any(said in str(error) for said in _SAID):
            return True
        error = error.__cause__ or error.__context__
    return False


def failed(recorder: Recorder, error: Exception) -> Failed:
    """The event for an exception that got through; the traceback goes to error.txt beside the journal."""
    if not (recorder.folder / "events.jsonl").exists():  # and nothing is to be made in its place
        return Failed(recorder.series.step, "error", N_("The folder of the run was removed while it was at work."), ADVICE["deleted"])
    try:
        text = "".join(traceback.format_exception(error))
        (recorder.folder / "error.txt").write_text(text, "utf-8")
    except OSError:
        pass  # the message below is what is left
    reason, advice = "error", "error"
    if isinstance(error, DataError):
        reason = advice = "data"
    elif isinstance(error, ExperimentError):
        reason, advice = "data", "experiment"
    elif isinstance(error, MemoryError):
        reason = advice = "out_of_memory"
    elif is_of_the_disk(error):
        advice = "disk"
    own = type(error).__module__.startswith("mtl_core.")  # its text is a sentence for people
    said = str(error) if own else f"{type(error).__name__}: {error}"
    if advice == "disk" and not own:
        with suppress(OSError):  # a disk that is gone has no room to speak of
            said += f" ({_room(recorder.folder)})"
    return Failed(recorder.series.step, reason, said, ADVICE[advice])


def _room(run: Path) -> str:
    """What is free, and what a checkpoint takes as far as one is there to tell."""
    newest = next(steps(run), None)
    taken = held(newest) if newest else 0
    free = f"{shutil.disk_usage(run).free / 1e6:,.1f} MB are free on the disk of {run}"
    return f"{free}; a checkpoint takes up to {taken / 1e6:,.1f} MB" if taken else free
