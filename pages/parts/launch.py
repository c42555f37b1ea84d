"""The start of a run, or of several with seeds of their own; and the experiment as a file."""

from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from mtl_core.base.messages import Translate
from mtl_core.config.experiment import Experiment
from mtl_core.config.seeds import MOST_SEEDS, with_seeds
from mtl_core.jobs import jobs
from mtl_core.studies.estimates import BACKGROUND
from pages.parts.clicks import Once, clicked, then
from pages.parts.frame import workspace
from pages.parts.placed import labelled
from pages.parts.source import Source
from pages.parts.url import keep

SEEDS = range(1, MOST_SEEDS + 1)


class Places:
    """Where the start stands, taken before what is started is known: in sight, and nothing moves when it comes."""

    def __init__(self, bar: DeltaGenerator, _: Translate):
        hint = _("How many runs, each with the next seed and otherwise the same: how far they lie apart is what chance does.")
        with bar:
            self.seeds = labelled(_("Seeds"), 206, hint)
        self.button = bar.container(width=132)  # behind what is there before it
        self.estimate = bar.container(width=340, height=64, border=False, vertical_alignment="bottom")  # three lines


def show(experiment: Experiment | None, found: Source, why: str, places: Places, below: DeltaGenerator, _: Translate) -> None:
    """experiment: what would be started; None where it cannot be, and why."""
    keep("n_seeds", 1, SEEDS)
    with places.seeds:
        st.segmented_control(_("Seeds"), SEEDS, key="n_seeds", required=True, label_visibility="collapsed", width="stretch")
    with places.button:
        once = clicked(
            _("Start training"),
            "start",
            type="primary",
            icon=":material/play_arrow:",
            disabled=experiment is None,
            help=why or None,
            width="stretch",
        )
    if once and experiment:
        then(partial(_submit, experiment, found, once))
    if why:
        below.warning(why, icon=":material/block:")


def _submit(experiment: Experiment, found: Source, once: Once[list[str]]) -> None:
    """The page goes to the first of the runs; the others wait in the queue behind it."""
    runs = with_seeds(experiment, range(experiment.seed, experiment.seed + st.session_state.n_seeds))

    def start() -> list[str]:
        BACKGROUND.stop()
        return [jobs().submit(run, workspace(), found.base, contained=found.contained) for run in runs]

    st.session_state.run = once(start)[0]


def file(experiment: Experiment, _: Translate) -> None:
    text = experiment.to_yaml(whole=False)
    with st.expander(_("The experiment as a file"), icon=":material/code:"):
        st.download_button(
            _("Download experiment"),
            text,
            file_name=f"{experiment.name}.yaml",
            mime="application/yaml",
            icon=":material/download:",
            on_click="ignore",
            key="download",
        )
        st.code(text, language="yaml", height=400)


def again(run_id: str) -> None:
    """Before the start once more, with the settings of a run, not those that were made of them earlier."""
    for key in [key for key in st.session_state if str(key).startswith(f"{run_id}.")]:
        del st.session_state[key]
    st.session_state["from"] = run_id
    st.session_state.run = None
