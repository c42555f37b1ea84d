"""What says whether a table suits a kind: what columns are called in the wild, and what several kinds look for in a table.

Each kind has a function of its own, `TaskKind.suits`, in the `suiting.py` of its folder. It proposes columns for the kind's fields by what
the columns hold and then by what they are called, with a score in [0, 1] that may be compared between kinds, and says why in one sentence.
The scores are hand-made and ordered on the tables of tests/config/test_suggestions.py: what the values prove (an answer that stands in its
passage, a query that comes again with other products) is above what names say, and names above what merely could be.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mtl_core.base.messages import Message
from mtl_core.data.profile import Column, Columns, called_id


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


LABELS = _words(
    "label labels class target intent category department sentiment polarity y outcome topic emotion 标签 类别 品类 类目 意图 情感"
)
CLICKS = _words("click clicked clicks clk is_click conversion converted revenue purchase purchased bought churn exited 点击")
CONVERSIONS = _words("conversion converted purchase purchased bought 购买")
STARS = _words("rating ratings stars star overall review_rating 评分 星级")
"""What people gave themselves; beside it, a score is mostly derived from it."""
RATINGS = (*STARS, *_words("score scores grade quality points"))
FEELINGS = _words("sentiment polarity emotion 情感")
PRICES = _words("price saleprice amount cost value sales 价格 销量")
QUERIES = _words("query search search_term keyword keywords search_query question 搜索词 查询")
FOUND = _words("product candidate passage document doc item product_title result title positive pos 商品 商品标题")
RELEVANCES = _words("relevance relevant gain 相关性")
GRADES = (*RELEVANCES, *_words("grade score label rating"))
DIALOGUES = _words("dialogue dialog conversation context turns utterances messages 对话")
REPLIES = _words("reply response answer agent_reply utterance positive pos completion 回复")
HISTORIES = _words("history past_items viewed basket clicked_items purchases sequence 历史")
SOURCES = _words("source article document input prompt instruction data facts attributes text dialogue body 原文")
TARGETS = _words("target output summary highlights response reply description completion headline text 摘要")
TAGS = _words("tags labels tag themes topics aspects genres categories keywords 标签")
SPANS = _words("attributes spans entities target_scores annotations ner aspects label labels")
TITLES = _words("title name headline subject summary description 标题 名称 描述")
BODIES = _words("text message utterance review body content comment sentence tweet question input 评论 内容 文本")
USERS = _words("user customer client member account buyer visitor session reviewer 用户 客户 会员 买家")
OPINIONS = _words("review comment message utterance feedback opinion tweet complaint 评论")
"""Texts of somebody's own: no search finds them, as long as nothing is called a query."""
ITEMS = _words("item product stock sku asin article goods movie book track song artist video news ad 商品 产品 物品")
ANSWERS = _words("answer answers answer_text span")
POSITIONS = _words("position slot rank 位置 排名")
COUNTS = (*POSITIONS, *_words("count counts vote votes views visits impressions quantity qty num times 数量 次数"))
"""Called like this, whole numbers say how many or at which place, and name no class."""
NO_TIMES = _words(
    "birth birthday birthdate dob born expiry expires expiration valid until deadline due duration elapsed dwell 生日 出生 到期 时长"
)
"""Called like this, a time is a property of somebody or something, or how long it took; not when the row came to be."""
SIDES = (
    ("left", "right"),
    ("a", "b"),
    ("1", "2"),
    ("first", "second"),
    ("one", "two"),
    ("l", "r"),
    ("ltable", "rtable"),
    ("premise", "hypothesis"),
)
_SPOKEN = {*BODIES, *TITLES, *FOUND, *REPLIES} - {*LABELS}
SAMES = _words("same match matching duplicate is_same is_match is_duplicate")
LONG = 12
"""Words from which a text is somebody's own (a review, a message) rather than the copy of an ad."""


@dataclass(frozen=True)
class Proposal:
    """Columns for the fields of a kind. score: in [0, 1]; group: the column that a split should be made by; label: what it should
    be stratified by; log: role of a transaction log → column."""

    score: float
    columns: Mapping[str, Sequence[str]]
    why: Message
    group: str = ""
    label: str = ""
    log: Mapping[str, str] = field(default_factory=dict)


# -- names --------------------------------------------------------------------------------------------------------------------


