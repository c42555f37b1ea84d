"""Which tables suit matching; see `mtl_core.tasks.suiting`."""

from collections.abc import Iterator

from mtl_core.base.messages import message
from mtl_core.data.profile import Columns
from mtl_core.tasks.suiting import LABELS, SAMES, Proposal, best, called, pairs


def suits(columns: Columns) -> Iterator[Proposal]:
    for first, second, score in pairs(columns):
        label = best(columns.of("flag"), ("label", *SAMES, *LABELS))
        if label and label.name not in (*first, *second):
            why = message(
                "“{first}” and “{second}” are texts of the same sort, and “{label}” says yes or no to each pair.",
                first=first[0],
                second=second[0],
                label=label.name,
            )
            same = next((c for c in columns.of("id", "key") if c.repeats >= 2), None)
            again = max((columns[n] for n in (first[0], second[0])), key=lambda c: c.repeats)
            group = same.name if same else again.name if again.repeats >= 2 else ""
            score += 0.5 * (0.95 - score) * called(label, SAMES)
            yield Proposal(score, {"first": first, "second": second, "label": [label.name]}, why, group=group, label=label.name)
