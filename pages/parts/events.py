"""The log of a run: what was changed, what happened, and the experiment it was started with."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from mtl_core.base.messages import N_, Translate, plural
from mtl_core.jobs import jobs
from mtl_core.tracking.runs import Run
from mtl_core.training.events import (
    CheckpointSaved,
    Evaluated,
    EvaluatedAfterwards,
    Event,
    Failed,
    Finished,
    Missing,
    Paused,
    Predicted,
    Reported,
    Resumed,
    RowsMade,
    Started,
    Steered,
    TaskEnded,
)
from pages.parts import cells, changes, problems
from pages.parts.text import duration, number


def show(run: Run, _: Translate) -> None:
    """A fragment; the newest event first."""
    now = jobs().snapshot(run.id)
    problems.show(now.problems, _)
    changes.show(run, _)
    st.markdown(f"**{_('Events')}**")
    rows = [(event.step, *_row(event, _)) for event in reversed(now.events)]
    if rows:
        table = dict(zip((_("Step"), _("Event"), _("Details")), zip(*rows, strict=True), strict=True))
        cells.table(table, height="content", key="events", alt=_("The last events of the run, the newest first"))
    else:
        st.caption(_("Nothing has happened yet."))
    with st.expander(_("Experiment"), icon=":material/description:"):
        st.caption(_("As it was started; what was changed since is listed above."))
        st.code(run.experiment_yaml, language="yaml")
    st.download_button(
        _("Download experiment"),
        run.experiment_yaml,
        file_name=f"{run.name}.yaml",
        mime="application/yaml",
        icon=":material/download:",
        on_click="ignore",
        key="download_run",
    )


def _row(event: Event, _: Translate) -> tuple[str, str]:
    """The event in a word, and what it says."""
    word, details = _ROWS.get(type(event), (type(event).__name__, lambda event, _: ""))
    return _(word), details(event, _)


def _evaluated(event: Any, _: Translate) -> str:
    best = " · " + _("best so far") if event.is_best else ""
    split = {"validation": _("Validation split"), "test": _("Test split")}[event.split]
    return f"{split} · " + _("objective {value}").format(value=number(event.objective)) + best


def _steered(event: Any, _: Translate) -> str:
    if event.refused:
        return f"{_('Refused:')} {event.refused}"
    return "; ".join(changes.in_words(path, event.old.get(path), new, _) for path, new in event.new.items())


def _resumed(event: Any, _: Translate) -> str:
    if not event.from_checkpoint:
        return ""
    if not event.damaged:
        return _("from the last checkpoint")
    damaged = "; ".join(f"{name} ({why})" for name, why in event.damaged.items())
    text = _("from the checkpoint of step {step}, as newer ones are damaged: {damaged}. The steps after it are repeated.")
    return text.format(step=event.step, damaged=damaged)


def _finished(event: Any, _: Translate) -> str:
    why = {"steps": N_("all steps done"), "patience": N_("patience ran out"), "asked": N_("asked by a person")}
    return _(why.get(event.why, event.why)) + " · " + _("best step {step}").format(step=event.best_step)


def _counts(rows: dict[str, int]) -> str:
    return ", ".join(f"{task} {n:,}" for task, n in rows.items())


_ROWS: dict[type[Event], tuple[str, Callable[[Any, Translate], str]]] = {
    Started: (
        N_("Started"),
        lambda e, _: f"{e.device}, {e.precision}, " + _(plural(e.n_steps, N_("1 step"), N_("{n} steps"))).format(n=f"{e.n_steps:,}"),
    ),
    Evaluated: (N_("Evaluated"), _evaluated),
    EvaluatedAfterwards: (N_("Evaluated"), lambda e, _: f"{_('Test split')} · {duration(e.seconds, _)}"),
    Steered: (N_("Changed"), _steered),
    CheckpointSaved: (N_("Checkpoint saved"), lambda e, _: e.name),
    Paused: (N_("Paused"), lambda e, _: ""),
    Resumed: (N_("Resumed"), _resumed),
    Missing: (N_("Journal damaged"), lambda e, _: _("missing or altered lines: {n}").format(n=f"{e.lines:,}")),
    RowsMade: (N_("Rows made"), lambda e, _: _counts(e.rows)),
    Reported: (N_("Report written"), lambda e, _: e.path),
    Predicted: (N_("Predictions written"), lambda e, _: _counts(e.rows)),
    TaskEnded: (N_("Task stopped"), lambda e, _: f"{e.task}: {e.then}"),
    Failed: (N_("Failed"), lambda e, _: _(e.message)),
    Finished: (N_("Finished"), _finished),
}
