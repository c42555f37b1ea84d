"""The parts of an experiment: tables, tasks, encoder, and how they are trained. See `mtl_core.config.experiment`."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny, ValidationInfo, field_validator

from mtl_core.balancing import BALANCING
from mtl_core.base.messages import N_, message
from mtl_core.base.settings import Options
from mtl_core.data.augment import AugmentationConfig
from mtl_core.data.encodings import known_encoding
from mtl_core.data.pseudo_labels import PseudoLabelsConfig
from mtl_core.data.shares import SAMPLING
from mtl_core.data.split import FILE, SplitConfig
from mtl_core.data.times import Dates
from mtl_core.data.transactions import TransactionConfig
from mtl_core.model.sharing import SHARING
from mtl_core.tasks import KINDS

_NAME = r"^\w[\w -]{0,63}$"
_TRAINABLE = r"^(full|frozen|top:[1-9]\d*)$"
_DEVICE = r"^(auto|cpu|cuda(:\d+)?|mps)$"
PATTERNS = {
    _NAME: N_("a name of at most 64 letters, digits, spaces, hyphens and underscores"),
    _TRAINABLE: N_("full, frozen or top:K, where K is the number of upper layers"),
    _DEVICE: N_("auto, cpu, cuda, cuda:N or mps"),
    FILE: N_("the name of a file"),
}

Name = Annotated[str, Field(pattern=_NAME)]


def _column(value: Any) -> Any:
    names = value if isinstance(value, list) and value else [value]
    if not all(isinstance(n, str) and n for n in names):
        raise ValueError(message("the name of a column, or a list of such names"))
    return value


Column = Annotated[str | list[str], BeforeValidator(_column)]


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _known(name: str, registry: Mapping[str, Any]) -> str:
    if name not in registry:
        raise ValueError(message("one of {names}", names=", ".join(registry)))
    return name


def _options_of(registry: Mapping[str, Any], name: str | None, options: Any) -> Any:
    """The typed options of what is called `name` in the registry; None: the name is already a fault."""
    if name is None:
        return Options()
    wanted = registry[name].Options
    if isinstance(options, Options) and not isinstance(options, wanted):
        options = options.model_dump()
    return wanted.model_validate({} if options is None else options)


def _encoding(value: Any) -> Any:
    if isinstance(value, str) and not known_encoding(value):
        raise ValueError(message("a known encoding, such as {names}", names="utf-8, gb18030, big5, shift_jis, cp1250, cp1251, cp1252"))
    return value


class DataConfig(Config):
    """A table that tasks learn from."""

    file: str = Field(
        pattern=FILE,
        title=N_("File"),
        description=N_("The table: CSV, TSV, JSON Lines, Parquet or Excel, relative to the experiment file or the workspace."),
    )
    encoding: Annotated[str, BeforeValidator(_encoding)] | None = Field(
        None,
        title=N_("Encoding"),
        description=N_("Encoding of the file, such as utf-8, gb18030 or cp1252; empty: detected."),
    )
    sheet: str | None = Field(
        None, min_length=1, title=N_("Sheet"), description=N_("Sheet of an Excel workbook, by name; empty: the first one.")
    )
    dates: Dates | None = Field(
        None,
        title=N_("Order of day and month"),
        description=N_("How dates such as 03/04/2024 are meant: day_first or month_first; empty: as the column's other dates say."),
        json_schema_extra={"choices": {"day_first": N_("Day first"), "month_first": N_("Month first")}},
    )
    transactions: TransactionConfig | None = Field(
        None,
        title=N_("Transaction log"),
        description=N_("How a transaction log (user, item, time) becomes a recommendation table; empty for other tables."),
    )
    split: SplitConfig = Field(SplitConfig(), title=N_("Split"), description=N_("How rows are split into training, validation and test."))

    @property
    def reading(self) -> dict[str, Any]:
        """What else `store_dataset` wants to know of the table, but its files."""
        return {name: getattr(self, name) for name in ("split", "transactions", "encoding", "sheet", "dates")}


def _own_options(description: str) -> Any:
    return Field(default_factory=Options, validate_default=True, title=N_("Options"), description=description)


class TaskConfig(Config):
    """One supervised problem on a table."""

    kind: str = Field(title=N_("Kind"), description=N_("The kind of task."), examples=list(KINDS))
    data: Name = Field(title=N_("Table"), description=N_("The table of the experiment that it learns from."))
    columns: dict[str, Column] = Field(
        title=N_("Columns"), description=N_("Which column of the table is mapped to each field of the task kind.")
    )
    weight: float = Field(
        1.0,
        ge=0,
        le=100,
        title=N_("Loss weight"),
        description=N_("Factor of the task's loss in the joint loss; 0: the shared encoder does not learn from this task."),
    )
    options: SerializeAsAny[Options] = _own_options(N_("Options of this task kind."))
    rows: float = Field(
        1.0,
        gt=0,
        le=1,
        title=N_("Fraction of training rows"),
        description=N_("Fraction of its training rows that the task uses; less shows what labels are worth. Sampled with the seed."),
    )
    augmentation: AugmentationConfig = Field(
        AugmentationConfig(), title=N_("Augmentation"), description=N_("Random variations of the texts that training sees.")
    )
    pseudo_labels: PseudoLabelsConfig = Field(
        PseudoLabelsConfig(),
        title=N_("Pseudo-labels"),
        description=N_("Training rows without a label, learned from with the model's own predictions."),
    )

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str) -> str:
        return _known(kind, KINDS)

    @field_validator("options", mode="before")
    @classmethod
    def _options_of_kind(cls, options: Any, info: ValidationInfo) -> Any:
        return _options_of(KINDS, info.data.get("kind"), options)


class EncoderConfig(Config):
    """The shared pretrained transformer."""

    name: str = Field(
        "minilm",
        min_length=1,
        title=N_("Encoder"),
        description=N_(
            "minilm (packaged; English), a Hugging Face name or a folder: BERT, XLM-R, ModernBERT, GPT-2, Qwen, T5, BART. For other "
            "languages, one pretrained on them."
        ),
    )
    trainable: str = Field(
        "full",
        pattern=_TRAINABLE,
        title=N_("Trainable layers"),
        description=N_("Which layers are trained: full, top:K (the upper K layers) or frozen. A text decoder belongs to its task."),
        examples=["full", "top:1", "top:2", "top:3", "top:4", "top:6", "frozen"],
        json_schema_extra={
            "labels": {
                "full": N_("All layers"),
                "top:1": N_("Top layer"),
                "top:2": N_("Top 2 layers"),
                "top:3": N_("Top 3 layers"),
                "top:4": N_("Top 4 layers"),
                "top:6": N_("Top 6 layers"),
                "frozen": N_("None (frozen)"),
            }
        },
    )
    pooling: Literal["auto", "mean", "cls", "last"] = Field(
        "auto",
        title=N_("Pooling"),
        description=N_(
            "How token states become one vector; auto: as configured in the model's folder, else last for GPT-2 and Qwen, mean for others."
        ),
        json_schema_extra={
            "choices": {"auto": N_("Automatic"), "mean": N_("Mean"), "cls": N_("First token (CLS)"), "last": N_("Last token")}
        },
    )
    max_length: int = Field(
        128,
        ge=8,
        le=8192,
        title=N_("Max sequence length"),
        description=N_("Maximum number of tokens of a text; longer texts are truncated."),
        json_schema_extra={"stops": [16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024]},
    )
    dropout: float = Field(0.0, ge=0, le=0.9, title=N_("Dropout"), description=N_("Dropout probability in the encoder."))


class NamedConfig(Config):
    """What is chosen by name from a registry, with options of its own."""

    registry: ClassVar[Mapping[str, Any]]
    name: str
    options: SerializeAsAny[Options]

    @field_validator("name", check_fields=False)
    @classmethod
    def _known_name(cls, name: str) -> str:
        return _known(name, cls.registry)

    @field_validator("options", mode="before", check_fields=False)
    @classmethod
    def _options_of_name(cls, options: Any, info: ValidationInfo) -> Any:
        return _options_of(cls.registry, info.data.get("name"), options)


class SharingConfig(NamedConfig):
    """What the tasks share above the encoder."""

    registry = SHARING

    name: str = Field(
        "hard",
        title=N_("Sharing"),
        description=N_("hard: one shared encoder, a head for each task; or experts, towers or adapters in between."),
        json_schema_extra={"choices": {name: way.label for name, way in SHARING.items()}},
    )
    options: SerializeAsAny[Options] = _own_options(N_("Options of this sharing method."))


class BalancingConfig(NamedConfig):
    """How the tasks' losses are combined into one update."""

    registry = BALANCING

    name: str = Field(
        "fixed",
        title=N_("Balancing strategy"),
        description=N_(
            "fixed: the loss weights as set, also when changed during training; or a strategy that computes weights in every step."
        ),
        json_schema_extra={"choices": {name: strategy.label for name, strategy in BALANCING.items()}},
    )
    options: SerializeAsAny[Options] = _own_options(N_("Options of this strategy."))


