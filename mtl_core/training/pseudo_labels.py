"""Pseudo-labels of a task's training rows, by the model as it is. See `data.pseudo_labels`."""

from mtl_core.data.pseudo_labels import PseudoLabelsConfig, sure
from mtl_core.model.encoder import Template
from mtl_core.model.multitask import MultiTaskModel
from mtl_core.runtime.lanes import Lanes
from mtl_core.runtime.prepare import PreparedTask
from mtl_core.runtime.scoring import score
from mtl_core.training.mining import Made


def guess(
    model: MultiTaskModel,
    lanes: Lanes,
    name: str,
    task: PreparedTask,
    options: PseudoLabelsConfig,
    template: Template,
    micro_batch_tokens: int,
) -> Made:
    """Every training row without a label is scored, its texts as they are. Draws no random numbers."""
    rows = task.rows.unlabelled("train")
    none = task.rows.take(rows[:0]).labels
    assert none is not None
    if not len(rows):
        return Made(rows, none)
    scored = score(model, lanes, {name: task}, {name: rows}, template, micro_batch_tokens)[name]
    answers, confidence = task.kind.report.guess(scored.scores, task.spec)
    kept = sure(confidence, task.rows.n_rows("train"), options)
    return Made(rows[kept], answers[kept].astype(none.dtype))
