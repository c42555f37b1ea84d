"""What a person changed while a run trained: in words, as marks on charts, and the way back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from mtl_core.base.faults import ExperimentError
from mtl_core.base.messages import N_, Translate
from mtl_core.base.trash import freed_by
from mtl_core.config.steering import differing
from mtl_core.jobs import jobs
from mtl_core.runtime.steps import PLACES, is_pinned, pin, places
from mtl_core.tracking.runs import Run, RunError, RunState, Series
from mtl_core.training.events import Steered
from pages.parts.text import plain, size


def marks(series: Series, _: Translate) -> list[tuple[int, str, str]]:
    """For `plots.mark`: every change that took effect."""
    found = []
    for change in series.steered:
        if not change.refused:
            words = [in_words(path, change.old.get(path), new, _) for path, new in change.new.items()]
            short = words[0] if len(words) == 1 else _("{n} changes").format(n=len(words))
            found.append((change.step, short, _("Step {step}").format(step=change.step) + ": " + "; ".join(words)))
    return found


def in_words(path: str, old: Any, new: Any, _: Translate) -> str:
    """`search: 1 → 2`, `Learning rate: 0.0001 → 0.0002`, `Sampling: uniform → temperature`."""
    what = path.split(".")[1] if path.startswith("tasks.") else _(_TITLES.get(path, path))
    return f"{what}: {_short(old)} → {_short(new)}"


_TITLES = {  # as the settings are called on the page
    "optimizer.learning_rate": N_("Learning rate"),
    "optimizer.head_learning_rate": N_("Learning rate of the heads"),
    "early_stopping.patience": N_("Patience"),
    "sampling": N_("Sampling"),
}


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        options = ", ".join(f"{name} {_short(own)}" for name, own in (value.get("options") or {}).items())
        return f"{value.get('name', '')} ({options})" if options else str(value.get("name", ""))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def show(run: Run, _: Translate) -> None:
    """The changes in their order, each with the way back to before it, where there is one."""
    steered = jobs().snapshot(run.id).series.steered
    if not steered:
        return
    st.markdown(f"**{_('Changed while it trained')}**")
    there = _places(run)
    for number, change in enumerate(steered):
        _change(run, change, there, f"change_{number}", _)
    _refused(_)


def awaited(old: Mapping[str, Any], new: Mapping[str, Any], _: Translate) -> None:
    """What was applied and does not hold yet."""
    if new:
        what = "; ".join(in_words(path, old.get(path), value, _) for path, value in new.items())
        st.caption(":material/schedule: " + plain(_("From the next step on: {what}").format(what=what)))


def not_taken_over(run: Run, _: Translate) -> None:
    """Of a steered run that is to be started again: with which settings."""
    text = _("Settings were changed while this run trained. These are the ones that it was started with.")
    old, new = differing(run.experiment, jobs().experiment_now(run))
    if new:
        what = "; ".join(in_words(path, old[path], value, _) for path, value in new.items())
        text += " " + _("Changed by its end, and not taken over: {what}.").format(what=plain(what))
    st.info(text, icon=":material/tune:")


def newest(run: Run, _: Translate) -> None:
    """The last change, beside the sliders; the others are in the log."""
    steered = jobs().snapshot(run.id).series.steered
    if steered:
        _change(run, steered[-1], _places(run), "newest", _)
    _refused(_)


def _change(run: Run, change: Steered, there: Mapping[int, Path], key: str, _: Translate) -> None:
    """there: step → the checkpoint to go back to."""
    with st.container(horizontal=True, vertical_alignment="center", key=key, gap="small"):
        _line(change, _)
        step = change.step - 1
        if not change.refused and (folder := there.get(step)):
            st.button(
                _("Go back to step {step}").format(step=step),
                icon=":material/undo:",
                key=f"back_{key}",
                on_click=_go_back,
                args=(run.id, step),
                help=_("Training resumes from the checkpoint before this change; everything after it is discarded."),
            )
            _pin(folder, key, _)


def _pin(folder: Path, key: str, _: Translate) -> None:
    """What the place takes on the disk, and whether it stays."""
    pinned = is_pinned(folder)
    st.button(
        size(freed_by(folder)),
        icon=":material/keep:" if pinned else ":material/keep_off:",
        key=f"pin_{key}",
        type="tertiary",
        on_click=pin,
        args=(folder, not pinned),
        help=_("Pinned: this checkpoint is kept until you unpin it.")
        if pinned
        else _("Size of this checkpoint. Only the last {n} are kept, unless you pin them here.").format(n=PLACES),
    )


def _refused(_: Translate) -> None:
    if refused := st.session_state.pop("back_refused", None):
        st.error(plain(refused.text(_)), icon=":material/error:")


def _line(change: Steered, _: Translate) -> None:
    step = _("Step {step}").format(step=change.step)
    if change.refused:
        st.markdown(f":material/block: **{step}** {_('Refused:')} {plain(change.refused)}", width="content")
        return
    words = "; ".join(in_words(path, change.old.get(path), new, _) for path, new in change.new.items())
    st.markdown(f":material/tune: **{step}** {plain(words)}", width="content")


def _places(run: Run) -> dict[int, Path]:
    """Step → the checkpoint to go back to: none after the test split was looked at, nor where another program trains."""
    can = jobs().control(run.id) is not None or run.state in (RunState.INTERRUPTED, RunState.FAILED)
    return places(run.folder) if can else {}


def _go_back(run_id: str, step: int) -> None:
    try:
        jobs().go_back(run_id, step)
    except (RunError, ExperimentError) as error:
        st.session_state.back_refused = getattr(error, "message", None)