class SamplingConfig(NamedConfig):
    """How many rows of each table a step draws."""

    registry = SAMPLING

    name: str = Field(
        "temperature",
        title=N_("Sampling"),
        description=N_("By table size, uniformly, round robin, with fixed shares, or by learning progress."),
        json_schema_extra={"choices": {name: way.label for name, way in SAMPLING.items()}},
    )
    options: SerializeAsAny[Options] = _own_options(N_("Options of this sampling method."))


LEARNING_RATES: list[Any] = [float(f"{digit}e{power}") for power in range(-6, 0) for digit in (1, 2, 3, 5)]
"""Stops of a slider."""


def _rate(default: float, title: str, description: str) -> Any:
    return Field(default, gt=0, le=10, title=title, description=description, json_schema_extra={"stops": LEARNING_RATES})


class OptimizerConfig(Config):
    name: Literal["adamw", "sgd"] = Field(
        "adamw",
        title=N_("Optimizer"),
        description=N_("adamw, or sgd with momentum."),
        json_schema_extra={"choices": {"adamw": N_("AdamW"), "sgd": N_("SGD")}},
    )
    learning_rate: float = _rate(1e-4, N_("Learning rate"), N_("Learning rate of the encoder."))
    head_learning_rate: float = _rate(1e-3, N_("Learning rate of the heads"), N_("Learning rate of the tasks' heads."))
    weight_decay: float = Field(
        0.01,
        ge=0,
        le=1,
        title=N_("Weight decay"),
        description=N_("Weight decay of weight matrices; biases and norms have none."),
        json_schema_extra={"stops": [0, 0.0001, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3], "zero": N_("off")},
    )
    momentum: float = Field(0.9, ge=0, lt=1, title=N_("Momentum"), description=N_("Momentum of sgd; adamw does not use it."))
    max_gradient_norm: float = Field(
        1.0,
        ge=0,
        le=1000,
        title=N_("Max gradient norm"),
        description=N_("Gradients are clipped to this norm; 0: no clipping."),
        json_schema_extra={"stops": [0, 0.1, 0.3, 0.5, 1, 2, 5, 10, 100], "zero": N_("off")},
    )


