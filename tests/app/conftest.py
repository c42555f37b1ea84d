"""Pages run in this process by Streamlit's own AppTest, through `app.py` as in a browser."""

import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest, app_test

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_yaml
from mtl_core.evaluation.predictions import write_report
from mtl_core.jobs import Work, jobs
from mtl_core.studies.estimates import BACKGROUND
from mtl_core.tracking.runs import Run, run
from mtl_core.training.control import Control
from mtl_core.training.events import (
    CheckpointSaved,
    Evaluated,
    Event,
    Finished,
    Paused,
    Reported,
    Resumed,
    Started,
    Steered,
    StepDone,
)

ROOT = Path(__file__).parents[2]
METRICS = {"intent": {"accuracy": 0.5, "macro_f1": 0.4}, "search": {"ndcg_at_10": 0.6, "auc": 0.7}}
PANELS = {
    "intent": [
        {"type": "matrix", "title": "Confusion matrix", "data": {"labels": ["a", "<b>"], "values": [[3, 1], [0, 4]]}},
        {"type": "table", "title": "Classification report", "data": {"columns": ["class", "precision"], "rows": [["a", 0.75]]}},
    ]
}
EXPERIMENT = experiment_from_yaml("""
name: two tasks
training: {device: cpu}
data: {t: {file: messages.csv}}
tasks:
  intent: {kind: classification, data: t, columns: {text: message, label: intent}}
  search: {kind: search, data: t, columns: {query: message, product: message, label: split}}
""")

Open = Callable[..., AppTest]


@pytest.fixture(scope="session", autouse=True)
def scanned_once() -> Iterator[None]:
    """Streamlit looks through all installed packages for components of its own whenever an AppTest is made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", functools.cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(scope="session", autouse=True)
def through_app_py() -> Iterator[None]:
    """An AppTest forgets before each run that `st.navigation` was called, and would run the page by itself; a server does not forget."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app_test, "PagesManager", type("Remembering", (PagesManager,), {}))
        yield


@pytest.fixture(scope="session", autouse=True)
def nothing_estimated() -> Iterator[None]:
    """A page that is drawn twice starts a process that loads torch and tries the machine, beside the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BACKGROUND, "start", lambda *_: None)
        yield


@pytest.fixture
def opened(workspace: Workspace) -> Open:
    """opened("train", run="…"): the page, drawn once, with what stands in its URL."""

    def visit(page: str, **query: str) -> AppTest:
        PagesManager.uses_pages_directory = None  # as of a server whose first visitor this is
        at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        at.query_params |= {"lang": "en", **query}
        if page != "home":  # by its link, as the first page that is opened
            at.switch_page(f"pages/{page}.py")
        return no_exception(at.run())

    return visit


def no_exception(at: AppTest) -> AppTest:
    assert not at.exception, at.exception[0].message
    return at


class Script:
    """A training of ten steps that does what `control` asks, and takes a step when the test says so: `go(n)`."""

    def __init__(self) -> None:
        self._steps = threading.Semaphore(0)
        self._drawn = threading.Condition()
        self.step = 0
        self.weights = {"intent": 1.0, "search": 2.0}

    def go(self, n: int = 1) -> None:
        self._steps.release(n)

    def wait_for_step(self, step: int) -> None:
        with self._drawn:
            assert self._drawn.wait_for(lambda: self.step >= step, timeout=60)

    def __call__(self, control: Control) -> Iterator[Event]:
        yield Started(0, 10, "cpu", "float32", {t: {"train": 8, "validation": 2, "test": 2} for t in self.weights}, 10, 20, self.weights)
        yield Evaluated(0, "validation", dict.fromkeys(self.weights, 2.0), METRICS, 0.5, 0.1)
        for step in range(1, 11):
            self._steps.acquire()
            if control.paused:
                yield Paused(step)
                control.wait_while_paused()
                yield Resumed(step)
            asked = control.take(step - 1)
            for changes in asked.changes:
                steered = Steered(step, dict.fromkeys(changes, 1.0), changes)
                yield steered
                self.weights = {**self.weights, **steered.weights}
            if asked.stop:
                break
            losses = {"intent": 2 / step, "search": 1 / step}
            yield StepDone(step, losses, sum(losses.values()), 1e-4, 1.0, dict.fromkeys(losses, 4), 100, 0.1, 2**30)
            with self._drawn:
                self.step = step
                self._drawn.notify_all()
        yield Evaluated(self.step, "validation", dict.fromkeys(self.weights, 1.0), METRICS, 0.6, 0.1, True)
        yield CheckpointSaved(self.step, "last", "checkpoints/last")
        yield Reported(self.step, "test", "reports/test.json")
        state = "stopped" if control.stopping else "finished"
        yield Finished(self.step, state, "steps", self.step, METRICS, METRICS, METRICS, 1.0)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def start(workspace: Workspace, script: Script) -> Iterator[Callable[[Work], str]]:
    """Starts a run of this process; those still going at the end of the test are stopped."""

    def submit(work: Work) -> str:
        return jobs().submit(EXPERIMENT, workspace, ROOT / "data", work=work)

    yield submit
    for run_id in jobs().active(workspace):
        control = jobs().control(run_id)
        if control is not None:
            control.stop()
            script.go(20)
            assert jobs().wait(run_id, timeout=60)


@pytest.fixture
def finished(workspace: Workspace, script: Script, start: Callable[[Work], str]) -> Run:
    """A run that has ended, with results and reports."""
    script.go(10)
    run_id = start(script)
    assert jobs().wait(run_id, timeout=60)
    found = run(workspace, run_id)
    write_report(found.folder, "test", PANELS)
    return found
