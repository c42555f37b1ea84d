"""An experiment: the full, typed description of a training. The one source of names, bounds, defaults and help texts.

The sliders, the command line (`--set tasks.search.weight=2`), the YAML file and the record beside a checkpoint all come from here.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from mtl_core.data.problems import DataError, Problem, Severity
from mtl_core.data.split import SplitOptions
from mtl_core.data.transactions import TransactionOptions
from mtl_core.faults import NOTHING, ExperimentError, Fault, found_value, nearest, pydantic_faults, shortened
from mtl_core.messages import N_, Message, message
from mtl_core.settings import Setting, is_model, required, widgets
from mtl_core.tasks import KINDS
from mtl_core.tasks.base import Options as TaskOptions
from mtl_core.workspace import Workspace
from mtl_core.yaml_text import read_yaml, write_yaml

__all__ = [
    "Data",
    "Experiment",
    "ExperimentError",
    "Fault",
    "Setting",
    "Task",
    "apply_overrides",
    "experiment_from_dict",
    "experiment_from_yaml",
    "load_experiment",
    "resolve_file",
    "widgets",
]

MAX_BYTES = 256 * 1024  # of an experiment file; a real one has a few KB
PROGRAM_DATA = Path(__file__).parents[1] / "data"

_NAME = r"^\w[\w -]{0,63}$"
_TRAINABLE = r"^(full|frozen|top:[1-9]\d*)$"
_DEVICE = r"^(auto|cpu|cuda(:\d+)?|mps)$"
_FILE = r"^[^\x00]+$"
_PATTERNS = {
    _NAME: N_("a name of at most 64 letters, digits, spaces, hyphens and underscores"),
    _TRAINABLE: N_("full, frozen, or top:K with K the number of upper layers"),
    _DEVICE: N_("auto, cpu, cuda, cuda:N or mps"),
    _FILE: N_("the name of a file"),
}

Name = Annotated[str, Field(pattern=_NAME)]


def _column(value: Any) -> Any:
    names = value if isinstance(value, list) and value else [value]
    if not all(isinstance(n, str) and n for n in names):
        raise ValueError(message("the name of a column, or a list of such names"))
    return value


Column = Annotated[str | list[str], BeforeValidator(_column)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Data(Part):
    """A table that tasks learn from."""

    file: str = Field(
        pattern=_FILE,
        title=N_("File"),
        description=N_("The table: CSV, TSV, JSON Lines or Parquet, relative to the experiment file or the workspace."),
    )
    transactions: TransactionOptions | None = Field(
        None,
        title=N_("Transactions"),
        description=N_("How a transaction log (user, item, time) becomes a recommendation table; empty for other tables."),
    )
    split: SplitOptions = Field(
        SplitOptions(), title=N_("Split"), description=N_("How rows are divided into training, validation and test.")
    )


class Task(Part):
    """One supervised problem on a table."""

    kind: str = Field(title=N_("Kind"), description=N_("What sort of problem it is."), examples=list(KINDS))
    data: Name = Field(title=N_("Table"), description=N_("Which table of the experiment it learns from."))
    columns: dict[str, Column] = Field(title=N_("Columns"), description=N_("Which column of the table fills each field of the task kind."))
    weight: float = Field(
        1.0,
        ge=0,
        le=100,
        title=N_("Loss weight"),
        description=N_("Its share in the joint loss: 0 leaves the shared encoder unmoved by this task."),
    )
    options: SerializeAsAny[TaskOptions] = Field(
        default_factory=TaskOptions,
        validate_default=True,
        title=N_("Options"),
        description=N_("What only this task kind can set."),
    )

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str) -> str:
        if kind not in KINDS:
            raise ValueError(message("one of {names}", names=", ".join(KINDS)))
        return kind

    @field_validator("options", mode="before")
    @classmethod
    def _options_of_kind(cls, options: Any, info: ValidationInfo) -> Any:
        if "kind" not in info.data:  # already a fault; without a kind there is nothing to check options against
            return TaskOptions()
        wanted = KINDS[info.data["kind"]].Options
        if isinstance(options, TaskOptions) and not isinstance(options, wanted):
            options = options.model_dump()
        return wanted.model_validate({} if options is None else options)


class Encoder(Part):
    """The shared pretrained transformer."""

    name: str = Field(
        "minilm",
        min_length=1,
        title=N_("Encoder"),
        description=N_("minilm (packaged, no internet needed), a Hugging Face model name, or a local folder."),
    )
    trainable: str = Field(
        "full",
        pattern=_TRAINABLE,
        title=N_("Trainable part"),
        description=N_("What of it is trained: full, top:K (the upper K layers) or frozen."),
        examples=["full", "top:1", "top:2", "top:3", "frozen"],
    )
    pooling: Literal["auto", "mean", "cls", "last"] = Field(
        "auto", title=N_("Pooling"), description=N_("How token vectors become one text vector; auto: what the model was made for.")
    )
    max_length: int = Field(128, ge=8, le=8192, title=N_("Longest text"), description=N_("Longest text in tokens; what is longer is cut."))
    dropout: float = Field(
        0.0, ge=0, le=0.9, title=N_("Dropout"), description=N_("Share of values dropped inside the encoder while training.")
    )


class Sharing(Part):
    """What the tasks share above the encoder."""

    name: Literal["hard"] = Field("hard", title=N_("Sharing"), description=N_("hard: one encoder for all, a head for each task."))


class Balancing(Part):
    """How the tasks' losses become one update."""

    name: Literal["fixed"] = Field(
        "fixed", title=N_("Balancing"), description=N_("fixed: the loss weights as set, and as steered while training.")
    )


