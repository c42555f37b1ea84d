"""Which tables suit recommendation; see `mtl_core.tasks.suiting`."""

from collections.abc import Iterator

from mtl_core.base.messages import message
from mtl_core.data.profile import Columns, named_time
from mtl_core.tasks.suiting import (
    CLICKS,
    HISTORIES,
    ITEMS,
    LABELS,
    LONG,
    NO_TIMES,
    RATINGS,
    TITLES,
    USERS,
    Proposal,
    best,
    called,
    has_turns,
    in_bars,
    texts,
)


def suits(columns: Columns) -> Iterator[Proposal]:
    flags, lists = columns.of("flag"), columns.of("list")
    lists += [c for c in columns.of("text", "category", "id", "key") if called(c, HISTORIES) == 1 and in_bars(c) > 0.1]
    for past in lists:
        items = [c for c in columns.of("text", "category") if c.name != past.name and called(c, USERS) < 1]
        items = items or [c for c in columns.of("id") if c.name != past.name and called(c, ITEMS) == 1]
        item = best(items, ("item", "title", "product", "description", "candidate", *ITEMS))
        label = best(flags, (*LABELS, *CLICKS))
        if item and label and not has_turns(past) and item.words < LONG:
            user = next((c for c in columns.all if called(c, USERS) and c.role in ("id", "key", "category", "number")), None)
            more = {"user": [user.name]} if user else {}
            why = message(
                "“{history}” holds lists of earlier items, and “{item}” is one that “{label}” says was chosen or not.",
                history=past.name,
                item=item.name,
                label=label.name,
            )
            score = 0.8 + 0.1 * called(past, HISTORIES) + 0.05 * called(item, ITEMS)
            yield Proposal(
                score,
                {"history": [past.name], "item": [item.name], "label": [label.name], **more},
                why,
                group=user.name if user else past.name,
            )
    yield from _log(columns)


def _log(columns: Columns) -> Iterator[Proposal]:
    """Who, what, when: two columns of things that come again, and a time."""
    times = columns.of("time") or [c for c in columns.of("number") if named_time(c.name) or called(c, ("order_number", "seq", "sequence"))]
    times = [c for c in times if c.filled >= 0.98 * c.rows and not called(c, NO_TIMES)]
    things = [
        c for c in columns.of("id", "key") if c.name not in {t.name for t in times} and not called(c, ("row", "index", "log", "event"))
    ]
    things += [
        c for c in columns.of("number", "category", "text") if c not in times and c.whole_numbers and c.distinct > 50 and c.repeats >= 2
    ]
    things += [c for c in columns.of("category", "text") if c.words < LONG and c.distinct > 10 and c.repeats >= 1.5]
    users = [c for c in things if called(c, USERS) and c.repeats > 1.05]
    named_items = [c for c in things if called(c, ITEMS) and c not in users]
    ids = [c for c in things if c.role != "text" and c not in users and c.repeats >= 1.5]
    if not times or not things:
        return
    user = users[0] if users else next((c for c in ids if c not in named_items and c.repeats >= 1.5), None)
    if user is None:
        return
    codes = [c for c in named_items if c.role in ("id", "key", "number")] or [
        c for c in ids if c is not user and c.role in ("id", "number")
    ]
    item = codes[0] if codes else best([c for c in [*named_items, *things] if c is not user], (*ITEMS, *TITLES))
    if item is None or item.repeats < 1.2:
        return
    words = [c for c in columns.of("text", "category") if c not in (user, item) and c.words < LONG and c.distinct > 0.5 * item.distinct]
    text = best([c for c in words if columns.determines(item.name, c.name) or called(c, (*TITLES, *ITEMS))], (*TITLES, *ITEMS)) or item
    spoken = [c for c in texts(columns) if c is not text and c.words >= LONG]
    outcome = [c for c in columns.of("flag") if called(c, (*CLICKS, *LABELS)) and c.name not in (user.name, item.name)]
    time = max(times, key=lambda c: (called(c, ("time", "timestamp", "date")), c.distinct))
    roles = {"user": user.name, "item": item.name, "text": text.name, "time": time.name}
    for role, names in (("quantity", ("quantity", "qty", "数量")), ("rating", RATINGS)):
        if more := next((c for c in columns.of("number") if called(c, names) and c.name not in roles.values()), None):
            roles[role] = more.name
    why = message(
        "Each row says who (“{user}”) took what (“{item}”) and when (“{time}”): a transaction log.",
        user=user.name,
        item=item.name,
        time=time.name,
    )
    score = 0.6 + 0.1 * bool(users) + 0.1 * bool(named_items) + 0.1 * (text is not item) - 0.35 * bool(spoken) - 0.2 * bool(outcome)
    fields = {"user": ["user"], "history": ["history"], "item": ["item"], "label": ["label"]}
    yield Proposal(score, fields, why, log=roles)
