"""How a run's state looks: the same word, sign and colour on every page."""

from datetime import datetime
from typing import Any

import streamlit as st

from mtl_core.base.messages import N_, Translate
from mtl_core.tracking.runs import Run

STYLES: dict[str, tuple[str, str, Any]] = {  # state → word, icon, colour
    "queued": (N_("Queued"), ":material/schedule:", "gray"),
    "running": (N_("Running"), ":material/play_circle:", "blue"),
    "paused": (N_("Paused"), ":material/pause_circle:", "orange"),
    "finished": (N_("Finished"), ":material/check_circle:", "green"),
    "stopped": (N_("Stopped"), ":material/stop_circle:", "violet"),
    "failed": (N_("Failed"), ":material/error:", "red"),
    "interrupted": (N_("Interrupted"), ":material/power_off:", "orange"),
}


def badge(state: str, translate: Translate) -> None:
    word, icon, color = STYLES[state]
    st.badge(translate(word), icon=icon, color=color)


def steered(translate: Translate) -> None:
    """Beside a run whose experiment alone does not say how it came about."""
    st.badge(translate("Steered"), icon=":material/tune:", color="yellow", help=translate("Something was changed during training."))


def word(state: str, translate: Translate) -> str:
    return translate(STYLES[state][0])


def run_label(run: Run) -> str:
    """A run in a list to choose from. Not its state: Streamlit knows an option by its label, which must not change."""
    return f"{run.name} · {moment(run.created)} · {run.id}"


def moment(created: datetime) -> str:
    """A point in time as year-month-day hours:minutes, in the server's time zone."""
    return created.astimezone().strftime("%Y-%m-%d %H:%M")
