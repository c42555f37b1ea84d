# ruff: noqa: E501, SIM905
"""Small tables in the shapes of well-known public ones, made of invented words: name → (columns, kind, columns that matter, split).

Each is written as the public description has it, and some again with names that help nobody.
"""

from collections.abc import Callable
from random import Random
from typing import Any

Expected = tuple[str | tuple[str, ...], dict[str, Any], str | tuple[str, ...]]
N = 400
_NOUNS = "shirt kettle lamp novel jacket charger pillow bottle camera guitar sofa pan watch tent mug scarf".split()
_WORDS = (
    "the a very nice fits well arrived late broke after two days would buy again cheap quality colour faded my daughter loves it "
    "shipping was slow but support helped returned for refund perfect size too small box damaged great value not worth money"
).split()


def _say(r: Random, low: int, high: int) -> str:
    return " ".join(r.choices([*_WORDS, *_NOUNS], k=r.randint(low, high))).capitalize() + "."


def _title(r: Random) -> str:
    return f"{r.choice(['Luti', 'Osktope', 'Kyrolux', 'Verdane'])} {r.choice(['red', 'blue', 'steel'])} {r.choice(_NOUNS)} {r.randint(2, 90)} cm"


def _asin(r: Random) -> str:
    return "B00" + "".join(r.choices("ABCDEFGHJK0123456789", k=7))


def _rows(make: Callable[[Random, int], dict[str, Any]], n: int = N) -> dict[str, list[Any]]:
    r = Random(7)
    rows = [make(r, i) for i in range(n)]
    return {name: [row[name] for row in rows] for name in rows[0]}


def _searches(r: Random, i: int) -> dict[str, Any]:
    return {"q": f"{_WORDS[i // 8 % 20]} {_NOUNS[i // 8 % 16]} {i // 160}", "t": _title(r), "g": r.choice([0, 0, 1, 2, 3])}


_ITEMS = [(i, _title(Random(i)), Random(i).choice(["aisle 1", "aisle 2", "aisle 3"])) for i in range(60)]
_ASINS = [_asin(Random(i)) for i in range(40)]


