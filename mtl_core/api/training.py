"""`mtl_core.train`: an experiment, from wherever it comes, made a run and trained here and now."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from mtl_core.api.foreground import execute
from mtl_core.api.runs import Run
from mtl_core.api.tables import Table, file_of
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import Experiment, experiment_from_dict, experiment_from_yaml, load_experiment
from mtl_core.config.seeds import with_seeds
from mtl_core.data.problems import has_errors
from mtl_core.jobs import training
from mtl_core.tracking import runs as record

Described = Experiment | Mapping[str, Any] | str | Path
"""An experiment: typed, as plain data, as YAML text (of more than one line), or the path of its file."""


class TrainingError(RuntimeError):
    """A training that failed; its run is kept. Its text is what happened and what to do.

    Attributes:
        run: the failed run; `run.error` says the step and the task, where known.
        problems: what was wrong with the tables (`mtl_core.data.problems.Problem`), when that is why.
    """

    def __init__(self, run: Run):
        self.run, self.problems = run, run.problems if has_errors(run.problems) else []
        super().__init__(f"{run.error.message}\n{run.error.advice}" if run.error else f"The run {run.id} ended as {run.state}.")


def train(
    experiment: Described,
    tables: Mapping[str, Table] | None = None,
    settings: Mapping[str, Any] | None = None,
    workspace: Workspace | Path | str | None = None,
    progress: bool = True,
) -> Run:
    """Trains an experiment here and now; returns when it has ended. The run is like any other: the app and the command line show it.

    Ctrl-C (in Jupyter: interrupt the kernel) ends after the step, with a checkpoint, an evaluation of the best step and the state
    `stopped`; a second one ends at once.

    Args:
        experiment: the path of an experiment file, YAML text, plain data, or an `Experiment`. Relative paths in a file start at its
            folder, in the others at the current one; what is not there is looked for in the workspace.
        tables: name of a table of the experiment → what to take instead of its file: a DataFrame (without its index), an Arrow table or
            a path. Frames are kept as Parquet files in the workspace's uploads. An experiment without `data` gets it from here.
        settings: path in the experiment → value, such as `{"training.steps": 60, "tasks.search.weight": 2}`.
        workspace: where everything is written; None: `$MTL_WORKSPACE`, else the default one (see README, *Where things are written*).
        progress: whether to show a bar, the metrics of every evaluation, and how it ended (standard error; in Jupyter the cell's output).

    Returns:
        The run, in the state finished or stopped.

    Raises:
        ExperimentError: all faults of the experiment and the settings; no run is made.
        DataError: a frame that cannot be written as Parquet; no run is made.
        OSError: there is no such experiment file.
        TrainingError: the training failed, for its data or on the way; the run is kept.
        KeyboardInterrupt: the second Ctrl-C; the run is kept and can be resumed (`python -m mtl_core resume`).
    """
    place = Workspace.at(workspace)
    return _trained(new_run(experiment, place, tables, settings), place, progress)


def _trained(created: record.Run, place: Workspace, progress: bool) -> Run:
    """Raises TrainingError, KeyboardInterrupt: as `train`."""
    done = execute(created, place, training(created, place, resume=False), _stream() if progress else None)
    run = Run(done.folder, done.status, done.described)
    if run.state is record.RunState.FAILED:
        raise TrainingError(run)
    return run


def train_seeds(
    experiment: Described,
    seeds: int | Sequence[int] = 3,
    tables: Mapping[str, Table] | None = None,
    settings: Mapping[str, Any] | None = None,
    workspace: Workspace | Path | str | None = None,
    progress: bool = True,
) -> list[Run]:
    """Trains an experiment once with each seed, one after another; what the runs differ by is chance.

    Args:
        seeds: up to five of them, or how many, from 0. The names of the runs say them.
        others, Raises: as of `train`.

    Returns:
        The runs, in the order of the seeds.
    """
    place = Workspace.at(workspace)
    described, base = described_by(experiment, place, tables, settings)
    made = [record.create_run(one, place, base) for one in with_seeds(described, range(seeds) if isinstance(seeds, int) else seeds)]
    return [_trained(run, place, progress) for run in made]


def new_run(
    experiment: Described,
    workspace: Workspace,
    tables: Mapping[str, Table] | None = None,
    settings: Mapping[str, Any] | Sequence[str] | None = None,
) -> record.Run:
    """The run that `train` trains, queued. settings: as of `train`, or "path=value" with the value as YAML. Raises as `train`."""
    described, base = described_by(experiment, workspace, tables, settings)
    return record.create_run(described, workspace, base)


def described_by(
    experiment: Described,
    workspace: Workspace,
    tables: Mapping[str, Table] | None = None,
    settings: Mapping[str, Any] | Sequence[str] | None = None,
) -> tuple[Experiment, Path]:
    """The experiment, and the folder that its relative paths start at. Arguments and errors as of `new_run`."""
    files = {name: str(file_of(table, workspace, name)) for name, table in (tables or {}).items()}
    overrides: Any = settings or {}
    if files:
        if not isinstance(overrides, Mapping):
            raise TypeError(f"With tables, settings should be a mapping of path → value. Found {type(settings).__name__}.")
        overrides = {f"data.{name}.file": file for name, file in files.items()} | dict(overrides)
    base = Path.cwd()
    if isinstance(experiment, Experiment):
        described = experiment_from_dict(experiment.model_dump(mode="json"), overrides)
    elif isinstance(experiment, Mapping):
        described = experiment_from_dict({"data": {name: {} for name in files}, **experiment}, overrides)
    elif isinstance(experiment, str) and "\n" in experiment:
        described = experiment_from_yaml(experiment, overrides)
    else:
        described, base = load_experiment(experiment, overrides), Path(experiment).resolve().parent
    return described, base


def _stream() -> TextIO:
    """Jupyter paints what goes to standard error red."""
    return sys.stdout if type(sys.stdout).__module__.startswith("ipykernel") else sys.stderr
