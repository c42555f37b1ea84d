"""Which tables suit classification; see `mtl_core.tasks.suiting`."""

from collections.abc import Iterator

from mtl_core.base.messages import message
from mtl_core.data.profile import Columns
from mtl_core.tasks.suiting import (
    LABELS,
    Proposal,
    best,
    called,
    classes,
    features,
    is_code,
    is_rating,
    joined,
    main_text,
    texts,
    two_sides,
)


def suits(columns: Columns) -> Iterator[Proposal]:
    first = classes(columns)
    found, main = texts(columns), main_text(columns)
    twos = two_sides(columns)
    told = [c.name for c in first[:6] if main and len(first) > 1 and c is not main and columns.tells(main.name, c.name)]
    for place, label in enumerate(first[:6]):
        if main is None:
            inputs = {"text": [c.name for c in columns.of("category") if c is not label]}
            inputs |= {name: names for name, names in features(columns, label).items() if name == "numbers"}
            if not inputs["text"] or label.role == "flag":
                continue
            why = message("“{label}” has {count} distinct values; the categories are read as text.", label=label.name, count=label.distinct)
            score = 0.35 + 0.1 * called(label, LABELS) + 0.05 * (label.name == columns.all[-1].name)
            yield Proposal(score, {**inputs, "label": [label.name]}, why, label=label.name)
            continue
        parents = [c for c in first if c.role == "category" and c.distinct < label.distinct and columns.determines(label.name, c.name)]
        parent = best(parents, ("parent", "domain", "division", "supercategory", "category"))
        inputs = {"text": twos[0], "second": twos[1]} if twos else {"text": joined(found, main)}
        if label.name in (*inputs["text"], *inputs.get("second", ())):
            continue
        inputs |= {"label": [label.name]} | ({"parent": [parent.name]} if parent else {})
        score = (
            0.6
            + 0.12 * called(label, LABELS)
            - 0.01 * place
            - 0.3 * is_rating(label)
            - 0.1 * (label.role == "number" and not called(label, LABELS) and not is_code(label))
        )
        score -= 0.1 * (bool(told) and label.name not in told)  # another label can be learned from the text, this one not
        score -= 0.15 * (label.role == "category" and not called(label, LABELS) and label.repeats < 8)
        what = message("yes or no") if label.role == "flag" else message("{count} distinct values", count=label.distinct)
        why = message(
            "“{text}” holds texts, and “{label}” has few values: {what}.", text=", ".join(inputs["text"]), label=label.name, what=what
        )
        yield Proposal(score, inputs, why, label=label.name)
