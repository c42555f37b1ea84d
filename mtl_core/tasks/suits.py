"""Whether a table suits a kind, by what its columns hold and then by what they are called: a function a kind, `TaskKind.suits`.

Each proposes columns for the kind's fields with a score in [0, 1] that may be compared between kinds, and says why in one sentence.
The scores are hand-made and ordered on 40 tables (tests/config/test_suggestions.py): what the values prove (an answer that stands in its
passage, a query that comes again with other products) is above what names say, and names above what merely could be.
"""

import re
from collections.abc import Iterator

import numpy as np

from mtl_core.base.messages import message
from mtl_core.data.profile import Column, Columns, named_time
from mtl_core.tasks.suiting import (
    ANSWERS,
    BODIES,
    CLICKS,
    CONVERSIONS,
    DIALOGUES,
    FOUND,
    GRADES,
    HISTORIES,
    ITEMS,
    LABELS,
    LONG,
    PRICES,
    QUERIES,
    RATINGS,
    REPLIES,
    SOURCES,
    SPANS,
    TAGS,
    TARGETS,
    TITLES,
    USERS,
    Proposal,
    best,
    called,
    classes,
    features,
    group_of,
    is_rating,
    joined,
    main_text,
    sides,
    texts,
)

# -- the kinds ----------------------------------------------------------------------------------------------------------------


def by_names(columns: Columns) -> Iterator[Proposal]:
    """A kind that says nothing of its own: nothing is proposed."""
    return iter(())


def recommendation(columns: Columns) -> Iterator[Proposal]:
    flags, lists = columns.of("flag"), columns.of("list")
    for past in lists:
        items = [c for c in columns.of("text", "category") if c.name != past.name]
        item = best(items, ("item", "title", "product", "description", "candidate", *ITEMS))
        label = best(flags, (*LABELS, *CLICKS))
        if item and label and not past.turns and item.words < LONG:
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


def search(columns: Columns) -> Iterator[Proposal]:
    found = [c for c in [*texts(columns), *columns.of("category")] if not c.turns]
    grades = [c for c in columns.of("flag", "number") if c.role == "flag" or (c.whole_numbers and c.low >= 0 and 2 <= c.distinct <= 11)]
    if label := max(grades, key=lambda c: (called(c, GRADES), c.name == columns.all[-1].name), default=None):
        for query in found:
            others = [c for c in columns.of("text", "facts") if c is not query and not called(c, QUERIES) and not called(c, ANSWERS)]
            others = [c for c in others if not columns.determines(query.name, c.name)] if query.repeats >= 1.5 else others
            named = called(query, QUERIES)
            if not others or (query.role == "category" and named < 1 and not _phrases(query)) or query.words > LONG * 2:
                continue
            product = best(others, FOUND)
            assert product is not None
            again = query.repeats >= 1.5
            if (query.repeats < product.repeats and not named) or (not again and not (named and called(product, FOUND))):
                continue
            group = group_of(columns, query)
            given = {} if group == query.name else {"group": [group]}
            if again:
                why = message(
                    "“{query}” comes again with other texts in “{product}”, which “{label}” grades.",
                    query=query.name,
                    product=product.name,
                    label=label.name,
                )
            else:
                why = message("“{query}” is asked, and “{label}” grades what was found.", query=query.name, label=label.name)
            score = (
                0.5
                + 0.18 * named
                + 0.1 * again
                + 0.07 * called(product, FOUND)
                + 0.05 * called(label, GRADES)
                + 0.05 * (label.role != "flag")
            )
            described = ("title", "description", "product_title", "name")
            is_product = called(product, ("product", "item", *described))
            more = [c.name for c in others if c is product or (is_product and called(c, described))]
            yield Proposal(score, {"query": [query.name], "product": more, "label": [label.name], **given}, why, group=group)


def _phrases(c: Column) -> bool:
    """Whether a column of few values holds searches rather than classes: of two words or more, each in a few dozen rows at most."""
    return c.words >= 1.8 and c.distinct > 12 and c.repeats <= 60 and not called(c, LABELS)


def matching(columns: Columns) -> Iterator[Proposal]:
    for first, second, score in _pairs(columns):
        label = best(columns.of("flag"), ("label", "same", "match", "is_match", "duplicate", "is_duplicate", *LABELS))
        if label and label.name not in (*first, *second):
            why = message(
                "“{first}” and “{second}” are texts of the same sort, and “{label}” says yes or no to each pair.",
                first=first[0],
                second=second[0],
                label=label.name,
            )
            same = next((c for c in columns.of("id", "key") if c.repeats >= 2), None)
            again = max((columns[n] for n in (first[0], second[0])), key=lambda c: c.repeats)
            group = same.name if same else again.name if again.repeats >= 2 else ""
            score += 0.05 * called(label, ("same", "match", "duplicate"))
            yield Proposal(score, {"first": first, "second": second, "label": [label.name]}, why, group=group, label=label.name)