def called(column: Column, words: Collection[str]) -> float:
    """1 where the column is called like one of the words, 0.5 where one of them is a word of its name, else 0."""
    name = re.sub(r"[\W_]+", "", column.name.casefold())
    if name in (w.replace("_", "") for w in words):
        return 1.0
    return 0.5 if set(_name_words(column.name)) & set(words) or any(w in column.name for w in words if not w.isascii()) else 0.0


def _name_words(name: str) -> list[str]:
    return [w.lower() for w in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_a-zA-Z]+", name)]


def best(columns: Iterable[Column], words: Sequence[str]) -> Column | None:
    """The one that is called most like the words; of equals the one with the most words in a value."""
    return max(columns, key=lambda c: (called(c, words), c.words), default=None)


def sides(columns: Sequence[Column]) -> tuple[list[Column], list[Column]]:
    """Columns that come in twos (left_title and right_title, question1 and question2), apart; two empty lists where none do."""
    for left, right in SIDES:
        first, second = [], []
        for c in columns:
            words = _name_words(c.name)
            for at, word in enumerate(words):
                other = [*words[:at], right, *words[at + 1 :]]
                if word == left and (twin := next((d for d in columns if _name_words(d.name) == other), None)):
                    first.append(c)
                    second.append(twin)
                    break
        third = {"1": "3", "a": "c"}.get(left)
        more = any(third in _name_words(c.name) for c in columns) if third else False  # C1, C2, C3 … are no two sides
        if any(c.role == "text" for c in first) and not more:
            return first, second
    return [], []


# -- what several kinds look for ----------------------------------------------------------------------------------------------


def texts(columns: Columns) -> list[Column]:
    """Texts; also those that come again so often that they could be classes, but are called like a text and have several words each."""
    return [c for c in columns.of("text", "category") if c.role == "text" or (c.words >= 2 and called(c, _SPOKEN) == 1)]


def joined(found: Sequence[Column], main: Column) -> list[str]:
    """The main text with the title or description that stands beside it, in the order of the table."""
    return [c.name for c in found if c is main or (called(c, TITLES) and not called(c, ("label", "answer", "user", "author")))]


def main_text(columns: Columns) -> Column | None:
    found = texts(columns)
    return max(found, key=lambda c: (called(c, BODIES) == 1 and c.words >= 3, called(c, (*BODIES, *TITLES)) > 0, c.words), default=None)


def classes(columns: Columns) -> list[Column]:
    """Columns that may be classes, the likeliest first: by name, then the last column of the table, then the fewest values."""
    found = [c for c in columns.of("category", "flag") if c.few]
    found += [c for c in columns.of("number") if c.few and c.whole_numbers and c.distinct <= 200 and c.repeats >= 5 and c.low >= -10]
    found = [c for c in found if c.role != "number" or not called(c, COUNTS) or called(c, LABELS) == 1]
    if not found:
        found = [c for c in columns.of("id") if c.few and c.distinct <= 200 and called(c, LABELS)]
    last, first = columns.all[-1].name, columns.all[0].name
    order = {w: i for i, w in enumerate(LABELS)}

    def likely(c: Column) -> tuple[float, float, float, int]:
        place = -min((order[w] for w in (re.sub(r"[\W_]+", "", c.name.casefold()), *_name_words(c.name)) if w in order), default=99)
        return called(c, (*LABELS, *CLICKS)), place, float(c.name == last) + 0.5 * (c.name == first), -c.distinct

    return sorted(found, key=likely, reverse=True)


def has_turns(c: Column) -> bool:
    """Whether several people speak in its values, or it is called a dialogue and holds lists."""
    return c.turns or (called(c, DIALOGUES) == 1 and (c.role == "list" or in_bars(c) > 0.5))


def in_bars(c: Column) -> float:
    """Share of the values with a `|` in them, which divides the items of a list."""
    return sum("|" in v for v in c.sample) / max(len(c.sample), 1)


def is_code(c: Column) -> bool:
    """Whether few whole numbers, far apart, name classes rather than count: 10, 1140, 2403, in many rows each."""
    return (
        c.role == "number" and c.whole_numbers and c.few and c.repeats >= 20 and c.high - c.low >= 5 * c.distinct and not called(c, PRICES)
    )


