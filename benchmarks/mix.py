"""The rows that all variants of the benchmark train on: an equal mix of three real tables, the same for everyone.

clinc150                        intent of an utterance, 150 classes, its own split, in-scope only
womens_clothing_reviews         department of a review (title and text), split by `Clothing ID`
product_matching_amazon_google  whether two offers are the same product, its own split, the two texts read together
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

SHOP = Path(__file__).resolve().parents[1] / "data"
TASKS = ("intent", "department", "matching")


@dataclass(frozen=True)
class Rows:
    """The rows of one task in one split."""

    texts: list[str]
    seconds: list[str] | None  # the other text of a pair
    labels: np.ndarray  # (R,) int64, into Task.classes

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Task:
    name: str
    classes: list[str]
    splits: dict[str, Rows]


def _intents(data: Path) -> pd.DataFrame:
    table = pd.read_parquet(data / "clinc150" / "clinc150_full.parquet")
    table = table[table["split"].isin(["train", "val", "test"])]
    split = table["split"].replace({"val": "validation"})
    return pd.DataFrame({"text": table["text"], "label": table["intent"], "split": split})


def _departments(data: Path) -> pd.DataFrame:
    table = pd.read_parquet(data / "womens_clothing_reviews" / "reviews.parquet")
    text = (table["Title"].fillna("") + " " + table["Review Text"].fillna("")).str.strip()
    products = np.random.default_rng(0).permutation(table["Clothing ID"].unique())
    tenths = dict(zip(products, np.arange(len(products)) * 10 // len(products), strict=True))
    part = table["Clothing ID"].map(tenths)
    split = np.select([part < 7, part < 8], ["train", "validation"], "test")
    table = pd.DataFrame({"text": text, "label": table["Department Name"], "split": split})
    return table[(table["text"] != "") & table["label"].notna()]


def _pairs(data: Path) -> pd.DataFrame:
    files = {"train": "train", "validation": "valid", "test": "test"}
    tables = []
    for split, file in files.items():
        table = pd.read_parquet(data / "product_matching_amazon_google" / f"{file}.parquet").fillna("")
        sides = {
            side: (table[f"{side}_title"] + " " + table[f"{side}_manufacturer"] + " " + table[f"{side}_price"])
            .str.replace(r"\s+", " ", regex=True)
            .str.strip()
            for side in ("left", "right")
        }
        label = np.where(table["label"] == 1, "same", "different")
        tables.append(pd.DataFrame({"text": sides["left"], "second": sides["right"], "label": label, "split": split}))
    return pd.concat(tables)


def _shop() -> dict[str, pd.DataFrame]:
    """Tables of the sample shop in their place: intents of messages, departments of reviews, pairs of offers."""
    messages, reviews, offers = (pd.read_csv(SHOP / f"{name}.csv", keep_default_na=False) for name in ("messages", "reviews", "offers"))
    tenths = np.random.default_rng(0).permutation(len(offers)) * 10 // len(offers)
    offers["split"] = np.select([tenths < 7, tenths < 8], ["train", "validation"], "test")
    return {
        "intent": messages.rename(columns={"message": "text", "intent": "label"}),
        "department": reviews.rename(columns={"review": "text", "department": "label"}),
        "matching": offers.assign(label=np.where(offers["same"] == 1, "same", "different")).rename(
            columns={"offer_a": "text", "offer_b": "second"}
        ),
    }


def tables(data: Path | None, rows: int, evaluation_rows: int) -> dict[str, pd.DataFrame]:
    """Task → columns `text`, `second` (pairs only), `label`, `split`; the same number of training rows of every task.

    data: where the real tables lie, None for tables of the sample shop; rows: training rows a task; evaluation_rows: most rows of
    validation and of test a task. Chosen at random, always the same.
    """
    made = {}
    found = zip(TASKS, (_intents, _departments, _pairs), strict=True)
    for name, table in _shop().items() if data is None else ((name, make(data)) for name, make in found):
        table = table[["text", *(["second"] if "second" in table else []), "label", "split"]].sample(frac=1, random_state=0)
        most = table["split"].map({"train": rows}).fillna(evaluation_rows)
        made[name] = table[table.groupby("split").cumcount() < most].reset_index(drop=True)
        there = int((made[name]["split"] == "train").sum())
        if there < rows:
            raise SystemExit(f"{name} has {there} training rows; --rows should be at most that for an equal mix. Found {rows}.")
    return made


def task(name: str, table: pd.DataFrame) -> Task:
    """The rows of a table as texts and class numbers. Classes are those of the training rows; other rows are left out."""
    classes = sorted(table.loc[table["split"] == "train", "label"].unique())
    table = table[table["label"].isin(classes)]
    splits = {}
    for split, part in table.groupby("split"):
        seconds = part["second"].tolist() if "second" in part else None
        labels = pd.Categorical(part["label"], categories=classes).codes.astype(np.int64)
        splits[str(split)] = Rows(part["text"].tolist(), seconds, labels)
    return Task(name, classes, splits)
