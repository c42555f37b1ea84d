"""Which tables suit regression; see `mtl_core.tasks.suiting`."""

from collections.abc import Iterator

from mtl_core.base.messages import message
from mtl_core.data.profile import Columns
from mtl_core.tasks.suiting import (
    LABELS,
    PRICES,
    RATINGS,
    Proposal,
    called,
    features,
    is_derived,
    is_rating,
    joined,
    main_text,
    texts,
    two_sides,
)


def suits(columns: Columns) -> Iterator[Proposal]:
    found, main = texts(columns), main_text(columns)
    twos = two_sides(columns)
    last = columns.all[-1].name
    for c in columns.of("number"):
        rated, priced, named = is_rating(c), called(c, PRICES), called(c, LABELS)
        many = c.distinct > 20 or not c.whole_numbers
        if c.distinct < 3 or not (rated or many):
            continue
        if main is None:
            inputs = {"text": [d.name for d in columns.of("category")]}
            inputs |= {name: names for name, names in features(columns, c).items() if name == "numbers"}
            if inputs["text"]:
                score = 0.3 + 0.2 * max(rated, priced, named) + 0.1 * (c.name == last)
                why = message("“{label}” is a number; the categories beside it are read as text.", label=c.name)
                yield Proposal(score, {**inputs, "label": [c.name]}, why)
            continue
        inputs = {"text": twos[0], "second": twos[1]} if twos else {"text": joined(found, main)}
        why = message(
            "“{label}” is a number from {low} to {high} beside the texts of “{text}”.",
            label=c.name,
            low=_short(c.low),
            high=_short(c.high),
            text=", ".join(inputs["text"]),
        )
        score = (
            0.42
            + 0.24 * rated
            + 0.06 * called(c, RATINGS)
            + 0.1 * priced
            + 0.18 * named * many
            + 0.08 * (c.name == last)
            + 0.1 * (twos is not None and not c.whole_numbers)
            - 0.3 * is_derived(c, columns)
        )
        yield Proposal(score, {**inputs, "label": [c.name]}, why)


def _short(value: float) -> str:
    return f"{value:g}"
