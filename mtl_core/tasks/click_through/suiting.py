"""Which tables suit click-through; see `mtl_core.tasks.suiting`."""

from collections.abc import Iterator

from mtl_core.base.messages import N_, message
from mtl_core.data.profile import Columns, called_id
from mtl_core.tasks.suiting import CLICKS, CONVERSIONS, LABELS, LONG, POSITIONS, Proposal, called, features, joined, main_text, texts


def suits(columns: Columns) -> Iterator[Proposal]:
    flags = [c for c in columns.of("flag") if not called_id(c.name) or called(c, (*CLICKS, *LABELS))]
    label = max(
        flags,
        key=lambda c: (called(c, CLICKS) - 0.1 * called(c, CONVERSIONS), called(c, LABELS), c.name == columns.all[-1].name),
        default=None,
    )
    if label is None:
        return
    bought = next((c for c in flags if c is not label and called(c, CONVERSIONS)), None) if called(label, CLICKS) else None
    special = {"propensity": next((c for c in columns.of("number") if called(c, ("propensity",))), None)}
    places = [c for c in columns.of("number") if c.whole_numbers and c.low >= 1 and called(c, POSITIONS)]
    special["position"] = max(places, key=lambda c: (called(c, POSITIONS[:1]), called(c, POSITIONS)), default=None)
    given = features(columns, label, bought, *special.values())
    words = main_text(columns)
    n = sum(map(len, given.values()))
    if n + bool(words) == 0:
        return
    spoken = words is not None and words.words >= LONG
    score = (
        0.35
        + 0.2 * (n >= 2)
        + 0.1 * (n >= 4)
        + 0.3 * called(label, CLICKS)
        - 0.3 * spoken
        - 0.2 * (words is not None and not called(label, CLICKS))
    )
    found: dict[str, list[str]] = {**given, "label": [label.name]}
    if words:
        found["text"] = joined(texts(columns), words)
    found |= {"conversion": [bought.name]} if bought else {}
    found |= {name: [c.name] for name, c in special.items() if c}
    beside_values, beside_text = N_("“{label}” is yes or no, beside categories and numbers."), N_("“{label}” is yes or no, beside a text.")
    why = message(beside_values if n else beside_text, label=label.name)
    yield Proposal(score, found, why, label=label.name)