class ScheduleConfig(Config):
    name: Literal["linear", "cosine", "constant"] = Field(
        "linear",
        title=N_("Learning rate schedule"),
        description=N_("Shape of the learning rate decay after warm-up."),
        json_schema_extra={"choices": {"linear": N_("Linear"), "cosine": N_("Cosine"), "constant": N_("Constant")}},
    )
    warmup_ratio: float = Field(
        0.1, ge=0, le=1, title=N_("Warm-up ratio"), description=N_("Fraction of the steps in which the learning rate rises from 0.")
    )


OBJECTIVES = {
    "mean": N_("Mean of the main metrics"),
    "mean_rank": N_("Mean rank"),
    "mean_delta": N_("Mean gap to each task's best"),
    "worst": N_("Worst gap to a task's best"),
}
"""Rules for the best step, beside the tasks' names; what they do is in `training/selection.py`."""


class EarlyStoppingConfig(Config):
    objective: Name = Field(
        "mean",
        title=N_("Objective"),
        description=N_(
            "How the best step is chosen: by a rule over the tasks' main metrics (gap: how far behind a task's own best), or by one task."
        ),
    )
    patience: int = Field(
        0,
        ge=0,
        le=1000,
        title=N_("Patience"),
        description=N_("Evaluations without improvement before training stops; 0: no early stopping."),
        json_schema_extra={"stops": [0, 1, 2, 3, 4, 5, 8, 10, 20, 50], "zero": N_("off")},
    )
    min_delta: float = Field(
        0.0,
        ge=0,
        le=1,
        title=N_("Min delta"),
        description=N_("Smallest increase of the objective that counts as an improvement."),
        json_schema_extra={"stops": [0, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1]},
    )


class TaskStoppingConfig(Config):
    then: Literal["train_on", "rehearse", "freeze"] = Field(
        "train_on",
        title=N_("After a task stops improving"),
        description=N_("Keep training; rehearse: take part in a step now and then; or freeze: no longer take part in training."),
        json_schema_extra={"choices": {"train_on": N_("Keep training"), "rehearse": N_("Rehearse"), "freeze": N_("Freeze")}},
    )
    patience: int = Field(
        3,
        ge=1,
        le=1000,
        title=N_("Task patience"),
        description=N_("Evaluations without improvement of the task's main metric before it counts as stopped."),
        json_schema_extra={"stops": [1, 2, 3, 4, 5, 8, 10, 20, 50]},
    )
    rehearse_every: int = Field(
        10,
        ge=2,
        le=100_000,
        title=N_("Rehearsal interval"),
        description=N_("A rehearsed task takes part in one step out of this many."),
        json_schema_extra={"stops": [2, 3, 5, 10, 20, 50, 100, 1000]},
    )
    keep: Literal["nothing", "heads", "models"] = Field(
        "heads",
        title=N_("Saved at each task's best step"),
        description=N_("Task-specific parameters, such as the head; or the whole model, each as large as the best model of the run."),
        json_schema_extra={"choices": {"nothing": N_("Nothing"), "heads": N_("Task-specific parameters"), "models": N_("The whole model")}},
    )