class Sampling(Part):
    """How many rows of each table a step draws."""

    name: Literal["proportional", "uniform", "temperature"] = Field(
        "temperature",
        title=N_("Sampling"),
        description=N_("proportional to the table's size, uniform, or in between by a temperature."),
    )
    temperature: float = Field(
        2.0,
        ge=1,
        le=100,
        title=N_("Temperature"),
        description=N_("Size to the power 1/temperature: 1 is proportional, large is uniform."),
    )


class Optimizer(Part):
    name: Literal["adamw", "sgd"] = Field("adamw", title=N_("Optimizer"), description=N_("adamw, or sgd with momentum."))
    learning_rate: float = Field(1e-4, gt=0, le=10, title=N_("Learning rate"), description=N_("Step size for the encoder."))
    head_learning_rate: float = Field(
        1e-3, gt=0, le=10, title=N_("Learning rate of the heads"), description=N_("Step size for the tasks' heads.")
    )
    weight_decay: float = Field(0.01, ge=0, le=1, title=N_("Weight decay"), description=N_("Pull of weight matrices towards zero."))
    momentum: float = Field(0.9, ge=0, lt=1, title=N_("Momentum"), description=N_("Memory of sgd; adamw does not use it."))
    clip: float = Field(
        1.0, ge=0, le=1000, title=N_("Gradient clipping"), description=N_("Largest length of the gradient; 0 does not clip.")
    )


class Schedule(Part):
    name: Literal["linear", "cosine", "constant"] = Field(
        "linear", title=N_("Schedule"), description=N_("How the learning rate falls after warm-up.")
    )
    warmup: float = Field(
        0.1, ge=0, le=1, title=N_("Warm-up"), description=N_("Share of the steps in which the learning rate rises from 0.")
    )


class EarlyStopping(Part):
    objective: Name = Field(
        "mean", title=N_("Objective"), description=N_("mean: the average of the tasks' main metrics; or the name of one task.")
    )
    patience: int = Field(
        0, ge=0, le=1000, title=N_("Patience"), description=N_("Evaluations without gain before training ends; 0 never ends early.")
    )
    minimum_gain: float = Field(0.0, ge=0, le=1, title=N_("Least gain"), description=N_("What counts as a gain of the objective."))


