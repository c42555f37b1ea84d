"""A table as one task would use it, checked in a process of its own: stored, split, counted."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mtl_core.api.looked import read
from mtl_core.base.program import SAMPLE_SHOP
from mtl_core.base.workspace import Workspace
from mtl_core.config.doubts import doubts_of
from mtl_core.config.drafts import unused_name
from mtl_core.config.experiment import DataConfig, TaskConfig
from mtl_core.config.parts import EncoderConfig
from mtl_core.config.tables import map_task, store_table
from mtl_core.config.understood import Understood, understood
from mtl_core.data.describe import histogram, label_counts, token_lengths
from mtl_core.data.problems import DataError, Problem, gathered, has_errors
from mtl_core.data.values import flags
from mtl_core.model.packaged import minilm_token_counts
from mtl_core.tasks import KINDS
from mtl_core.tasks.base import TaskKind


@dataclass(frozen=True)
class Checked:
    """lengths: text field → (counts, edges); kind_name: of its kind, where it came so far."""

    problems: list[Problem]
    sizes: dict[str, int] = field(default_factory=dict)
    labels: list[dict[str, Any]] = field(default_factory=list)
    n_labels: int = 0
    unlabelled: int = 0
    lengths: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    understood: dict[str, Understood] = field(default_factory=dict)
    kind_name: str = ""

    @property
    def kind(self) -> TaskKind | None:
        return KINDS[self.kind_name] if self.kind_name else None

    @property
    def usable(self) -> bool:
        return not has_errors(self.problems)


def check_task(
    path: Path, called: str, changed: int, data_values: dict[str, Any], task_values: dict[str, Any], workspace: Workspace
) -> Checked:
    """path, called, changed: the table's file, how the person calls it, when it was changed; data_values, task_values: as in an experiment,
    the task without its table."""
    name = unused_name(Path(called).stem, {})
    data, task = DataConfig.model_validate(data_values), TaskConfig.model_validate({**task_values, "data": name})
    try:
        table = read(path, called, changed, data.encoding, data.sheet)
        dataset = store_table(data, name, workspace, SAMPLE_SHOP, contained=True, read=table)
    except DataError as error:
        return Checked(error.problems)
    mapped = map_task(task, dataset)
    found = [*dataset.problems, *mapped.problems]
    learned, kind = understood(mapped, task.columns, task.options), task.kind
    if has_errors(found):
        return Checked(gathered(found), dataset.split_sizes, understood=learned, kind_name=kind)
    found += doubts_of(dataset, mapped, task.columns, task.options, EncoderConfig())
    texts = [f.name for f in mapped.kind.fields if f.type in ("text", "texts") and f.name in mapped.table.column_names]
    lengths = [token_lengths(mapped.table.column(name), minilm_token_counts) for name in texts]
    labels = mapped.kind.rows.counted(mapped.table, task.options)
    rows, n_labels = ([], 0) if labels is None else label_counts(labels, mapped.split)
    unlabelled = 0 if labels is None else sum(dataset.split_sizes.values()) - int((flags(labels.is_valid()) & (mapped.split != "")).sum())
    of_texts = dict(zip(texts, histogram(lengths), strict=True))
    return Checked(gathered(found), dataset.split_sizes, rows, n_labels, unlabelled, of_texts, learned, kind)


def training_rows(data_values: dict[str, Any], name: str, workspace: Workspace, base: Path | None, contained: bool) -> int:
    """Of a table as an experiment has it, under its name there. Raises DataError: it cannot be used."""
    return store_table(DataConfig.model_validate(data_values), name, workspace, base, contained).split_sizes["train"]
