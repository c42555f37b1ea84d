"""An experiment: the full, typed description of a training. The one source of names, bounds, defaults and help texts.

The sliders, the command line (`--set tasks.search.weight=2`), the YAML file and the record beside a checkpoint all come from here.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, get_args, get_origin

from pydantic import Field, ValidationError, model_validator

from mtl_core.base.faults import NOTHING, ExperimentError, Fault, found_value, nearest, pydantic_faults, shortened
from mtl_core.base.messages import N_, Message, message
from mtl_core.base.program import SAMPLE_SHOP
from mtl_core.base.settings import Widget, is_model, required, widgets
from mtl_core.base.workspace import Workspace
from mtl_core.base.yaml_text import read_yaml, write_yaml
from mtl_core.config.parts import (
    OBJECTIVES,
    PATTERNS,
    BalancingConfig,
    Config,
    DataConfig,
    DiagnosticsConfig,
    EarlyStoppingConfig,
    EncoderConfig,
    Name,
    NamedConfig,
    OptimizerConfig,
    SamplingConfig,
    ScheduleConfig,
    SharingConfig,
    TaskConfig,
    TaskStoppingConfig,
    TrainingConfig,
)
from mtl_core.config.renamed import current_names, current_path, named_twice
from mtl_core.data.problems import DataError, Problem, Severity
from mtl_core.data.split import BY_COLUMN
from mtl_core.tasks import KINDS

__all__ = [
    "DataConfig",
    "Experiment",
    "ExperimentError",
    "Fault",
    "TaskConfig",
    "Widget",
    "apply_overrides",
    "experiment_from_dict",
    "experiment_from_yaml",
    "load_experiment",
    "resolve_file",
    "widgets",
]

MAX_BYTES = 256 * 1024  # of an experiment file; a real one has a few KB

Overrides = Sequence[str] | Mapping[str, Any]
"""Changes to an experiment: "path=value" with the value as YAML, as the command line has them, or path → value."""


class Experiment(Config):
    """Everything that a training depends on. Raises ValidationError, ExperimentError (parts that do not fit together)."""

    name: Name = Field("experiment", title=N_("Name"), description=N_("The name of the experiment."))
    seed: int = Field(
        0, ge=0, le=2**31 - 1, title=N_("Seed"), description=N_("Seed of all random choices: the same seed gives the same numbers.")
    )
    data: dict[Name, DataConfig] = Field(min_length=1, title=N_("Tables"), description=N_("The tables, by name."))
    tasks: dict[Name, TaskConfig] = Field(min_length=1, title=N_("Tasks"), description=N_("The tasks, by name."))
    encoder: EncoderConfig = Field(EncoderConfig(), title=N_("Encoder"), description=N_("The pretrained transformer that all tasks share."))
    sharing: SharingConfig = Field(SharingConfig(), title=N_("Sharing"), description=N_("What the tasks share above the encoder."))
    balancing: BalancingConfig = Field(
        BalancingConfig(), title=N_("Balancing"), description=N_("How the tasks' losses are combined into one update.")
    )
    sampling: SamplingConfig = Field(SamplingConfig(), title=N_("Sampling"), description=N_("How many rows of each table a step draws."))
    optimizer: OptimizerConfig = Field(OptimizerConfig(), title=N_("Optimizer"), description=N_("How gradients update the parameters."))
    schedule: ScheduleConfig = Field(
        ScheduleConfig(), title=N_("Learning rate schedule"), description=N_("How the learning rate changes over the run.")
    )
    early_stopping: EarlyStoppingConfig = Field(
        EarlyStoppingConfig(),
        title=N_("Early stopping"),
        description=N_("When training stops before its last step, and how the best step is chosen."),
    )
    task_stopping: TaskStoppingConfig = Field(
        TaskStoppingConfig(), title=N_("Per-task early stopping"), description=N_("What happens to a task after its best step.")
    )
    diagnostics: DiagnosticsConfig = Field(
        DiagnosticsConfig(), title=N_("Diagnostics"), description=N_("What is measured during training, and how often.")
    )
    training: TrainingConfig = Field(TrainingConfig(), title=N_("Training"), description=N_("Training length, batch size and device."))

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if faults := list(_cross_faults(self.model_dump())):
            raise ExperimentError(faults)
        return self

    @property
    def main_metrics(self) -> dict[str, str]:
        """Task → the main metric of its kind."""
        return {name: KINDS[task.kind].primary for name, task in self.tasks.items()}

    def to_yaml(self, whole: bool = True) -> str:
        """Every field in its order, in block style. `experiment_from_yaml` is the inverse. whole: False: without what has its default, as a
        person would write it."""
        values = self.model_dump(mode="json", exclude_defaults=not whole)
        parts = [values.get(name, {}) for name in ("balancing", "sharing", "sampling")]
        for part in parts if whole else (*parts, *values["tasks"].values()):
            if not part.get("options", True):
                del part["options"]  # "{}" is no block
        return write_yaml(values)


def _cross_faults(values: Any) -> Iterator[Fault]:
    """What no field can see alone. `values` may be wrong in any other way."""
    data, tasks = _group(values, "data"), _group(values, "tasks")
    for name, table in data.items():
        split = _group(table, "split")
        by = split.get("by", "random")
        named = [split.get("validation_file"), split.get("test_file")]
        if by == "files" and not any(named):
            yield Fault(f"data.{name}.split.validation_file", NOTHING, message("a file here, or a test_file, because “by” is files"))
        if by != "files" and any(named):
            wanted = message("files, because validation_file or test_file is given")
            yield Fault(f"data.{name}.split.by", found_value(by), wanted)
        if by in BY_COLUMN and not split.get("column"):
            yield Fault(f"data.{name}.split.column", NOTHING, message("the name of a column, because “by” is {by}", by=by))
        shares = [split.get(part, 0.1) for part in ("validation", "test")]
        if all(isinstance(s, int | float) for s in shares) and sum(shares) >= 1:
            found = message("{validation} for validation and {test} for test", validation=shares[0], test=shares[1])
            yield Fault(f"data.{name}.split", found, message("shares that leave rows to train on"))
    for name, task in tasks.items():
        table = task.get("data") if isinstance(task, dict) else None
        if isinstance(table, str) and table not in data:
            yield Fault(f"tasks.{name}.data", found_value(table), message("one of the tables under “data”: {names}", names=_listed(data)))
        kind, columns = _kind(task), _group(task, "columns")
        for field in kind.fields if kind else ():
            path = f"tasks.{name}.columns.{field.name}"
            if field.required and not columns.get(field.name):
                yield Fault(path, NOTHING, message("the column with this: {help}", help=Message(field.help)))
            if isinstance(several := columns.get(field.name), list) and len(several) > 1 and not field.many:
                yield Fault(path, found_value(several), message("one column"))
        known = {f.name for f in kind.fields} if kind else columns
        for unknown in (c for c in columns if c not in known):
            yield Fault(f"tasks.{name}.columns.{unknown}", message("an unknown name"), nearest(str(unknown), known))
        threshold = _group(task, "pseudo_labels").get("threshold", 0)
        if threshold and kind and not kind.report.guesses(columns):
            wanted = message("0: with these columns, tasks of the kind “{kind}” cannot use pseudo-labels", kind=Message(kind.label))
            yield Fault(f"tasks.{name}.pseudo_labels.threshold", found_value(threshold), wanted)
        share = _group(task, "augmentation").get("share", 0)
        if share and kind and not kind.varies(columns):
            wanted = message("0: with these columns, tasks of the kind “{kind}” have no text to augment", kind=Message(kind.label))
            yield Fault(f"tasks.{name}.augmentation.share", found_value(share), wanted)
    if tasks and all(isinstance(task, dict) and task.get("weight", 1) == 0 for task in tasks.values()):
        yield Fault("tasks", message("a loss weight of 0 for every task"), message("a loss weight above 0 for at least one task"))
    shared = _group(_group(_group(values, "sampling"), "options"), "shares")
    for table in shared:
        if table not in data:
            yield Fault(f"sampling.options.shares.{table}", message("an unknown name"), nearest(str(table), data))
    if shared and not any(shared.get(table, 1) for table in data):
        yield Fault("sampling.options.shares", message("a share of 0 for every table"), message("a share above 0 for at least one table"))
    objective = _group(values, "early_stopping").get("objective", "mean")
    if isinstance(objective, str) and tasks and objective not in tasks and objective not in OBJECTIVES:
        wanted = message("{rules}, or a task: {names}", rules=", ".join(OBJECTIVES), names=_listed(tasks))
        yield Fault("early_stopping.objective", found_value(objective), wanted)


def _group(values: Any, name: str) -> dict[str, Any]:
    group = values.get(name) if isinstance(values, dict) else None
    return group if isinstance(group, dict) else {}


def _kind(task: Any) -> Any:
    name = task.get("kind") if isinstance(task, dict) else None
    return KINDS.get(name) if isinstance(name, str) else None


def _listed(names: Iterable[Any]) -> str:
    return shortened(", ".join(map(str, names)))


def load_experiment(path: Path | str, overrides: Overrides = ()) -> Experiment:
    """The experiment in a file. Raises ExperimentError (all faults), OSError (no such file)."""
    with Path(path).open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    try:
        return experiment_from_yaml(content.decode("utf-8-sig"), overrides)
    except UnicodeDecodeError as error:
        if len(content) > MAX_BYTES:
            raise ExperimentError([_too_large()]) from error
        found = message("a byte that is not UTF-8 (number {position})", position=error.start + 1)
        raise ExperimentError([Fault("", found, message("a text file in UTF-8"))]) from error


def experiment_from_yaml(text: str, overrides: Overrides = ()) -> Experiment:
    """The experiment that `text` describes, changed by `overrides`. Raises ExperimentError: all faults."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise ExperimentError([_too_large()])
    values, lines = read_yaml(text)
    return experiment_from_dict(values, overrides, lines)