def _pairs(columns: Columns) -> Iterator[tuple[list[str], list[str], float]]:
    """Two texts of the same sort: by names that come in twos, else where there are two texts of like length."""
    some = [c for c in columns.of("text", "category", "number") if not c.turns]
    first, second = sides(some)
    if first:
        both = [(a, b) for a, b in zip(first, second, strict=True) if "number" not in (a.role, b.role)]
        both.sort(key=lambda p: -min(p[0].words, p[1].words) if p[0].role == "text" else 0)
        yield [a.name for a, _ in both], [b.name for _, b in both], 0.86
    elif len(found := [c for c in texts(columns) if not c.turns]) == 2:
        a, b = found
        if (
            0.6 < (a.words + 0.5) / (b.words + 0.5) < 1.67
            and not (called(a, QUERIES) or called(b, QUERIES))
            and max(a.repeats, b.repeats) < 3
        ):
            yield [a.name], [b.name], 0.66


def click_through(columns: Columns) -> Iterator[Proposal]:
    flags = columns.of("flag")
    label = max(
        flags,
        key=lambda c: (called(c, CLICKS) - 0.1 * called(c, CONVERSIONS), called(c, LABELS), c.name == columns.all[-1].name),
        default=None,
    )
    if label is None:
        return
    bought = next((c for c in flags if c is not label and called(c, CONVERSIONS)), None) if called(label, CLICKS) else None
    special = {name: next((c for c in columns.of("number") if called(c, (name,))), None) for name in ("propensity", "position")}
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
    why = message("“{label}” is yes or no, beside {count} categories and numbers.", label=label.name, count=n)
    yield Proposal(score, found, why, label=label.name)


def classification(columns: Columns) -> Iterator[Proposal]:
    first = classes(columns)
    found, main = texts(columns), main_text(columns)
    twos = next(iter(_pairs(columns)), None) if len(found) >= 2 else None
    for place, label in enumerate(first[:6]):
        if main is None:
            inputs = {"text": [c.name for c in columns.of("category") if c is not label]}
            inputs |= {name: names for name, names in features(columns, label).items() if name == "numbers"}
            if not inputs["text"] or label.role == "flag":
                continue
            why = message("“{label}” has {count} distinct values; the categories are read as text.", label=label.name, count=label.distinct)
            yield Proposal(0.35 + 0.1 * called(label, LABELS), inputs, why, label=label.name)
            continue
        parents = [c for c in first if c.role == "category" and c.distinct < label.distinct and columns.determines(label.name, c.name)]
        parent = best(parents, ("parent", "domain", "division", "supercategory", "category"))
        inputs = {"text": twos[0], "second": twos[1]} if twos and twos[2] > 0.7 else {"text": joined(found, main)}
        inputs |= {"label": [label.name]} | ({"parent": [parent.name]} if parent else {})
        score = (
            0.6
            + 0.12 * called(label, LABELS)
            - 0.01 * place
            - 0.3 * is_rating(label)
            - 0.1 * (label.role == "number" and not called(label, LABELS))
        )
        score -= 0.15 * (label.role == "category" and not called(label, LABELS) and label.repeats < 8)
        what = message("yes or no") if label.role == "flag" else message("{count} distinct values", count=label.distinct)
        why = message(
            "“{text}” holds texts, and “{label}” has few values: {what}.", text=", ".join(inputs["text"]), label=label.name, what=what
        )
        yield Proposal(score, inputs, why, label=label.name)


def multilabel(columns: Columns) -> Iterator[Proposal]:
    main = main_text(columns)
    if main is None:
        return
    for c in columns.of("list", "category", "text"):
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
    if (
        several < 0.1
        or len(known) < 2
        or np.mean([len(i.split()) for i in items]) > 3
        or any(re.fullmatch(r"[\d.]+", i) for i in items[:5])
    ):
        return set()
    return known if len(items) >= 4 * len(known) else set()


def _items(cell: str, is_list: bool) -> list[str]:
    parts = re.split(r"[,;|/，；、]", cell.strip("[] ") if is_list else cell)
    return [p.strip(" \"'") for p in parts if p.strip(" \"'")]


def regression(columns: Columns) -> Iterator[Proposal]:
    found, main = texts(columns), main_text(columns)
    twos = next(iter(_pairs(columns)), None) if len(found) >= 2 else None
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
        inputs = {"text": twos[0], "second": twos[1]} if twos and twos[2] > 0.7 else {"text": joined(found, main)}
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
        )
        yield Proposal(score, {**inputs, "label": [c.name]}, why)


def _short(value: float) -> str:
    return f"{value:g}"


