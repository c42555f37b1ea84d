# ruff: noqa: E501, SIM905
"""Tables in which several columns could be the label: name → as in `shapes.SHAPES`. The first two came from a newcomer, for whom a brand with
empty cells and a score that was made from the stars were suggested first."""

from random import Random
from typing import Any

from tests.config.shapes import _WORDS, Expected, _rows, _say

_GOODS = {
    "Kitchen": "pan kettle knife pot".split(),
    "Garden": "hose rake spade planter".split(),
    "Toys": "puzzle doll blocks kite".split(),
    "Office": "stapler binder pen desk".split(),
}
_BRANDS = "Acme Norda Velto Kimo Lusco Brix".split()
_REVIEWS = [_say(Random(i), 8, 20) for i in range(160)]
_PRODUCTS = [f"{a} {n}" for a in "red steel large soft".split() for names in _GOODS.values() for n in names]
_TROUBLES = {"billing": "invoice charged", "returns": "refund return", "technical": "crash login"}
_CHINESE = {"退货": "怎么退货退款", "物流": "快递什么时候到", "发票": "请开一张发票"}


def _gaps(r: Random, value: Any, share: float) -> Any:
    return None if r.random() < share else value


def _product(r: Random) -> tuple[str, str]:
    of = r.choice(list(_GOODS))
    return f"{r.choice(_WORDS)} {r.choice(_GOODS[of])} {r.choice(_WORDS)} {r.randint(1, 99)}", of


def _products(r: Random, i: int, gaps: float = 0.25, of: str = "department") -> dict[str, Any]:
    title, found = _product(r)
    return {"title": title, of: found, "brand": _gaps(r, r.choice(_BRANDS), gaps)}


def _catalogue(r: Random, i: int) -> dict[str, Any]:
    title, of = _product(r)
    known = {"sku": f"A{i:05d}", "name": title, "colour": _gaps(r, r.choice(["red", "blue"]), 0.4), "product_type": of}
    return {**known, "manufacturer": r.choice(_BRANDS)}


def _reviews(r: Random, i: int) -> dict[str, Any]:
    stars = r.choice([1, 2, 3, 4, 5, 5])
    known = {"review": r.choice(_REVIEWS), "product": r.choice(_PRODUCTS), "stars": stars}
    return {**known, "sentiment_score": round((stars - 3) / 2 + r.choice([-0.1, 0, 0.1]), 1)}


def _polarity(r: Random, i: int) -> dict[str, Any]:
    rating = r.choice([1, 2, 3, 4, 5])
    return {
        "comment": _say(r, 4, 9),
        "item": r.choice(_PRODUCTS),
        "rating": rating,
        "polarity": round(rating / 5 + r.uniform(-0.1, 0.1), 3),
    }


def _tickets(r: Random, i: int, gaps: float = 0.0) -> dict[str, Any]:
    team = r.choice(list(_TROUBLES))
    known = {"ticket": f"{_say(r, 6, 12)} {r.choice(_TROUBLES[team].split())}", "team": team}
    return {**known, "priority": _gaps(r, r.choice(["low", "normal", "high"]), gaps), "resolution_time": round(r.expovariate(0.1), 1)}


def _chinese(r: Random, i: int) -> dict[str, Any]:
    what = r.choice(list(_CHINESE))
    return {"内容": f"你好{r.choice('我他她')}想问{_CHINESE[what]}", "原因": what, "渠道": r.choice(["电话", "邮件"])}


RIVALS: dict[str, tuple[dict[str, list[Any]], *Expected]] = {  # type: ignore[valid-type]
    "products with gaps in the brand": (_rows(_products), "classification", {"text": "title", "label": "department"}, "stratified"),
    "reviews with a derived score": (_rows(_reviews), "regression", {"text": "review", "label": "stars"}, "random"),
    "a label that the title tells, by no known name": (_rows(lambda r, i: _products(r, i, 0.0, "aisle_kind")), "classification", {"label": "aisle_kind"}, "stratified"),
    "a catalogue of three classes": (_rows(_catalogue), "classification", {"text": "name", "label": "product_type"}, "stratified"),
    "ratings and their polarity": (_rows(_polarity), "regression", {"text": "comment", "label": "rating"}, "random"),
    "the same score twice": (_rows(lambda r, i: {"review": _say(r, 8, 20), "stars": (s := r.randint(1, 5)), "score": s}), "regression", {"label": "stars"}, "random"),
    "tickets": (_rows(_tickets), "classification", {"text": "ticket", "label": "team"}, "stratified"),
    "tickets without some priorities": (_rows(lambda r, i: _tickets(r, i, 0.3)), "classification", {"text": "ticket", "label": "team"}, "stratified"),
    "Chinese questions": (_rows(_chinese), "classification", {"text": "内容", "label": "原因"}, "stratified"),
    "two classes that no text tells": (_rows(lambda r, i: {"message": _say(r, 6, 12), "channel": r.choice("ab"), "reason": _gaps(r, r.choice("xyz"), 0.4)}), "classification", {"label": "channel"}, "stratified"),
    "mostly without its label": (_rows(lambda r, i: {"message": _say(r, 6, 12), "label": _gaps(r, r.choice("xyz"), 0.85)}), "classification", {"label": "label"}, "stratified"),
}  # fmt: skip
