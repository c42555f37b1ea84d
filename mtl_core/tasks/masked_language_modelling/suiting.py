"""Which tables suit masked language modelling; see `mtl_core.tasks.suiting`."""

from collections.abc import Iterator

from mtl_core.base.messages import message
from mtl_core.data.profile import Columns
from mtl_core.tasks.suiting import Proposal, joined, main_text, texts


def suits(columns: Columns) -> Iterator[Proposal]:
    if main := main_text(columns):
        why = message("“{text}” holds texts; its words are masked, so that no label is needed.", text=main.name)
        yield Proposal(
            0.4 if len(columns.of("text", "category", "flag", "number", "facts", "list")) == 1 else 0.15,
            {"text": joined(texts(columns), main)},
            why,
        )