def response_selection(columns: Columns) -> Iterator[Proposal]:
    turned = [c for c in columns.of("list", "text", "category") if c.turns]
    flag = best(columns.of("flag"), ("label", "is_right", "correct", *LABELS))
    for talk in turned or [c for c in texts(columns) if called(c, (*DIALOGUES, *QUERIES))]:
        others = [c for c in texts(columns) if c is not talk and not called(c, ("negative", "neg"))]
        reply = best(others, REPLIES)
        if reply is None or (not talk.turns and not called(reply, REPLIES)) or called(reply, ("summary",)):
            continue
        lists = next((c for c in columns.of("id") if called(c, ("dialogue", "dialog", "conversation", "list")) and c.repeats > 1.2), None)
        found = {"dialogue": [talk.name], "reply": [reply.name]}
        found |= ({"label": [flag.name]} if flag else {}) | ({"list": [lists.name]} if lists else {})
        speakers = next((c for c in columns.of("list", "category") if called(c, ("speakers", "roles", "speaker", "role"))), None)
        found |= {"speakers": [speakers.name]} if speakers else {}
        score = (
            0.5 + 0.3 * talk.turns + 0.1 * called(reply, REPLIES) + 0.1 * called(talk, DIALOGUES) + 0.1 * called(reply, ("positive", "pos"))
        )
        if flag and not talk.turns:
            score -= 0.1
        why = message("“{reply}” follows what was said in “{dialogue}”.", reply=reply.name, dialogue=talk.name)
        yield Proposal(score, found, why, group=lists.name if lists else talk.name)


def question_answering(columns: Columns) -> Iterator[Proposal]:
    found = texts(columns)
    for passage in sorted(found, key=lambda c: -c.words)[:3]:
        for answer in columns.of("text", "category", "list", "facts", "id", "key"):
            asked = [c for c in [*found, *columns.of("category")] if c not in (passage, answer) and c.words >= 2]
            if answer is passage or not asked or passage.words < 8 or answer.words > passage.words or called(answer, TITLES):
                continue
            inside = _inside(columns, passage.name, answer.name)
            if inside < 0.6:
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
                share=inside,
            )
            score = 0.85 + 0.1 * called(answer, ANSWERS)
            group = passage.name if passage.repeats >= 1.2 else ""
            yield Proposal(score, fields | ({"answer_start": [starts.name]} if starts else {}), why, group=group)


def _asks(c: Column) -> float:
    some = c.sample[:200]
    begins = re.compile(r"^\s*(who|what|when|where|why|how|which|is|are|does|do|can|will|did)\b", re.I)
    return sum(v.rstrip().endswith(("?", "？")) or bool(begins.match(v)) for v in some) / max(len(some), 1)


def extraction(columns: Columns) -> Iterator[Proposal]:
    main = best(texts(columns), (*BODIES, *TITLES))
    for c in columns.of("facts", "list"):
        for text in [main] if main else []:
            marks = sum(bool(re.search(r"\d+\s*,\s*\d+\s*,\s*[\"']|[\"']start", v)) for v in c.sample[:200]) / max(len(c.sample[:200]), 1)
            inside = _inside(columns, text.name, c.name)
            if c.turns or not (marks > 0.5 or (inside > 0.7 and (c.role == "facts" or called(c, SPANS)))):
                continue
            order = [d.name for d in columns.all]
            behind = order.index(c.name) > order.index(text.name)
            score = (
                0.55 + 0.2 * behind + 0.1 * called(c, SPANS) + 0.15 * (marks > 0.5) - 0.2 * called(c, ("facts", "data", "input", "source"))
            )
            why = message("“{label}” names parts of the text in “{text}”.", label=c.name, text=text.name)
            yield Proposal(score, {"text": [text.name], "label": [c.name]}, why)


def _inside(columns: Columns, text: str, parts: str) -> float:
    """Share of rows in which all that the second column says stands in the first, as far as it can be read."""
    rows = columns.pairs(text, parts)
    said = [(t.casefold(), _said(p)) for t, p in rows]
    said = [(t, p) for t, p in said if p]
    return float(np.mean([np.mean([i in t for i in p]) >= 0.5 for t, p in said])) if len(said) >= 2 else 0.0


def _said(cell: str) -> list[str]:
    """The words of a cell: itself, the strings of a list or an object, what stands behind the colons."""
    cell = cell.strip()
    if cell[:1] in "[{":
        quoted = [one or other for one, other in re.findall(r"\"((?:[^\"\\]|\\.)*)\"|'([^']*)'", cell)]
        squeezed = cell.replace(" ", "")
        keys = {t for t in quoted if f'{t}":' in squeezed or f"{t}':" in squeezed}
        return [t.casefold() for t in quoted if t and t not in keys] or [t.casefold() for t in re.findall(r"\"([^\"]+)\":\s*\d", cell)]
    if ":" in cell and ";" in cell:
        return [p.partition(":")[2].strip().casefold() for p in cell.split(";") if ":" in p]
    return [cell.casefold()] if cell else []


def generation(columns: Columns) -> Iterator[Proposal]:
    sources = columns.of("text", "facts", "list")
    targets = texts(columns)
    few = [c for c in classes(columns) if called(c, LABELS)] or columns.of("flag")
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


def masked_language_modelling(columns: Columns) -> Iterator[Proposal]:
    if main := main_text(columns):
        why = message("“{text}” holds texts; its words are masked, so that no label is needed.", text=main.name)
        yield Proposal(
            0.4 if len(columns.of("text", "category", "flag", "number", "facts", "list")) == 1 else 0.15,
            {"text": joined(texts(columns), main)},
            why,
        )
