"""Which tables suit extraction; see `mtl_core.tasks.suiting`."""

import re
from collections.abc import Iterator

from mtl_core.base.messages import message
from mtl_core.data.profile import Columns
from mtl_core.tasks.suiting import BODIES, SPANS, TITLES, Proposal, best, called, inside, texts


def suits(columns: Columns) -> Iterator[Proposal]:
    main = best(texts(columns), (*BODIES, *TITLES))
    for c in columns.of("facts", "list"):
        for text in [main] if main else []:
            marks = sum(bool(re.search(r"\d+\s*,\s*\d+\s*,\s*[\"']|[\"']start", v)) for v in c.sample[:200]) / max(len(c.sample[:200]), 1)
            share = inside(columns, text.name, c.name)
            if c.turns or not (marks > 0.5 or (share > 0.7 and (c.role == "facts" or called(c, SPANS)))):
                continue
            order = [d.name for d in columns.all]
            behind = order.index(c.name) > order.index(text.name)
            score = (
                0.55 + 0.2 * behind + 0.1 * called(c, SPANS) + 0.15 * (marks > 0.5) - 0.2 * called(c, ("facts", "data", "input", "source"))
            )
            why = message("“{label}” names parts of the text in “{text}”.", label=c.name, text=text.name)
            yield Proposal(score, {"text": [text.name], "label": [c.name]}, why)