class Training(Part):
    epochs: float = Field(
        3.0,
        gt=0,
        le=1000,
        title=N_("Epochs"),
        description=N_("Passes over the rows of all tables together; ignored when steps are given."),
    )
    steps: int | None = Field(
        None, ge=1, le=100_000_000, title=N_("Steps"), description=N_("Number of optimiser steps; empty: from the epochs.")
    )
    batch_size: int = Field(64, ge=1, le=65_536, title=N_("Rows in a step"), description=N_("Rows of all tables together in one step."))
    micro_batch_tokens: int = Field(
        8192,
        ge=128,
        le=4_194_304,
        title=N_("Tokens at once"),
        description=N_("Most tokens sent through the encoder at once; less needs less memory."),
    )
    evaluate_every: int = Field(
        0,
        ge=0,
        le=10_000_000,
        title=N_("Steps between evaluations"),
        description=N_("Steps between evaluations; 0: ten times over the run."),
    )
    evaluation_rows: int = Field(
        2000,
        ge=10,
        le=10_000_000,
        title=N_("Rows of an evaluation"),
        description=N_("Most validation rows of a task looked at during training; the final evaluation uses all."),
    )
    device: str = Field(
        "auto",
        pattern=_DEVICE,
        title=N_("Device"),
        description=N_("auto: a GPU when there is one."),
        examples=["auto", "cpu", "cuda", "mps"],
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", title=N_("Precision"), description=N_("auto: bfloat16 where the hardware computes in it.")
    )


class Experiment(Part):
    """Everything that a training depends on. Raises ValidationError, ExperimentError (parts that do not fit together)."""

    name: Name = Field("experiment", title=N_("Name"), description=N_("What you call it."))
    seed: int = Field(
        0, ge=0, le=2**31 - 1, title=N_("Seed"), description=N_("Start of all random choices: the same seed gives the same numbers.")
    )
    data: dict[Name, Data] = Field(min_length=1, title=N_("Tables"), description=N_("The tables, by name."))
    tasks: dict[Name, Task] = Field(min_length=1, title=N_("Tasks"), description=N_("The tasks, by name."))
    encoder: Encoder = Field(Encoder(), title=N_("Encoder"), description=N_("The pretrained transformer that all tasks share."))
    sharing: Sharing = Field(Sharing(), title=N_("Sharing"), description=N_("What the tasks share above the encoder."))
    balancing: Balancing = Field(Balancing(), title=N_("Balancing"), description=N_("How the tasks' losses become one update."))
    sampling: Sampling = Field(Sampling(), title=N_("Sampling"), description=N_("How many rows of each table a step draws."))
    optimizer: Optimizer = Field(Optimizer(), title=N_("Optimizer"), description=N_("How a gradient becomes a step."))
    schedule: Schedule = Field(Schedule(), title=N_("Schedule"), description=N_("How the learning rate changes over the run."))
    early_stopping: EarlyStopping = Field(
        EarlyStopping(), title=N_("Early stopping"), description=N_("When training ends before its last step, and which step is best.")
    )
    training: Training = Field(Training(), title=N_("Training"), description=N_("How long, in what portions and on what device."))

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if faults := list(_cross_faults(self.model_dump())):
            raise ExperimentError(faults)
        return self

    def to_yaml(self) -> str:
        """Every field in its order, defaults too, in block style. `experiment_from_yaml` is the inverse."""
        return write_yaml(self.model_dump(mode="json"))


def _cross_faults(values: Any) -> Iterator[Fault]:
    """What no field can see alone. `values` may be wrong in any other way."""
    data, tasks = _group(values, "data"), _group(values, "tasks")
    for name, table in data.items():
        split = _group(table, "split")
        by = split.get("by", "random")
        if by in ("group", "time", "stratified", "column") and not split.get("column"):
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
    objective = _group(values, "early_stopping").get("objective", "mean")
    if isinstance(objective, str) and tasks and objective not in tasks and objective != "mean":
        wanted = message("mean, or a task: {names}", names=_listed(tasks))
        yield Fault("early_stopping.objective", found_value(objective), wanted)


def _group(values: Any, name: str) -> dict[str, Any]:
    group = values.get(name) if isinstance(values, dict) else None
    return group if isinstance(group, dict) else {}


def _kind(task: Any) -> Any:
    name = task.get("kind") if isinstance(task, dict) else None
    return KINDS.get(name) if isinstance(name, str) else None


