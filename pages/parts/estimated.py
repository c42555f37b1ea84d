"""What the training will take, beside the start: measured in the background once nobody has changed anything for a moment."""

import shutil
from collections.abc import Iterable

import streamlit as st

from mtl_core.base.messages import N_, Translate, plural
from mtl_core.config.experiment import Experiment, ExperimentError, experiment_from_dict
from mtl_core.data.problems import DataError
from mtl_core.jobs import jobs
from mtl_core.studies.estimates import BACKGROUND, BUSY, key, known
from mtl_core.training.estimate import Estimate, estimate
from pages.parts.edits import Edit, without
from pages.parts.frame import workspace
from pages.parts.source import Source
from pages.parts.text import duration, plain, rough, size

_EVERY = 2.0  # seconds
_LEAST = 0.02  # of the time; a smaller change of it is not worth a word


def of(experiment: Experiment, found: Source) -> Estimate | None:
    """None where it was not measured yet."""
    try:
        measured = known(key(experiment, workspace(), found.base, found.contained), workspace())
    except (DataError, OSError):
        return None
    return estimate(experiment, measured) if measured else None


def effect(edit: Edit, experiment: Experiment, found: Source, wanted: list[Experiment], _: Translate) -> str:
    """What an edit costs, in words; empty where that is nothing. wanted: gets what has to be measured to tell."""
    try:
        before = experiment_from_dict(without(found.experiment, experiment, edit))
    except ExperimentError:
        return ""
    then, now = of(before, found), of(experiment, found)
    if then is None:
        wanted.append(before)
    if then is None or now is None:
        return ""
    seconds, memory = now.seconds - then.seconds, now.memory_bytes - then.memory_bytes
    parts = []
    if abs(seconds) > max(1.0, _LEAST * then.seconds):
        parts.append(("+" if seconds > 0 else "−") + duration(abs(seconds), _))
    if abs(memory) > 0.05 * 2**30:
        parts.append(("+" if memory > 0 else "−") + f"{abs(memory) / 2**30:.1f} GiB")
    return ", ".join(parts)


def show(experiment: Experiment, found: Source, others: Iterable[Experiment], _: Translate) -> None:
    """others: whose measurements tell what single edits cost."""
    missing = [one for one in (experiment, *others) if of(one, found) is None]
    st.fragment(_body, run_every=_EVERY if missing else None)(experiment, found, missing, _)


def _body(experiment: Experiment, found: Source, missing: list[Experiment], _: Translate) -> None:
    still = [one for one in missing if of(one, found) is None]
    if len(still) < len(missing):
        st.rerun()
    now = of(experiment, found)
    if now is not None:
        _said(now, _)
    if not still:
        return
    try:
        name = key(still[0], workspace(), found.base, found.contained)
    except (DataError, OSError) as error:
        st.caption(plain(str(error)))
        return
    looked_before, st.session_state["estimate.asked"] = st.session_state.get("estimate.asked") == name, name
    if name in BACKGROUND.failed:
        if now is None:
            st.caption(":material/timer_off: " + _("No estimate: {why}").format(why=plain(BACKGROUND.failed[name])))
    elif jobs().active(workspace()):
        if now is None:
            st.caption(":material/timer: " + _("Time and memory are estimated when no run is training."))
    else:
        if now is None:
            st.caption(":material/timer: " + _("Estimating time and memory: a few steps are tried on this machine …"))
        if looked_before:  # a slider that is being moved asks for another one every time
            BACKGROUND.start(name, still[0], workspace(), found.base, found.contained)


def _said(now: Estimate, _: Translate) -> None:
    n = st.session_state.get("n_seeds") or 1
    passes = f"{now.passes:.3g}"
    words = [
        "**" + _("About {time}").format(time=rough(now.seconds * n, _)) + "**",
        _(plural(now.steps * n, N_("1 step"), N_("{n} steps"))).format(n=f"{now.steps * n:,}"),
        _(plural(now.examples * n, N_("1 row drawn"), N_("{n} rows drawn"))).format(n=f"{now.examples * n:,}"),
        _(plural(float(passes), N_("1 pass"), N_("{passes} passes"))).format(passes=passes),
        _("{size} GiB of memory").format(size=f"{now.memory_bytes / 2**30:.1f}"),
        _("{size} of disk").format(size=size(now.disk_bytes)),
        now.device.upper(),
    ]
    if now.others >= BUSY:
        words.append(_("measured while other programs used {n} cores").format(n=f"{now.others:.1f}"))
        hint = _("Estimated from a few steps tried on this machine while it had other work: with nothing else running it is faster.")
    else:
        hint = _("Estimated from a few steps tried on this machine, with nothing else running. What else it has to do makes it slower.")
    st.caption(":material/timer: " + " · ".join(words), help=hint)
    free = shutil.disk_usage(workspace().folder()).free
    if free < now.disk_bytes:
        short = _("The disk of the workspace has {free} free: not enough for the checkpoints of this training ({needed}).")
        st.warning(short.format(free=size(free), needed=size(now.disk_bytes)), icon=":material/hard_drive:")