def _squad(r: Random, i: int) -> dict[str, Any]:
    place = ["the Black Forest", "North Wales", "a small village", "Lake Como"][i // 3 % 4]
    passage = f"{_say(Random(i // 3), 20, 30)} It was made in {place}. {_say(Random(i // 3), 5, 9)}"
    question = r.choice(["Where was it made?", "In which place is it produced?"])
    return {"id": f"{r.getrandbits(96):024x}", "title": "Shops", "context": passage, "question": question, "answer": place}


def _criteo(r: Random, i: int) -> dict[str, Any]:
    numbers = {f"I{k}": r.choice([None, r.randint(0, 500)]) for k in range(1, 6)}
    return {"label": int(r.random() < 0.25), **numbers, **{f"C{k}": f"{r.randint(1, 12 * k):08x}" for k in range(1, 6)}}


def _house(r: Random, i: int) -> dict[str, Any]:
    area = r.randint(600, 4000)
    known = {
        "Id": i + 1,
        "MSZoning": r.choice(["RL", "RM", "FV"]),
        "LotArea": area * 4,
        "Neighborhood": r.choice(["NAmes", "OldTown", "Edwards"]),
    }
    return {**known, "YearBuilt": r.randint(1900, 2010), "GrLivArea": area, "SalePrice": area * 110 + r.randint(0, 50_000)}


def _fashion(r: Random, i: int) -> dict[str, Any]:
    noun = r.choice(_NOUNS)
    known = {
        "id": 10_000 + 7 * i,
        "gender": r.choice(["Men", "Women"]),
        "masterCategory": noun.capitalize(),
        "season": r.choice(["Fall", "Summer"]),
    }
    name = f"{r.choice(['Puma', 'Nike', 'Fila'])} {known['gender']} {r.choice(['Blue', 'Grey'])} {noun} {r.randint(1, 999)}"
    return {**known, "productDisplayName": name, "filename": f"{known['id']}.jpg", "link": f"http://assets.example.com/images/{i}_a.jpg"}


def _tmall(r: Random, i: int) -> dict[str, Any]:
    item = r.choice(_ITEMS)
    what = ["红色连衣裙", "电热水壶", "男士运动鞋", "蓝牙耳机"][item[0] % 4] + f"{item[0]}号"
    who, when = (
        f"U{r.randint(1, 60):05d}",
        f"2014-{r.randint(5, 11):02d}-{r.randint(1, 28):02d} {r.randint(0, 23):02d}:{r.randint(0, 59):02d}:00",
    )
    return {"用户编号": who, "商品编号": f"{60000 + item[0]}", "商品标题": what, "行为": r.choice(["点击", "收藏", "购买"]), "时间": when}


def _ner(r: Random, i: int) -> dict[str, Any]:
    text, noun = _title(r), ""
    noun = text.split()[2]
    at = text.index(noun)
    return {"text": text, "entities": f'[[{at}, {at + len(noun)}, "THING"], [0, {len(text.split()[0])}, "BRAND"]]'}


def _pair(r: Random) -> tuple[str, str]:
    return f"How do I {_say(r, 4, 9)[:-1].lower()}?", f"What is the way to {_say(r, 4, 9)[:-1].lower()}?"


def _ubuntu(r: Random, i: int) -> dict[str, Any]:
    talk = f"{_say(r, 4, 9)} __eou__ __eot__ {_say(r, 4, 9)} __eou__ __eot__"
    return {"Context": talk, "Utterance": f"{_say(r, 4, 9)} __eou__", "Label": i % 2}


_INTENTS = [
    f"{v}_{n}" for v in ("lost", "broken", "late", "wrong") for n in ("card", "parcel", "refund", "order", "invoice", "code", "account")
]
_CLASSES = _INTENTS[:28]


def _clicks(r: Random, i: int) -> dict[str, Any]:
    known = {"user_id": f"{r.getrandbits(40):010x}", "device": r.choice(["phone", "desktop"]), "site": r.choice(["news", "mail", "maps"])}
    return {
        **known,
        "bid": round(r.random() * 3, 2),
        "age": r.randint(18, 80),
        "headline": f"{_title(r)}, new",
        "clicked": r.choice(["yes", "no", "no"]),
    }


def _churn(r: Random, i: int) -> dict[str, Any]:
    known = {
        "customerID": f"{r.randint(1000, 9999)}-{'ABCDE'[i % 5]}{i:04d}",
        "gender": r.choice(["Male", "Female"]),
        "tenure": r.randint(0, 72),
    }
    contract = r.choice(["Month-to-month", "One year", "Two year"])
    return {**known, "Contract": contract, "MonthlyCharges": round(18 + r.random() * 100, 2), "Churn": r.choice(["Yes", "No"])}


SHAPES: dict[str, tuple[dict[str, list[Any]], *Expected]] = {  # type: ignore[valid-type]
    "short labels": (_rows(lambda r, i: {"sentence": _say(r, 3, 9), "label": _CLASSES[i % 28]}), "classification", {"text": "sentence", "label": "label"}, "stratified"),
    "numbered labels": (_rows(lambda r, i: {"text": _say(r, 3, 9), "label": r.randrange(28)}), "classification", {"text": "text", "label": "label"}, "stratified"),
    "banking77": (_rows(lambda r, i: {"text": _say(r, 3, 9), "category": f"{_INTENTS[i % 28]}_{i % 56 // 28}"}, 800), "classification", {"label": "category"}, "stratified"),
    "review and 0 or 1": (_rows(lambda r, i: {"review": _say(r, 15, 40), "sentiment": r.randrange(2)}), "classification", {"text": "review", "label": "sentiment"}, "stratified"),
    "0 or 1, no names": (_rows(lambda r, i: {"a": _say(r, 15, 40), "b": r.randrange(2)}), "classification", {"text": "a", "label": "b"}, "stratified"),
    "yelp": (_rows(lambda r, i: {"review_id": f"{r.getrandbits(96):024x}", "user_id": f"u{r.randrange(90):05d}", "business_id": f"b{r.randrange(30):05d}", "stars": float(r.randint(1, 5)), "useful": r.randrange(9), "text": _say(r, 20, 60), "date": f"2018-{r.randint(1, 12):02d}-{r.randint(1, 28):02d} 10:11:12"}), ("regression", "classification"), {"text": "text", "label": "stars"}, "time"),
    "amazon reviews": (_rows(lambda r, i: {"reviewerID": f"A{r.randrange(99):012d}", "asin": r.choice(_ASINS), "reviewText": _say(r, 20, 60), "overall": r.randint(1, 5), "summary": _say(r, 2, 5), "unixReviewTime": 1_300_000_000 + 86_400 * r.randrange(1000)}), ("regression", "classification"), {"label": "overall"}, "time"),
    "stars, no names": (_rows(lambda r, i: {"x1": _say(r, 15, 40), "x2": r.randint(1, 5)}), ("regression", "classification"), {"text": "x1", "label": "x2"}, ("random", "stratified")),
    "movielens": (_rows(lambda r, i: {"userId": r.randint(1, 40), "movieId": r.randint(1, 90), "rating": r.choice([1.0, 2.5, 3.0, 4.0, 5.0]), "timestamp": 964_980_000 + r.randrange(10**7)}), "recommendation", {}, "time"),
    "retail log, no names": (_rows(lambda r, i: {"a": f"K{r.randint(1, 60):04d}", "b": f"P{(n := r.choice(_ITEMS)[0]):04d}", "c": _ITEMS[n][1], "d": f"2024-01-{1 + i * 28 // N:02d} 09:{i % 60:02d}"}), "recommendation", {}, "time"),
    "instacart": (_rows(lambda r, i: {"order_id": i // 6, "user_id": i // 24, "order_number": i // 6 % 4 + 1, "product_id": (n := r.choice(_ITEMS))[0], "product_name": n[1], "aisle": n[2], "reordered": r.randrange(2)}), "recommendation", {}, "time"),
    "tmall": (_rows(_tmall), "recommendation", {}, "time"),
    "criteo": (_rows(_criteo), "click_through", {"label": "label"}, "stratified"),
    "ad clicks": (_rows(_clicks), "click_through", {"label": "clicked", "text": "headline", "categories": ["device", "site"], "numbers": ["bid", "age"]}, "stratified"),
    "churn": (_rows(_churn), "click_through", {"label": "Churn"}, "stratified"),
    "squad": (_rows(_squad), "question_answering", {"question": "question", "passage": "context", "answer": "answer"}, "group"),
    "answers, no names": (_rows(lambda r, i: dict(zip("xyz", list(_squad(r, i).values())[2:], strict=True))), "question_answering", {"question": "y", "passage": "x", "answer": "z"}, "group"),
    "ms marco triples": (_rows(lambda r, i: {"query": _pair(r)[0], "positive": _say(r, 20, 40), "negative": _say(r, 20, 40)}), "response_selection", {"dialogue": "query", "reply": "positive"}, "group"),
    "ms marco grades": (_rows(lambda r, i: {"qid": i // 5, "pid": 100 + i, "query": f"{_WORDS[i // 5 % 40]} {_NOUNS[i // 5 % 16]}", "passage": _say(r, 20, 40), "label": int(i % 5 == 0)}), "search", {"query": "query", "product": "passage", "label": "label"}, "group"),
    "search": (_rows(lambda r, i: dict(zip(("search_term", "product_title", "relevance"), _searches(r, i).values(), strict=True))), "search", {"query": "search_term", "product": "product_title", "label": "relevance"}, "group"),
    "search, no names": (_rows(_searches), "search", {"query": "q", "product": "t", "label": "g"}, "group"),
    "quora pairs": (_rows(lambda r, i: {"id": i, "qid1": 2 * i, "qid2": 2 * i + 1, "question1": (p := _pair(r))[0], "question2": p[1], "is_duplicate": r.randrange(2)}), "matching", {"first": "question1", "second": "question2", "label": "is_duplicate"}, ("stratified", "random")),
    "entailment": (_rows(lambda r, i: {"premise": _say(r, 8, 14), "hypothesis": _say(r, 4, 9), "label": r.choice(["entailment", "neutral", "contradiction"])}), "classification", {"text": "premise", "second": "hypothesis", "label": "label"}, "stratified"),
    "similarity": (_rows(lambda r, i: {"sentence1": _say(r, 4, 9), "sentence2": _say(r, 4, 9), "score": round(r.random() * 5, 2)}), "regression", {"text": "sentence1", "second": "sentence2", "label": "score"}, "random"),
    "spans": (_rows(_ner), "extraction", {"text": "text", "label": "entities"}, "random"),
    "toxic comments": (_rows(lambda r, i: {"id": f"{r.getrandbits(64):016x}", "comment_text": _say(r, 15, 40), **{t: int(r.random() < 0.2) for t in ("toxic", "obscene", "threat", "insult")}}), "multilabel", {"text": "comment_text", "label": ["toxic", "obscene", "threat", "insult"]}, "random"),
    "genres": (_rows(lambda r, i: {"overview": _say(r, 15, 40), "genres": "|".join(r.sample(["Drama", "Comedy", "Action", "Horror"], r.randint(1, 3)))}), "multilabel", {"text": "overview", "label": "genres"}, "random"),
    "ubuntu dialogues": (_rows(_ubuntu), "response_selection", {"dialogue": "Context", "reply": "Utterance", "label": "Label"}, "group"),
    "news summaries": (_rows(lambda r, i: {"id": f"{r.getrandbits(160):040x}", "article": _say(r, 60, 90), "highlights": _say(r, 8, 14)}), "generation", {"source": "article", "label": "highlights"}, "random"),
    "house prices": (_rows(_house), "regression", {"label": "SalePrice"}, "random"),
    "fashion catalogue": (_rows(_fashion), "classification", {"text": "productDisplayName"}, "stratified"),
    "given split": (_rows(lambda r, i: {"text": _say(r, 4, 9), "label": r.choice("abc"), "fold": r.choice(["train", "train", "valid", "test"])}), "classification", {"text": "text", "label": "label"}, "column"),
    "chinese messages": (_rows(lambda r, i: {"内容": r.choice(["请问我的包裹到哪里了", "这件衣服可以退货吗", "付款失败怎么办"]) + f"，订单{r.randint(1, 9999)}，谢谢", "类别": r.choice(["物流", "退货", "支付"])}), "classification", {"text": "内容", "label": "类别"}, "stratified"),
    "dialogue summaries": (_rows(lambda r, i: {"id": f"138{i:05d}", "dialogue": f"Amanda: {_say(r, 4, 8)}\nJerry: {_say(r, 4, 8)}", "summary": _say(r, 8, 12)}), "generation", {"source": "dialogue", "label": "summary"}, "random"),
}  # fmt: skip
