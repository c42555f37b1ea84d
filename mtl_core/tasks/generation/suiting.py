"""Which tables suit generation; see `mtl_core.tasks.suiting`."""

from collections.abc import Iterator

from mtl_core.base.messages import message
from mtl_core.data.profile import Columns
from mtl_core.tasks.suiting import LABELS, SOURCES, TARGETS, TITLES, Proposal, called, classes, is_code, texts


def suits(columns: Columns) -> Iterator[Proposal]:
    sources = columns.of("text", "facts", "list")
    targets = texts(columns)
    few = [c for c in classes(columns) if called(c, LABELS) or is_code(c)] or columns.of("flag")
    order = [c.name for c in columns.all]
    for target in targets:
        others = [c for c in sources if c is not target]
        source = max(others, key=lambda c: (called(c, SOURCES), c.role == "facts", c.words), default=None)
        if source is None or (called(source, TARGETS) == 1 and called(target, SOURCES) == 1 and called(source, SOURCES) < 1):
            continue
        written = target.words >= 3 and target.repeats < 1.5
        score = (
            0.4
            + 0.1 * called(target, TARGETS)
            + 0.1 * called(source, SOURCES)
            + 0.05 * (order.index(source.name) < order.index(target.name))
        )
        score += (
            0.1 * written
            + 0.15 * (source.role == "facts")
            - 0.2 * bool(few)
            - 0.1 * (called(source, TITLES) == 1 and not called(target, TARGETS))
        )
        why = message("“{label}” is written from “{source}”: two texts and no label.", label=target.name, source=source.name)
        more = [
            c.name for c in sources if c is source or (called(c, ("instruction", "input", "prompt", "context")) == 1 and c is not target)
        ]
        yield Proposal(score, {"source": more, "label": [target.name]}, why, group=source.name if source.repeats >= 2 else "")