def _listed(names: Iterable[Any]) -> str:
    return shortened(", ".join(map(str, names)))


def load_experiment(path: Path | str, overrides: Sequence[str] = ()) -> Experiment:
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


def experiment_from_yaml(text: str, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment that `text` describes, changed by `overrides` ("tasks.search.weight=2"). Raises ExperimentError: all faults."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise ExperimentError([_too_large()])
    values, lines = read_yaml(text)
    return experiment_from_dict(values, overrides, lines)


def experiment_from_dict(values: Any, overrides: Sequence[str] = (), lines: Mapping[str, int] | None = None) -> Experiment:
    """As `experiment_from_yaml`, for what YAML holds; `lines`: path → line, for the faults."""
    if not isinstance(values, dict):
        raise ExperimentError([Fault("", found_value(values), message("settings as “name: value” lines"))])
    values, faults = _override(values, overrides)
    try:
        experiment = Experiment.model_validate(values)
    except ExperimentError as error:
        faults += error.faults
    except ValidationError as error:
        cross = list(_cross_faults(values))
        faults += cross
        for fault in pydantic_faults(error, lambda loc: _names_at(loc, values), _PATTERNS):
            if not any(c.path == fault.path or c.path.startswith(fault.path + ".") for c in cross):
                faults.append(fault)
    if faults:
        raise ExperimentError(sorted((_with_line(f, lines or {}, overrides) for f in faults), key=lambda f: f.line or 0))
    return experiment


def apply_overrides(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy of `values` with every "path=value" set; values are read as YAML. Raises ExperimentError: all unknown paths."""
    changed, faults = _override(values, overrides)
    if faults:
        raise ExperimentError(faults)
    return changed


def _override(values: Mapping[str, Any], overrides: Sequence[str]) -> tuple[dict[str, Any], list[Fault]]:
    changed, faults = copy.deepcopy(dict(values)), []
    for override in overrides:
        path, equals, text = override.partition("=")
        path = path.strip()
        if not equals or not path:
            faults.append(Fault(path, found_value(override), message("path=value, for example training.steps=100")))
            continue
        try:
            value, _ = read_yaml(text)
        except ExperimentError as error:
            faults += [replace(f, path=path, line=None) for f in error.faults]
            continue
        if wrong := _set(changed, path, value):
            faults.append(wrong)
    return changed, faults


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
        if annotation is Task and (kind := _kind(value)):
            names |= {"options": kind.Options, "columns": {f.name: str for f in kind.fields}}
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


def _with_line(fault: Fault, lines: Mapping[str, int], overrides: Sequence[str]) -> Fault:
    """The line of the path or of the nearest group around it; none for what an override set."""
    path = fault.path
    if any(o.partition("=")[0].strip() == path for o in overrides):
        return fault
    while path and path not in lines:
        path = path.rpartition(".")[0]
    return replace(fault, line=lines.get(path, fault.line))


def _too_large() -> Fault:
    return Fault("", message("a file of more than {kib} KiB", kib=MAX_BYTES // 1024), message("an experiment, which is a few KiB"))


def resolve_file(data: Data, base: Path | None, workspace: Workspace, contained: bool) -> Path:
    """Where the table lies: beside the experiment file (`base` is its folder), else in the workspace.

    contained: what a browser sent; only files inside the workspace or the program's own `data/` are found, links followed.
    Raises DataError: no such file, with the folders that were searched.
    """
    searched = [base, workspace.root] if base else [workspace.root]
    allowed = [workspace.root.resolve(), PROGRAM_DATA.resolve()]
    for folder in searched:
        path = (folder / data.file).resolve()
        if (not contained or any(path.is_relative_to(a) for a in allowed)) and path.is_file():
            return path
    why = message("There is no file “{file}”. Searched: {folders}.", file=shortened(data.file), folders=", ".join(map(str, searched)))
    remedy = message("Put the file there, or correct its name in the experiment.")
    raise DataError([Problem(Severity.ERROR, "file_missing", why, remedy, file=Path(data.file).name or None)])
