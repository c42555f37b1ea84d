"""The sample shop: one catalogue, its customers and what they do, as small tables. Nothing in it is real.

    python data/make_shop.py          # writes the tables beside this file

Behind everything stand the catalogue's attributes (category, brand, style, colour) and customers with a taste for some of them. A
brand stands for a style, but no title says so: a model finds it out from what is bought, searched and clicked. Every table has its
own random stream, so that changing one leaves the others as they are. `shop_words.py` has the words, `make_shop_texts.py` the tables
of which most columns are text.
"""

import argparse
import csv
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data import make_shop_texts as texts
from data.shop_words import (
    CATEGORIES,
    CLOSINGS,
    COLOURS,
    INTENTS,
    MORE,
    NAMES,
    OPENINGS,
    SEGMENTS,
    SLOGANS,
    STYLES,
    SYNONYMS,
    USES,
    VAGUE,
    Rng,
    Row,
    part_of,
    pick,
    style_of,
    typos,
    weighted,
    wording,
    zipf,
)

SEED = 20240229
N_USERS, N_PURCHASES, N_QUERIES, N_CANDIDATES, N_ADS, N_IMPRESSIONS, N_MESSAGES, N_LISTINGS = 320, 2600, 250, 8, 48, 3600, 1500, 1000


def make_catalogue(rng: Rng) -> list[Row]:
    """One or two of everything, each of a brand and a colour. Some have no price."""
    brands = [brand for names, _ in STYLES.values() for brand in names]
    rows: list[Row] = []
    for category, things in NAMES.items():
        for names in things:
            for _ in range(1 + int(rng.random() < 0.25)):
                brand, colour = pick(rng, brands), pick(rng, list(COLOURS))
                price = round(float(np.exp(rng.normal(3, 0.7)) * (1.6 if style_of(brand) == "elegant" else 1)), 2)
                rows.append({
                    "item_id": f"A{len(rows) + 1:03}", "title": f"{brand} {colour} {names[0]}",
                    "category": category, "thing": names[0], "brand": brand, "style": style_of(brand), "colour": colour,
                    "price": "" if rng.random() < 0.04 else price,
                })  # fmt: skip
    return rows


def make_transactions(rng: Rng, catalogue: list[Row]) -> list[Row]:
    """Users buy what suits their taste (categories and style, mostly their segment's) and what is popular, through one year."""
    popularity = rng.permutation(zipf(len(catalogue), 0.3))
    users = []
    for number in range(N_USERS):
        favourites, style = SEGMENTS[pick(rng, list(SEGMENTS))]
        first, second = (str(c) for c in rng.choice(favourites if rng.random() < 0.8 else CATEGORIES, 2, replace=False))
        style = style if rng.random() < 0.8 else pick(rng, list(STYLES))
        taste = np.array(
            [3.8 * (r["category"] == first) + 2.6 * (r["category"] == second) + 1.3 * (r["style"] == style) for r in catalogue]
        )
        users.append((f"U{number + 1:03}", popularity * np.exp(taste), popularity))
    rows: list[Row] = []
    activity = rng.permutation(zipf(N_USERS, 0.3))
    for _ in range(N_PURCHASES):
        user, taste, whim = weighted(rng, users, activity)
        item = weighted(rng, catalogue, whim if rng.random() < 0.05 else taste)
        time = datetime(2024, 1, 1) + timedelta(minutes=int(rng.integers(366 * 24 * 60)))
        quantity = -1 if rng.random() < 0.02 else int(rng.choice([1, 2, 3], p=[0.85, 0.1, 0.05]))
        rows.append({
            "user": "" if rng.random() < 0.01 else user, "item_id": item["item_id"], "item_text": item["title"],
            "time": time.isoformat(sep=" ", timespec="minutes"), "quantity": quantity,
        })  # fmt: skip
    return sorted(rows, key=lambda r: r["time"])