def experiment_from_dict(values: Any, overrides: Overrides = (), lines: Mapping[str, int] | None = None) -> Experiment:
    """As `experiment_from_yaml`, for what YAML holds; `lines`: path → line, for the faults."""
    if not isinstance(values, dict):
        raise ExperimentError([Fault("", found_value(values), message("settings as “name: value” lines"))])
    if twice := named_twice(values):
        raise ExperimentError([_with_line(_twice(old, new), lines or {}, ()) for old, new in twice])
    values, overrides = current_names(values), _current(overrides)
    lines = {current_path(path): line for path, line in (lines or {}).items()}
    values, faults = _override(values, overrides)
    try:
        experiment = Experiment.model_validate(values)
    except ExperimentError as error:
        faults += error.faults
    except ValidationError as error:
        cross = list(_cross_faults(values))
        faults += cross
        for fault in pydantic_faults(error, lambda loc: _names_at(loc, values), PATTERNS):
            if not any(c.path == fault.path or c.path.startswith(fault.path + ".") for c in cross):
                faults.append(fault)
    if faults:
        raise ExperimentError(sorted((_with_line(f, lines, overrides) for f in faults), key=lambda f: f.line or 0))
    return experiment


def _current(overrides: Overrides) -> Overrides:
    """`overrides` with today's names of settings. Raises ExperimentError: one under its old name and under its new one."""
    pairs = overrides.items() if isinstance(overrides, Mapping) else [override.partition("=")[::2] for override in overrides]
    paths = [str(path).strip() for path, _ in pairs]
    if twice := [_twice(path, current_path(path)) for path in paths if current_path(path) != path and current_path(path) in paths]:
        raise ExperimentError(twice)
    if isinstance(overrides, Mapping):
        return {current_path(str(path)): value for path, value in overrides.items()}
    parts = [override.partition("=") for override in overrides]
    return [current_path(path.strip()) + equals + value for path, equals, value in parts]