EVALUATIONS_OF_A_RUN = 10  # when the experiment does not say how often


class TrainingConfig(Config):
    def interval(self, n_steps: int) -> int:
        """Steps between evaluations in a run of `n_steps`."""
        return self.evaluate_every or max(1, -(-n_steps // EVALUATIONS_OF_A_RUN))

    epochs: float = Field(
        3.0,
        gt=0,
        le=1000,
        title=N_("Epochs"),
        description=N_("Passes over the rows of all tables; ignored when steps are given."),
        json_schema_extra={"stops": [0.1, 0.3, 0.5, 1, 2, 3, 4, 5, 8, 10, 15, 20, 30, 50, 100]},
    )
    steps: int | None = Field(
        None, ge=1, le=100_000_000, title=N_("Steps"), description=N_("Number of optimiser steps; empty: derived from the epochs.")
    )
    batch_size: int = Field(
        64,
        ge=1,
        le=65_536,
        title=N_("Batch size"),
        description=N_("Rows of all tables together in one step."),
        json_schema_extra={"stops": [8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 256, 384, 512, 1024]},
    )
    max_tokens_per_micro_batch: int = Field(
        8192,
        ge=128,
        le=4_194_304,
        title=N_("Max tokens per micro-batch"),
        description=N_("Maximum number of tokens in a forward pass of the encoder; less needs less memory."),
        json_schema_extra={"stops": [1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072]},
    )
    evaluate_every: int = Field(
        0,
        ge=0,
        le=10_000_000,
        title=N_("Evaluation interval"),
        description=N_("Steps between evaluations; 0: ten evaluations in a run."),
        json_schema_extra={"stops": [0, 1, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000], "zero": N_("automatic")},
    )
    max_validation_rows: int = Field(
        2000,
        ge=10,
        le=10_000_000,
        title=N_("Max validation rows"),
        description=N_("Maximum validation rows per task in evaluations during training; the final evaluation uses all."),
    )
    keep: int = Field(
        3,
        ge=1,
        le=100,
        title=N_("Checkpoints kept"),
        description=N_(
            "The newest ones, to resume from when the last is damaged; 1 takes least disk space. The best model and your last changes are "
            "kept beside them."
        ),
        json_schema_extra={"stops": [1, 2, 3, 5, 10]},
    )
    device: str = Field(
        "auto",
        pattern=_DEVICE,
        title=N_("Device"),
        description=N_("auto: a GPU when there is one."),
        examples=["auto", "cpu", "cuda", "mps"],
        json_schema_extra={"labels": {"auto": N_("Automatic"), "cpu": "CPU", "cuda": "GPU (CUDA)", "mps": "GPU (Apple)"}},
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        title=N_("Numeric precision"),
        description=N_("auto: bfloat16 where the hardware supports it."),
        json_schema_extra={"choices": {"auto": N_("Automatic"), "float32": N_("float32"), "bfloat16": N_("bfloat16")}},
    )
    test: bool = Field(
        True,
        title=N_("Evaluate on the test split"),
        description=N_("At the end, with the best model. Off while you try settings: the test split is for the run that you keep."),
    )
    predictions: Literal["none", "evaluated", "all"] = Field(
        "evaluated",
        title=N_("Predictions kept"),
        description=N_("Of single rows, by the best model: none; of the rows that were evaluated; or of all rows, which takes longer."),
        json_schema_extra={"choices": {"none": N_("None"), "evaluated": N_("Evaluated rows"), "all": N_("All rows")}},
    )


MEASURED, OFTEN, SELDOM = 8, 15, 70
"""Of gradient conflicts by default: measurements in a short run, and the fewest and most steps between two."""


class DiagnosticsConfig(Config):
    """What is looked at on the way."""

    conflicts_every: int | None = Field(
        None,
        ge=0,
        le=1_000_000,
        title=N_("Gradient conflict interval"),
        description=N_(
            "Steps between measurements of gradient conflicts, which take one to three steps each; 0: never; empty: eight in a run, 15 to "
            "70 steps apart."
        ),
        json_schema_extra={"zero": N_("never")},
    )

    def looks(self, n_steps: int) -> tuple[int, int]:
        """Steps between measurements of a training of `n_steps` (0: never), and how many measurements there are to a look ahead."""
        if self.conflicts_every is not None:
            return self.conflicts_every, 1
        every = min(max(n_steps // MEASURED, OFTEN), SELDOM)
        return every, -(-SELDOM // every)