def grade(row: Row, wanted: Row, by: str, broad: bool) -> int:
    """3: all that was asked for, 2: the thing in another style or colour, 1: its category, 0: nothing of it."""
    if row["category"] != wanted["category"]:
        return 0
    same = broad or row["thing"] == wanted["thing"]
    return 3 if same and row.get(by) == wanted.get(by) else 2 if same and not broad else 1


def make_searches(rng: Rng, catalogue: list[Row]) -> list[Row]:
    """Queries for a thing or a category, most of them in a style or a colour, and products near and far from it, graded."""
    rows: list[Row] = []
    asked: set[str] = set()
    while len(asked) < N_QUERIES:
        wanted = catalogue[int(rng.integers(len(catalogue)))]
        category, style, colour = wanted["category"], wanted["style"], wanted["colour"]
        by = weighted(rng, ["style", "colour", ""], [0.75, 0.15, 0.1])
        broad = by == "style" and rng.random() < 0.8
        word = {"style": pick(rng, STYLES[style][1]), "colour": pick(rng, [colour, COLOURS[colour]]), "": ""}[by]
        query = typos(rng, f"{word} {category if broad else pick(rng, SYNONYMS[wanted['thing']])}".strip(), 0.06)
        if query in asked:
            continue
        asked.add(query)
        near = [r for r in catalogue if r["category"] == category and r is not wanted]
        alike = [r for r in catalogue if r["category"] != category and (r["colour"] == colour or r["style"] == style)]
        shown = [wanted, *(near[i] for i in rng.permutation(len(near))[: N_CANDIDATES - 3])]
        shown += [alike[i] for i in rng.permutation(len(alike))[: N_CANDIDATES - len(shown)]]
        for i in rng.permutation(len(shown)):
            error = int(rng.choice([-1, 1])) if rng.random() < 0.05 else 0
            rows.append({
                "query_id": f"Q{len(asked):03}", "query": query, "item_id": shown[i]["item_id"], "title": shown[i]["title"],
                "relevance": min(max(grade(shown[i], wanted, by, broad) + error, 0), 3),
            })  # fmt: skip
    return rows


def make_ads(rng: Rng, catalogue: list[Row]) -> list[Row]:
    """Impressions of a few ads. A segment clicks on its categories and style, at its hours, where the device suits the place."""
    ads = []
    for i in rng.choice(len(catalogue), N_ADS, replace=False):
        item = catalogue[int(i)]
        ads.append((item, f"{pick(rng, STYLES[item['style']][1])} {pick(rng, SYNONYMS[item['thing']])}, {pick(rng, SLOGANS)}"))
    rows: list[Row] = []
    for _ in range(N_IMPRESSIONS):
        item, text = ads[int(rng.integers(N_ADS))]
        segment, device = pick(rng, list(SEGMENTS)), weighted(rng, ["phone", "desktop", "tablet"], [6, 3, 1])
        placement, hour = pick(rng, ["top banner", "sidebar", "feed", "checkout"]), int(rng.integers(24))
        discount = float(rng.choice([0, 5, 10, 20, 30], p=[0.4, 0.2, 0.2, 0.15, 0.05]))
        age = float(np.clip(rng.normal({"student": 22, "retired": 68}.get(segment, 38), 5), 18, 90))
        likes, style = SEGMENTS[segment]
        suits = {("phone", "feed"): 0.9, ("desktop", "sidebar"): 0.7, ("phone", "sidebar"): -0.9, ("desktop", "feed"): -0.5}
        evening = np.exp(-(((hour - 20) / 3) ** 2)) + 0.7 * np.exp(-(((hour - 8) / 2) ** 2))
        logit = -3.2 + 2.6 * (item["category"] in likes) + 1.2 * (item["style"] == style) + suits.get((device, placement), 0.0)
        logit += 1.3 * evening + (0.05 if segment in ("student", "young parent") else 0.01) * discount + rng.normal(0, 0.3)
        rows.append({
            "segment": segment, "device": "" if rng.random() < 0.03 else device, "placement": placement, "hour": hour,
            "age": "" if rng.random() < 0.1 else round(age), "discount": "" if rng.random() < 0.05 else discount,
            "ad_category": item["category"], "ad_text": text, "click": int(rng.random() < 1 / (1 + np.exp(-logit))),
        })  # fmt: skip
    return rows


