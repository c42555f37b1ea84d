"""Which tables suit question answering; see `mtl_core.tasks.suiting`."""

import re
from collections.abc import Iterator

from mtl_core.base.messages import message
from mtl_core.data.profile import Column, Columns
from mtl_core.tasks.suiting import ANSWERS, TITLES, Proposal, called, inside, texts


def suits(columns: Columns) -> Iterator[Proposal]:
    found = texts(columns)
    for passage in sorted(found, key=lambda c: -c.words)[:3]:
        for answer in columns.of("text", "category", "list", "facts", "id", "key"):
            asked = [c for c in [*found, *columns.of("category")] if c not in (passage, answer) and c.words >= 2]
            if answer is passage or not asked or passage.words < 8 or answer.words > passage.words or called(answer, TITLES):
                continue
            share = inside(columns, passage.name, answer.name)
            if share < 0.6:
                continue
            question = max(asked, key=lambda c: (called(c, ("question", "query", "问题")), _asks(c), -c.words))
            if not (called(question, ("question", "query", "问题")) or _asks(question) > 0.3):
                continue
            starts = next((c for c in columns.of("number") if called(c, ("answer_start", "start"))), None)
            fields = {"question": [question.name], "passage": [passage.name], "answer": [answer.name]}
            why = message(
                "“{answer}” stands word by word in “{passage}” in {share:.0%} of the rows.",
                answer=answer.name,
                passage=passage.name,
                share=share,
            )
            score = 0.85 + 0.1 * called(answer, ANSWERS)
            group = passage.name if passage.repeats >= 1.2 else ""
            yield Proposal(score, fields | ({"answer_start": [starts.name]} if starts else {}), why, group=group)


def _asks(c: Column) -> float:
    some = c.sample[:200]
    begins = re.compile(r"^\s*(who|what|when|where|why|how|which|is|are|does|do|can|will|did)\b", re.I)
    return sum(v.rstrip().endswith(("?", "？")) or bool(begins.match(v)) for v in some) / max(len(some), 1)
