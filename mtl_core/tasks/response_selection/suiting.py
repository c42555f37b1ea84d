"""Which tables suit response selection; see `mtl_core.tasks.suiting`."""

from collections.abc import Iterator

from mtl_core.base.messages import message
from mtl_core.data.profile import Columns
from mtl_core.tasks.suiting import DIALOGUES, LABELS, QUERIES, REPLIES, Proposal, best, called, has_turns, texts


def suits(columns: Columns) -> Iterator[Proposal]:
    turned = [c for c in columns.of("list", "text", "category") if has_turns(c)]
    flag = best(columns.of("flag"), ("label", "is_right", "correct", *LABELS))
    for talk in turned or [c for c in texts(columns) if called(c, (*DIALOGUES, *QUERIES))]:
        others = [c for c in texts(columns) if c is not talk and not called(c, ("negative", "neg"))]
        reply = best(others, REPLIES)
        if reply is None or (not turned and not called(reply, REPLIES)) or called(reply, ("summary",)):
            continue
        lists = next((c for c in columns.of("id") if called(c, ("dialogue", "dialog", "conversation", "list")) and c.repeats > 1.2), None)
        found = {"dialogue": [talk.name], "reply": [reply.name]}
        found |= ({"label": [flag.name]} if flag else {}) | ({"list": [lists.name]} if lists else {})
        speakers = next((c for c in columns.of("list", "category") if called(c, ("speakers", "roles", "speaker", "role"))), None)
        found |= {"speakers": [speakers.name]} if speakers else {}
        score = (
            0.5
            + 0.3 * bool(turned)
            + 0.1 * called(reply, REPLIES)
            + 0.1 * called(talk, DIALOGUES)
            + 0.1 * called(reply, ("positive", "pos"))
        )
        score += 0.1 * (called(talk, ("question",)) == 1 and called(reply, ("answer",)) == 1)
        if flag and not turned:
            score -= 0.1
        why = message("“{reply}” follows what was said in “{dialogue}”.", reply=reply.name, dialogue=talk.name)
        yield Proposal(score, found, why, group=lists.name if lists else talk.name)
