"""Runs' journals written to MLflow by a thread of its own, off the way of training. No torch; mlflow is loaded in that thread only.

The journal is the source of truth; `mlflow.json` in a run's folder says how far it has been written. A store that is slow or gone
delays the thread and nothing else: it tries again, later and later, and goes on where it was, also after a restart. A batch
that was written but not noted (a kill in between) is written again with the same times and values, which MLflow stores once.
"""

import json
import logging
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import Timeout

from mtl_core.base.faults import ExperimentError
from mtl_core.base.files import link, write_atomically
from mtl_core.base.workspace import Workspace
from mtl_core.tracking import mlflow_store
from mtl_core.tracking.runs import Owner, Run, RunState, list_runs
from mtl_core.training.events import Evaluated, Event, Finished, Started, Steered, StepDone

if TYPE_CHECKING:
    from mlflow import MlflowClient

TAG = "mtl_run"
MOST_METRICS = 1000  # MLflow's limits for one batch
MOST_PARAMETERS = 100
MOST_POINTS = 2000  # training steps of one run that are written; the journal has them all
_LOG = logging.getLogger(__name__)


class MlflowMirror:
    """Writes the runs that this process owns, and those whose process is gone. One thread a workspace, a daemon.

    only:     a run's id: leave all others alone (the command line).
    interval: seconds between two looks at the journals; after a failure 1, 2, 4 ... at most 60.
    """

    def __init__(self, workspace: Workspace, only: str | None = None, interval: float = 5.0):
        self.workspace = workspace
        self.error: str | None = None  # why the last attempt failed, None when it did not
        self._only = only
        self._interval = interval
        self._client: MlflowClient | None = None
        self._store: tuple[int, int] | None = None  # the embedded store's file that the client is connected to
        self._seen: tuple[int, int] | None = None  # the one that `_closed` speaks of
        self._rebuild = threading.Event()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._passed = threading.Condition()
        self._passes = self._failed_passes = 0
        self._behind = True  # whether the last pass left something to write
        self._failures: Counter[str] = Counter()  # by run, in a row
        self._closed: dict[str, int] = {}  # run → size of its journal when all of it was written
        self._thread = threading.Thread(target=self._work, name="mtl-mlflow", daemon=True)

    def start(self) -> "MlflowMirror":
        self._thread.start()
        return self

    def wake(self) -> None:
        """Something new is there: look now."""
        self._wake.set()

    def rebuild(self) -> None:
        """Sets the workspace's own store aside and writes every run to a new one. Returns at once."""
        self._rebuild.set()
        self._wake.set()

    def flush(self, timeout: float) -> bool:
        """Waits until no run goes on and everything is written, at most `timeout` seconds, and at most three failed attempts.

        Otherwise False; a later process goes on.
        """
        end = time.monotonic() + timeout
        with self._passed:
            first = self._passes + 1  # the pass that is under way may have looked before the last event
            failed = self._failed_passes
            self._wake.set()
            while time.monotonic() < end and self._thread.is_alive() and self._failed_passes < failed + 3:
                if self._passes > first and not self._behind:
                    return True
                if self.error is None:
                    self._wake.set()
                self._passed.wait(min(0.2, max(0.0, end - time.monotonic())))
        return False

    def stop(self, timeout: float = 10.0) -> None:
        """Ends the thread after what it is doing."""
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout)

    def _work(self) -> None:
        wait = 0.0
        while not self._stop.is_set():
            self._wake.clear()
            active, written, failure = self._pass()
            if failure is None:
                wait = self._interval if active else 60.0
                self.error = None
            else:
                wait = self._interval if written else min(60.0, max(1.0, 2 * wait)) if self.error else 1.0
                reason = mlflow_store.without_passwords(f"{type(failure).__name__}: {failure}".splitlines()[0])
                if reason != self.error:
                    _LOG.warning("MLflow cannot be written now, it will be tried again: %s", reason)
                self.error = reason
                self._drop_client()
            with self._passed:
                self._behind = active or failure is not None
                self._passes += 1
                self._failed_passes += failure is not None
                self._passed.notify_all()
            self._wake.wait(wait)

    def _drop_client(self) -> None:
        mlflow_store.close(self._client)
        self._client = None

    def _connected(self) -> "MlflowClient":
        """Only under the store's lock."""
        if self._client is not None and self._store != mlflow_store.identity(self.workspace):
            self._drop_client()  # another process made the store anew, or a person removed it
        if self._client is None:
            self._client = mlflow_store.connect(self.workspace)
            self._store = mlflow_store.identity(self.workspace)
        return self._client

    def _pass(self) -> tuple[bool, bool, Exception | None]:
        """One look at every run → whether a run goes on, whether anything could be written, what failed."""
        active, written, failure, failed = False, False, None, 0
        try:
            if self._rebuild.is_set():
                with mlflow_store.lock(self.workspace, timeout=10):
                    mlflow_store.rebuild(self.workspace)
                self._rebuild.clear()
            if (store := mlflow_store.identity(self.workspace)) != self._seen:  # made anew, or removed by hand
                self._seen = store
                self._closed.clear()
            runs = [run for run in list_runs(self.workspace) if self._only in (None, run.id)]
        except Exception as error:  # noqa: BLE001 - as below
            return True, False, error
        for run in sorted(runs, key=lambda r: self._failures[r.id]):  # one that always fails must not stand before the others
            size = run.journal.stat().st_size if run.journal.exists() else 0
            if self._closed.get(run.id) == size or (run.status["state"] == RunState.QUEUED and size == 0):
                continue
            if run.state.live and run.owner != Owner.current():
                continue  # its own process writes it
            try:
                with mlflow_store.lock(self.workspace, timeout=1):
                    done = self._mirror(run)
            except Timeout:
                active = True  # another process writes its runs: these come later
                break
            except Exception as error:  # noqa: BLE001 - whatever a store, its driver or a network throws: training must not notice
                failure, failed = error, failed + 1
                self._failures[run.id] += 1
                if failed == 3:  # it is the store: each more would wait as long
                    break
                continue
            written = True
            self._failures[run.id] = 0
            if done:
                self._closed[run.id] = size
            active = active or not done
        return active, written, failure

    def _mirror(self, run: Run) -> bool:
        """Writes what is new of one run. Returns whether it has ended and all of it is written."""
        state = _read_state(run)
        ended = not run.state.live
        size = run.journal.stat().st_size if run.journal.exists() else 0
        if ended and state.get("closed") == [size, run.state.value] and mlflow_store.there(self.workspace):
            return True
        client = self._connected()
        state = _read_state(run)  # a new store knows no run
        mlflow_id = self._mlflow_run(client, run, state)
        for metrics, progress in _batches(run, state):
            if metrics:
                client.log_batch(mlflow_id, metrics=metrics)
            state.update(progress)
            _write_state(run, state)
            if self._stop.is_set():
                return False
        if not ended:
            return False
        self._log_artifacts(client, mlflow_id, run)
        outcome = {RunState.FINISHED: "FINISHED", RunState.FAILED: "FAILED"}.get(run.state, "KILLED")
        client.set_tag(mlflow_id, "mtl_state", run.state.value)
        client.set_terminated(mlflow_id, outcome, end_time=int(1000 * (run.status.get("ended") or time.time())))
        _write_state(run, {**state, "closed": [size, run.state.value]})
        return run.refreshed().status == run.status

    def _mlflow_run(self, client: "MlflowClient", run: Run, state: dict[str, Any]) -> str:
        """The run in MLflow, made when there is none; when the store has lost it, everything is written again."""
        from mlflow.entities import Param, RunTag
        from mlflow.exceptions import MlflowException

        if "run_id" in state:
            try:
                if client.get_run(state["run_id"]).info.status != "RUNNING":
                    client.update_run(state["run_id"], status="RUNNING")
                return str(state["run_id"])
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                state.clear()
        experiment_id = mlflow_store.experiment_id(client, self.workspace)
        found = client.search_runs([experiment_id], filter_string=f"tags.{TAG} = '{run.id}'", max_results=1)
        if found:  # made by a process that was killed before it could note it
            mlflow_id = found[0].info.run_id
        else:
            tags = {TAG: run.id, "mtl_folder": str(run.folder)}
            created = client.create_run(experiment_id, start_time=int(1000 * run.status["created"]), tags=tags, run_name=run.name)
            mlflow_id = created.info.run_id
        try:
            described = run.experiment.model_dump(mode="json")
        except ExperimentError:  # of another version: its file lies beside the metrics all the same
            described = {}
        parameters = [Param(k, v) for k, v in flat_parameters(described).items()]
        for i in range(0, len(parameters), MOST_PARAMETERS):
            client.log_batch(mlflow_id, params=parameters[i : i + MOST_PARAMETERS])
        client.log_batch(mlflow_id, tags=[RunTag("mtl_state", RunState.RUNNING.value)])
        if (described_in := run.folder / "experiment.yaml").exists():
            client.log_artifact(mlflow_id, str(described_in))
        state["run_id"] = mlflow_id
        _write_state(run, state)
        return str(mlflow_id)

    def _log_artifacts(self, client: "MlflowClient", mlflow_id: str, run: Run) -> None:
        """Reports and checkpoints. In a store on this disk checkpoints are hard links: they take no second place."""
        from mlflow.utils.file_utils import local_file_uri_to_path

        for split in ("validation", "test"):
            if reports := run.reports(split):
                client.log_dict(mlflow_id, reports, f"reports/{split}.json")
        if error := run.status.get("error"):
            client.log_dict(mlflow_id, error, "error.json")
        uri = client.get_run(mlflow_id).info.artifact_uri or ""
        for name in ("best", "last"):
            folder = run.checkpoint(name)
            if folder is None:
                continue
            if uri.startswith("file:") or ":" not in uri:
                _link(folder, Path(local_file_uri_to_path(uri)) / "checkpoints" / name)
            elif name == "best":  # a server elsewhere: only what is worth its way
                client.log_artifacts(mlflow_id, str(folder), f"checkpoints/{name}")


