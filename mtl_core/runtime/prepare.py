"""From an experiment to rows that can be trained on: files stored as datasets, checked, mapped, encoded and tokenised, each once."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from mtl_core.base.messages import Message, message
from mtl_core.base.workspace import Workspace
from mtl_core.config.doubts import doubts_of
from mtl_core.config.experiment import Experiment, TaskConfig
from mtl_core.config.tables import Mapped, map_task, store
from mtl_core.data.augment import Varied, vary
from mtl_core.data.compiled import ROWS_VERSION, TaskRows, compile_task, open_task
from mtl_core.data.mapping import decimals_of
from mtl_core.data.problems import DataError, Problem, has_errors
from mtl_core.data.store import Dataset
from mtl_core.data.tokens import fingerprint
from mtl_core.model.encoder import Encoder
from mtl_core.model.loading import load_tokenizer
from mtl_core.model.multitask import MultiTaskModel, make_heads, make_sharing
from mtl_core.model.packaged import EncoderError
from mtl_core.tasks.base import Spec, TaskKind, columns_of


@dataclass
class PreparedTask:
    """A task with its rows. data: the experiment's name of its table; varied: texts with variants, for training."""

    kind: TaskKind
    options: Any
    spec: Spec
    data: str
    dataset: Dataset
    rows: TaskRows
    varied: Varied = field(default_factory=dict)


@dataclass
class Prepared:
    tasks: dict[str, PreparedTask]
    tokenizer: Any
    problems: list[Problem] = field(default_factory=list)

    @property
    def datasets(self) -> dict[str, str]:
        """The experiment's name of a table → the hash of the dataset behind it."""
        return {task.data: task.dataset.hash for task in self.tasks.values()}


Tell = Callable[[Message, float], None]
"""Is told what is being made ready, and how much of it all is done, in [0, 1]."""


def prepare(
    experiment: Experiment, workspace: Workspace, base: Path | None = None, *, contained: bool = False, tell: Tell = lambda what, done: None
) -> Prepared:
    """base: the folder that files are relative to; contained: take files from the workspace and the sample shop only.

    Raises DataError with the errors of all tables, EncoderError.
    """
    n = len(experiment.data)
    parts = n + len(experiment.tasks) + 2  # the tokenizer before, the encoder after
    tell(message("Loading the tokenizer"), 0.0)
    tokenizer = load_tokenizer(experiment.encoder.name)
    datasets, mapped, problems = {}, {}, []
    for place, name in enumerate(experiment.data):
        tell(message("Reading the table “{table}”", table=name), (1 + place) / parts)
        try:
            datasets[name] = store(experiment, name, workspace, base, contained)
            problems += datasets[name].problems
        except DataError as error:
            problems += error.problems
    for name, task in experiment.tasks.items():
        if task.data in datasets:
            mapped[name] = map_task(task, datasets[task.data], experiment.seed)
            problems += mapped[name].problems
    if has_errors(problems):
        raise DataError(problems)
    for name, task in experiment.tasks.items():
        problems += doubts_of(datasets[task.data], mapped[name], task.columns, task.options, experiment.encoder)
    tasks = {}
    for place, name in enumerate(list(mapped)):
        tell(message("Tokenising the texts of “{task}”", task=name), (1 + n + place) / parts)
        task = experiment.tasks[name]
        tasks[name] = _prepare_task(task, mapped.pop(name), datasets[task.data], tokenizer, experiment, workspace)
    tell(message("Loading the encoder"), (parts - 1) / parts)
    pa.default_memory_pool().release_unused()  # the tables are gone, but Arrow keeps what they took
    return Prepared(tasks, tokenizer, problems)


def _prepare_task(
    task: TaskConfig, mapped: Mapped, dataset: Dataset, tokenizer: Any, experiment: Experiment, workspace: Workspace
) -> PreparedTask:
    spec = mapped.kind.rows.fit(mapped.table.filter(pa.array(mapped.split == "train")), task.options)
    if decimals := decimals_of(mapped.table):  # for predictions
        spec = {**spec, "decimals": decimals}
    fields = columns_of(mapped.kind.fields, task.columns)
    depends_on = [
        ROWS_VERSION,
        dataset.hash,
        task.kind,
        fields,
        task.options.model_dump(),
        fingerprint(tokenizer),
        experiment.encoder.max_length,
        hashlib.sha256(np.packbits(mapped.split == "train").tobytes()).hexdigest(),  # the rows that the spec is made of
    ]
    key = json.dumps(depends_on)
    slots = mapped.kind.rows.slots(task.options, fields)
    if any(slot.masks for slot in slots) and tokenizer.mask_token_id is None:
        raise EncoderError(
            message(
                "The tokenizer of the encoder “{name}” has no mask token, so words cannot be masked. Choose an encoder with one, such as "
                "BERT, or remove the tasks of the kind “{kind}”.",
                name=experiment.encoder.name,
                kind=Message(mapped.kind.label),
            )
        )
    rows, varies = open_task(workspace.tokens, key, mapped.split), task.augmentation.share > 0
    encoded = mapped.kind.rows.encode(mapped.table, spec, task.options) if rows is None or varies else pa.table({})
    if rows is None:
        rows = compile_task(
            encoded,
            slots,
            mapped.split,
            tokenizer=tokenizer,
            max_length=experiment.encoder.max_length,
            folder=workspace.tokens,
            key=key,
        )
    rows.fewer("train", task.rows, experiment.seed)
    found = [slot for slot in slots if slot.name in rows.stores]
    varied = vary(encoded, found, rows.stores, task.augmentation, tokenizer, experiment.encoder.max_length) if varies else {}
    return PreparedTask(mapped.kind, task.options, spec, task.data, dataset, rows, varied)


def new_model(experiment: Experiment, prepared: Prepared) -> MultiTaskModel:
    """The pretrained encoder with new heads, on the CPU; the same for the same seed."""
    torch.manual_seed(experiment.seed)
    encoder = experiment.encoder
    shared = Encoder.load(
        encoder.name, pooling=encoder.pooling, max_length=encoder.max_length, dropout=encoder.dropout, trainable=encoder.trainable
    )
    kinds = {name: (task.kind.name, task.options) for name, task in prepared.tasks.items()}
    heads = make_heads(shared.hidden, kinds, {name: task.spec for name, task in prepared.tasks.items()})
    return MultiTaskModel(shared, heads, make_sharing(shared.hidden, list(kinds), experiment.sharing.name, experiment.sharing.options))