def _twice(old: str, new: str) -> Fault:
    return Fault(old, message("the former name of {new}, which is set as well", new=new), message("one of the two names"))


def apply_overrides(values: Mapping[str, Any], overrides: Overrides) -> dict[str, Any]:
    """A copy of `values` with every path of `overrides` set. Raises ExperimentError: all unknown paths."""
    changed, faults = _override(current_names(values), _current(overrides))
    if faults:
        raise ExperimentError(faults)
    return changed


def _override(values: Mapping[str, Any], overrides: Overrides) -> tuple[dict[str, Any], list[Fault]]:
    changed, faults = copy.deepcopy(dict(values)), []
    for override in overrides.items() if isinstance(overrides, Mapping) else overrides:
        try:
            path, value = _parsed(override) if isinstance(override, str) else override
        except ExperimentError as error:
            faults += error.faults
            continue
        if wrong := _set(changed, path, value):
            faults.append(wrong)
    return changed, faults


def _parsed(override: str) -> tuple[str, Any]:
    """The path and the value of "path=value". Raises ExperimentError: no such pair, no YAML."""
    path, equals, text = override.partition("=")
    path = path.strip()
    if not equals or not path:
        raise ExperimentError([Fault(path, found_value(override), message("path=value, for example training.steps=100"))])
    try:
        return path, read_yaml(text)[0]
    except ExperimentError as error:
        raise ExperimentError([replace(fault, path=path, line=None) for fault in error.faults]) from error