def flat_parameters(experiment: Mapping[str, Any]) -> dict[str, str]:
    """{"tasks": {"ads": {"weight": 2}}} → {"tasks.ads.weight": "2"}; names and values as MLflow takes them (250 and 6000 characters)."""

    def walk(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
        for key, value in values.items():
            path = prefix + re.sub(r"[^\w .-]", "_", str(key))
            if isinstance(value, Mapping) and value:
                yield from walk(value, f"{path}.")
            else:
                text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
                yield path[:250], text[:6000]

    return dict(walk(experiment, ""))


def event_metrics(event: Event) -> dict[str, float]:
    """What MLflow keeps of an event, by its name there."""
    if isinstance(event, Started):
        return {f"weight/{task}": weight for task, weight in event.weights.items()}
    if isinstance(event, Steered):
        return {f"weight/{task}": weight for task, weight in event.weights.items()}
    if isinstance(event, StepDone):
        speed = {"tokens_per_second": event.tokens / event.seconds} if event.seconds > 0 else {}
        return {
            **{f"train/{task}/loss": loss for task, loss in event.losses.items()},
            **{f"effective_weight/{task}": factor for task, factor in event.effective.items()},
            "train/loss": event.total_loss,
            "learning_rate": event.learning_rate,
            "gradient_norm": event.gradient_norm,
            "memory_bytes": event.memory_bytes,
            **speed,
        }
    if isinstance(event, Evaluated):
        return {
            **{f"{event.split}/{task}/loss": loss for task, loss in event.losses.items()},
            **{f"{event.split}/{task}/{m}": v for task, metrics in event.metrics.items() for m, v in metrics.items()},
            f"{event.split}/objective": event.objective,
        }
    if isinstance(event, Finished):
        parts = {"before": event.before, "best": event.best}  # the test's are in its own event
        return {f"{p}/{task}/{m}": v for p, metrics in parts.items() for task, values in metrics.items() for m, v in values.items()}
    return {}


def _batches(run: Run, state: Mapping[str, Any]) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """(at most MOST_METRICS metrics, what to note once they are written), from the noted offset to the end of the journal.

    A step that was written before (training went on from an earlier checkpoint) is not written again.
    """
    from mlflow.entities import Metric

    batch: list[Metric] = []
    progress = {"offset": state.get("offset", 0), "stride": state.get("stride", 1), "last": dict(state.get("last", {}))}
    for record in run.records(progress["offset"]):
        event, metrics = record.event, event_metrics(record.event)
        if isinstance(event, Started):
            progress["stride"] = max(1, -(-event.n_steps // MOST_POINTS))
        family = f"{type(event).__name__}/{getattr(event, 'split', '')}"
        skipped = isinstance(event, StepDone) and event.step % progress["stride"] != 0 and event.step != 1
        again = isinstance(event, Started | StepDone | Evaluated) and event.step <= progress["last"].get(family, -1)
        new = [] if skipped or again else [Metric(k, float(v), int(1000 * record.time), event.step) for k, v in metrics.items()]
        if batch and len(batch) + len(new) > MOST_METRICS:
            yield batch, {**progress, "last": dict(progress["last"])}
            batch = []
        while len(new) > MOST_METRICS:
            yield new[:MOST_METRICS], {}
            new = new[MOST_METRICS:]
        batch += new
        progress["offset"] = record.next_offset
        if new:
            progress["last"][family] = event.step
    if progress["offset"] != state.get("offset", 0):
        yield batch, progress


def _link(source: Path, target: Path) -> None:
    """The files of `source` in `target`, as hard links, or copied where the disk has none. What was in `target` goes."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, copy_function=link)


def _read_state(run: Run) -> dict[str, Any]:
    try:
        state = json.loads((run.folder / mlflow_store.STATE).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _write_state(run: Run, state: Mapping[str, Any]) -> None:
    write_atomically(run.folder / mlflow_store.STATE, json.dumps(state, ensure_ascii=False))