def make_messages(rng: Rng, n: int) -> list[Row]:
    """What customers write. A third of the later messages (validation, test) say it in words that training does not have."""
    things = [name for names in NAMES.values() for thing in names for name in thing]
    rows: list[Row] = []
    for i in range(n):
        split = part_of(i, n)
        intent = weighted(rng, list(INTENTS), zipf(len(INTENTS), 0.7))
        said = wording(rng, split, *INTENTS[intent])
        text = said.format(t=pick(rng, things), u=pick(rng, things), n=int(rng.integers(10_000, 99_999)))
        text = f"{pick(rng, OPENINGS)}, {text}" if rng.random() < 0.3 else text
        text = f"{text}, {pick(rng, CLOSINGS)}" if rng.random() < 0.3 else text
        label = pick(rng, list(INTENTS)) if rng.random() < 0.03 else intent
        rows.append({"message": typos(rng, text, 0.06), "intent": "" if rng.random() < 0.01 else label, "split": split})
    return rows


def make_listings(rng: Rng) -> list[Row]:
    """Third-party listings in the sellers' words, some mislabelled, some without a description: which category?"""
    rows: list[Row] = []
    for _ in range(N_LISTINGS):
        category = weighted(rng, CATEGORIES, zipf(len(CATEGORIES), 0.6))
        forms = [name for thing in NAMES[category] for name in thing] + MORE[category].split(", ")
        title = pick(rng, forms)
        title = f"{pick(rng, list(COLOURS))} {title}" if rng.random() < 0.3 else title
        about = [pick(rng, VAGUE).format(c=pick(rng, list(COLOURS)))]
        if rng.random() < 0.2:
            about.append(pick(rng, USES[category].split(", ")))
        label = pick(rng, CATEGORIES) if rng.random() < 0.03 else category
        description = "" if rng.random() < 0.08 else ", ".join(about[i] for i in rng.permutation(len(about)))
        price = "" if rng.random() < 0.05 else round(float(np.exp(rng.normal(3, 0.8))), 2)
        rows.append({"title": typos(rng, title, 0.1), "description": description, "price": price, "category": label})
    return rows


def write(path: Path, rows: Iterable[Row]) -> None:
    rows = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def make_shop(folder: Path, seed: int = SEED) -> dict[str, int]:
    """Writes the tables into `folder`. Returns file name → rows."""
    streams = iter(np.random.default_rng([seed, i]) for i in range(14))
    catalogue = make_catalogue(next(streams))
    tables = {
        "catalogue.csv": catalogue,
        "transactions.csv": make_transactions(next(streams), catalogue),
        "searches.csv": make_searches(next(streams), catalogue),
        "ads.csv": make_ads(next(streams), catalogue),
        "messages.csv": make_messages(next(streams), N_MESSAGES),
        "products.csv": make_listings(next(streams)),
        "reviews.csv": texts.make_reviews(next(streams), 1400),
        "offers.csv": texts.make_offers(next(streams), catalogue, 1200),
        "titles.csv": texts.make_titles(next(streams), 1000),
        "dialogues.csv": texts.make_dialogues(next(streams), 1000),
        "questions.csv": texts.make_questions(next(streams), catalogue, 1200),
        "descriptions.csv": texts.make_descriptions(next(streams), catalogue, 1000),
        "shop_texts.csv": texts.make_shop_texts(stream := next(streams), catalogue, make_messages(stream, 200), 1000),
        "ads_conversions.csv": texts.make_conversions(next(streams), catalogue, 1500),
    }
    for name, rows in tables.items():
        write(folder / name, rows)
    return {name: len(rows) for name, rows in tables.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    for name, n_rows in make_shop(arguments.folder, arguments.seed).items():
        print(f"{name}: {n_rows} rows")