def _set(node: dict[str, Any], path: str, value: Any) -> Fault | None:
    """Sets `path` under `node`, making groups on the way."""
    annotation: Any = Experiment
    rest = path
    while True:
        names = _names_below(annotation, node)
        if names is None:  # any name will do, one with full stops too
            node[rest] = value
            return None
        name, below, rest = rest.partition(".")
        if name not in names:
            return Fault(path, message("an unknown name"), nearest(name, names))
        if not below:
            node[name] = value
            return None
        if not isinstance(node.get(name), dict):
            node[name] = {}
        annotation, node = names[name], node[name]


def _names_below(annotation: Any, value: Any) -> dict[str, Any] | None:
    """Names that may stand below a setting, with their types; None: any name."""
    value = value if isinstance(value, dict) else {}
    annotation = required(annotation)
    if isinstance(annotation, dict):
        return annotation
    if is_model(annotation):
        names = {name: field.annotation for name, field in annotation.model_fields.items()}
        if annotation is TaskConfig and (kind := _kind(value)):
            names |= {"options": kind.Options, "columns": {f.name: str for f in kind.fields}}
        if issubclass(annotation, NamedConfig):
            chosen = annotation.registry.get(str(value.get("name", annotation.model_fields["name"].default)))
            names |= {"options": chosen.Options} if chosen else {}
        return names
    if get_origin(annotation) is dict:
        content = get_args(annotation)[1]
        return {str(name): content for name in value} if is_model(content) else None
    return {}


def _names_at(loc: Sequence[str], values: Any) -> dict[str, Any]:
    annotation: Any = Experiment
    for name in loc:
        annotation = (_names_below(annotation, values) or {}).get(name)
        values = values.get(name) if isinstance(values, dict) else None
    return _names_below(annotation, values) or {}


def _with_line(fault: Fault, lines: Mapping[str, int], overrides: Overrides) -> Fault:
    """The line of the path or of the nearest group around it; none for what an override set."""
    path = fault.path
    if any(o.partition("=")[0].strip() == path for o in overrides):  # of a mapping: its paths
        return fault
    while path and path not in lines:
        path = path.rpartition(".")[0]
    return replace(fault, line=lines.get(path, fault.line))


def _too_large() -> Fault:
    return Fault("", message("a file of more than {kib} KiB", kib=MAX_BYTES // 1024), message("an experiment, which is a few KiB"))


def resolve_file(file: str, base: Path | None, workspace: Workspace, contained: bool) -> Path:
    """Where a file of a table lies: beside the experiment file (`base` is its folder), in the workspace, or (contained) in the sample shop.

    contained: what a browser sent; only files inside the workspace or the sample shop are found, links followed.
    Raises DataError: no such file, with the folders that were searched.
    """
    searched = [*([base] if base else []), workspace.root, *([SAMPLE_SHOP] if contained and base != SAMPLE_SHOP else [])]
    allowed = [workspace.root.resolve(), SAMPLE_SHOP.resolve()]
    for folder in searched:
        path = (folder / file).resolve()
        if (not contained or any(path.is_relative_to(a) for a in allowed)) and path.is_file():
            return path
    why = message("There is no file “{file}”. Searched: {folders}.", file=shortened(file), folders=", ".join(map(str, searched)))
    remedy = message("Put the file there, or correct its name in the experiment.")
    raise DataError([Problem(Severity.ERROR, "file_missing", why, remedy, file=Path(file).name or None)])