def is_rating(c: Column) -> bool:
    """Whether whole or half numbers of a few steps from 0 or 1 to 5 or 10 are called like a rating, or look like stars."""
    if c.role != "number":
        return False
    steps = c.low in (0, 1) and c.high in (5, 10) and 4 <= c.distinct <= 21
    return (called(c, RATINGS) > 0 and 4 <= c.distinct <= 101) or (steps and c.low == 1)


def is_derived(c: Column, columns: Columns) -> bool:
    """Whether a score or a sentiment in numbers stands beside the rating that a person gave: such a score is derived, and no label."""
    if called(c, STARS) or called(c, PRICES) or not called(c, (*RATINGS, *FEELINGS)):
        return False
    others = [d for d in columns.of("number") if d is not c and is_rating(d) and called(d, RATINGS)]
    return any(called(d, STARS) or (d.whole_numbers and not c.whole_numbers) for d in others)


def features(columns: Columns, label: Column, *others: Column | None) -> dict[str, list[str]]:
    """Categories and numbers beside a label: neither ids nor what only names a row, nor a second flag that is called like an outcome."""
    left_out = {label.name, *(c.name for c in others if c)}
    categories = [
        c.name for c in columns.of("category", "flag") if c.name not in left_out and (c.role != "flag" or not called(c, (*CLICKS, *LABELS)))
    ]
    categories += [
        c.name
        for c in columns.of("id")
        if c.repeats >= 5 and c.name not in left_out and (c.distinct <= 50 or not called_id(c.name)) and not called(c, USERS)
    ]
    numbers = [c.name for c in columns.of("number") if c.name not in left_out and not (c.whole_numbers and called(c, USERS) == 1)]
    found = {"categories": [c.name for c in columns.all if c.name in categories], "numbers": numbers}
    return {name: names for name, names in found.items() if names}


def group_of(columns: Columns, text: Column) -> str:
    """The column that says which rows have this text in common: an id that determines it and is determined by it, else the text."""
    for c in [*columns.of("id"), *columns.of("number")]:
        if c.repeats > 1.2 and c.distinct >= 0.9 * text.distinct and columns.determines(c.name, text.name):
            return c.name
    return text.name


def pairs(columns: Columns) -> Iterator[tuple[list[str], list[str], float]]:
    """Two texts of the same sort: by names that come in twos, else where there are two texts of like length."""
    some = [c for c in columns.of("text", "category", "number") if not c.turns]
    first, second = sides(some)
    if first:
        both = [(a, b) for a, b in zip(first, second, strict=True) if "number" not in (a.role, b.role)]
        both.sort(key=lambda p: -min(p[0].words, p[1].words) if p[0].role == "text" else 0)
        if both:
            yield [a.name for a, _ in both], [b.name for _, b in both], 0.86
    elif twins := one_thing_twice(found := [c for c in texts(columns) if not c.turns]):
        yield [twins[0].name], [twins[1].name], 0.72
    elif len(found) == 2:
        a, b = found
        if (
            0.6 < (a.words + 0.5) / (b.words + 0.5) < 1.67
            and not (called(a, QUERIES) or called(b, QUERIES))
            and max(a.repeats, b.repeats) < 3
        ):
            yield [a.name], [b.name], 0.66


def one_thing_twice(found: Sequence[Column]) -> tuple[Column, Column] | None:
    """Two texts, and no more, that are called the same thing of two places: title_shop and title_supplier."""
    named = [(c, words) for c in found for words in [set(_name_words(c.name))] if words & _SPOKEN and len(words) > 1]
    twins = [(a, b) for i, (a, x) in enumerate(named) for b, y in named[i + 1 :] if x & y & _SPOKEN and not (x ^ y) & {*_SPOKEN, *QUERIES}]
    return twins[0] if len(twins) == 1 else None


def two_sides(columns: Columns) -> tuple[list[str], list[str]] | None:
    """Texts that one label is about together: by names that come in twos, or something asked and what was found."""
    for first, second, score in pairs(columns):
        if score > 0.7:
            return first, second
    asked = max(columns.of("text", "category"), key=lambda c: called(c, QUERIES), default=None)
    found = best([c for c in texts(columns) if c is not asked], FOUND)
    if asked and found and not asked.turns and called(asked, QUERIES) == 1 and called(found, FOUND):
        return [asked.name], [found.name]
    return None


def inside(columns: Columns, text: str, parts: str) -> float:
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
