"""The rows that two runs answer differently: out of their kept predictions, joined by the rows' numbers. No torch."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from mtl_core.evaluation.predictions import load_predictions
from mtl_core.tasks import KINDS
from mtl_core.tasks.naming import named
from mtl_core.tracking.runs import Run

Who = Literal["first", "second", "neither"]


@dataclass(frozen=True)
class Differing:
    """rows: one each, the surest first. Columns: row (its number in the table), first, second (their answers, classes called as people do),
    confidence (of the surer, in [0, 1]; missing where the kind has none), who (Who: whose answer is right, or nearer to the label).

    n: rows that both runs answered. exact: whether `who` says what is right; else it says who is nearer (`Report.misses`)."""

    rows: pd.DataFrame
    n: int
    exact: bool


def differing(first: Run, second: Run, task: str, split: str) -> Differing:
    """split: validation or test. Raises FileNotFoundError: one of them keeps no predictions; KeyError: no such task."""
    kind = KINDS[first.tasks[task].kind]
    exact = bool(kind.report.right_means)
    sides, shown, rights, sure = [], [], [], []
    for run in (first, second):
        about, kept = load_predictions(run.folder, task, split, kind.report.types)
        spec = dict(about.spec)
        found = kind.report.right(kept.scores, kept.labels, spec) if exact else np.zeros(len(kept.rows), bool)
        rights.append(pd.Series(found, kept.rows))
        answers = kind.report.answers(kept.scores, named(spec, names) if (names := run.class_names(task)) else spec)
        confidence = [answer.get("probability", np.nan) if "label" in answer else np.nan for answer in answers]
        called = [_said(answer) for answer in answers] if names else kept.answers
        shown.append(pd.Series(called, kept.rows, dtype=object))
        sure.append(pd.Series(confidence, kept.rows, dtype=np.float64))
        sides.append(
            pd.DataFrame(
                {"answer": pd.Series(kept.answers, dtype=object), "loss": kind.report.misses(kept.scores, kept.labels, kept.losses)}
            ).set_index(kept.rows)
        )
    both = sides[0].add_suffix("_1").join(sides[1].add_suffix("_2"), how="inner")
    loss = both["loss_2"] - both["loss_1"]
    if exact:
        right = [one.reindex(both.index).to_numpy(bool) for one in rights]
        who = np.select([right[0] & ~right[1], right[1] & ~right[0]], ["first", "second"], "neither")
    else:
        who = np.select([loss > 0, loss < 0], ["first", "second"], "neither")
    called = [one.reindex(both.index).to_numpy() for one in shown]
    frame = pd.DataFrame({"row": both.index, "first": called[0], "second": called[1], "who": who}, both.index)
    frame["confidence"] = pd.concat([one.reindex(both.index) for one in sure], axis=1).max(axis=1)
    numbers = [pd.to_numeric(both[name], errors="coerce") for name in ("answer_1", "answer_2")]
    order = frame["confidence"].fillna((numbers[1] - numbers[0]).abs()).fillna(loss.abs())
    frame = frame.assign(order=order)[both["answer_1"].ne(both["answer_2"])]
    frame = frame.sort_values(["order", "row"], ascending=[False, True], kind="stable").drop(columns="order").reset_index(drop=True)
    return Differing(frame[["row", "first", "second", "confidence", "who"]], len(both), exact)


def _said(answer: dict[str, Any]) -> Any:
    """An answer in a cell: its first entry; of a number that is near a grade with a name, that too."""
    first = next(iter(answer.values()))
    return f"{first:.4f} ({answer['nearest']})" if "nearest" in answer else first
