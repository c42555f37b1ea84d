"""Which tables suit multilabel; see `mtl_core.tasks.suiting`."""

import re
from collections.abc import Iterator

import numpy as np

from mtl_core.base.messages import message
from mtl_core.data.profile import Column, Columns
from mtl_core.tasks.multilabel.cells import SEPARATORS
from mtl_core.tasks.suiting import CLICKS, TAGS, Proposal, called, joined, main_text, texts


def suits(columns: Columns) -> Iterator[Proposal]:
    main = main_text(columns)
    if main is None:
        return
    for c in [*columns.of("list", "category", "text"), *(c for c in columns.of("number") if called(c, TAGS) == 1)]:
        if c is main or c.turns or not (tags := _tags(c)):
            continue
        why = message("“{label}” holds several of {count} tags in a cell.", label=c.name, count=len(tags))
        yield Proposal(
            0.74 + 0.12 * called(c, TAGS), {"text": [n for n in joined(texts(columns), main) if n != c.name], "label": [c.name]}, why
        )
    flags = [c for c in columns.of("flag") if not called(c, CLICKS)]
    if len(flags) >= 3 and main.words >= 2 and len(flags) >= len(columns.of("category", "number")):
        why = message("{count} columns of yes and no stand beside “{text}”: a tag each.", count=len(flags), text=main.name)
        yield Proposal(0.8, {"text": joined(texts(columns), main), "label": [c.name for c in flags]}, why)


def _tags(c: Column) -> set[str]:
    """The tags in the cells of a column; none where they are no small vocabulary, or hardly ever several in a cell."""
    cells = [_items(v, c.role == "list") for v in c.sample]
    items = [i for cell in cells for i in cell]
    several = np.mean([len(cell) > 1 for cell in cells]) if cells else 0
    known = set(items)
    numbered = any(re.fullmatch(r"[\d.]+", i) for i in items[:5]) and not (called(c, TAGS) == 1 and all(i.isdigit() for i in known))
    in_one = len({*c.sample}) <= len(known)  # no more cells than tags: these are names with a sign in them, or paths
    if several < 0.1 or len(known) < 2 or np.mean([len(i.split()) for i in items]) > 3 or numbered or in_one:
        return set()
    return known if len(items) >= 4 * len(known) else set()


def _items(cell: str, is_list: bool) -> list[str]:
    parts = re.split("[" + "".join(SEPARATORS) + "]", cell.strip("[] ") if is_list else cell)
    return [p.strip(" \"'") for p in parts if p.strip(" \"'")]
