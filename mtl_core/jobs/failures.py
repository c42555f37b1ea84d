"""Why a run could not go on, in words for people."""

import errno
import traceback

from mtl_core.base.faults import ExperimentError
from mtl_core.base.messages import N_
from mtl_core.data.problems import DataError
from mtl_core.tracking.recorder import Recorder
from mtl_core.training.events import Failed

ADVICE = {
    "data": N_("Correct the table or its columns on the page Data, then start again."),
    "experiment": N_("Correct the experiment, then start again."),
    "out_of_memory": N_("Use fewer tokens per micro-batch or a shorter max sequence length, then resume."),
    "disk": N_("Free disk space or fix the permissions of the folder, then resume the run."),
    "error": N_("The details are in error.txt in the run's folder. If there is a checkpoint, the run can be resumed."),
}


def failed(recorder: Recorder, error: Exception) -> Failed:
    """The event for an exception that got through; the traceback goes to error.txt beside the journal."""
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
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EIO):
        advice = "disk"
    own = type(error).__module__.startswith("mtl_core.")  # its text is a sentence for people
    return Failed(recorder.series.step, reason, str(error) if own else f"{type(error).__name__}: {error}", ADVICE[advice])
