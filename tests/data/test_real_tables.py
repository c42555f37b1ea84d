"""The data's way on real tables, where they lie (see `real_data` in conftest); the figures are those of their SOURCE.md."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtl_core.base.workspace import Workspace
from mtl_core.config.tables import map_fields
from mtl_core.data.mapping import map_columns, suggest
from mtl_core.data.read import read_table
from mtl_core.data.split import SplitConfig, check_leaks
from mtl_core.data.store import store_dataset
from mtl_core.data.transactions import TransactionConfig
from mtl_core.tasks import KINDS


def test_online_retail_log_by_time(real_data: Path, workspace: Workspace) -> None:
    log = TransactionConfig(
        user="CustomerID",
        item="StockCode",
        text="Description",
        time="InvoiceDate",
        quantity="Quantity",
        item_pattern=r"^\d{5}",
        positives_per_user=5,
    )
    split = SplitConfig(by="time", column="InvoiceDate", validation=0.1, test=0.1)
    dataset = store_dataset(real_data / "online_retail_uk" / "online_retail.parquet", workspace, split=split, transactions=log)
    assert {p.code: p.count for p in dataset.problems}["no_user"] == 135_080
    table, parts = dataset.table(), dataset.split()
    times = table.column("time").to_numpy()
    assert times[parts == "train"].max() < times[parts == "validation"].min()
    assert times[parts == "validation"].max() < times[parts == "test"].min()
    labels, lists = table.column("label").to_numpy(), table.column("list").to_numpy()
    assert labels[parts == "test"].sum() == pytest.approx(0.1 * labels.sum(), rel=0.05)
    assert labels.sum() == len(np.unique(lists))
    assert len(labels) == 5 * labels[parts == "train"].sum() + 21 * labels[parts != "train"].sum()
    row = table.slice(0, 1).to_pylist()[0]
    assert 1 <= len(row["history"]) <= 10
    assert row["user"].isdigit()


def test_reviews_by_product(real_data: Path, workspace: Workspace) -> None:
    split = SplitConfig(by="group", column="Clothing ID", validation=0.1, test=0.2)
    dataset = store_dataset(real_data / "womens_clothing_reviews" / "reviews.parquet", workspace, split=split)
    assert dataset.n_rows == 23_486
    assert dataset.split_sizes["test"] == pytest.approx(0.2 * 23_486, rel=0.1)
    mapped, problems = map_columns(
        dataset.table(),
        KINDS["classification"].fields,
        {"text": ["Title", "Review Text"], "label": "Department Name"},
    )
    assert problems == []
    frame = pd.read_parquet(real_data / "womens_clothing_reviews" / "reviews.parquet")
    assert mapped.column("text").null_count == frame[["Title", "Review Text"]].isna().all(axis=1).sum() < 845
    assert mapped.column("label").null_count == 14
    product = dataset.table(["Clothing ID"]).column("Clothing ID").to_numpy()
    parts = dataset.split()
    assert not set(product[parts == "train"]) & set(product[parts == "test"])


def test_intents_with_their_own_split(real_data: Path, workspace: Workspace) -> None:
    path = real_data / "clinc150" / "clinc150_full.parquet"
    dataset = store_dataset(path, workspace, split=SplitConfig(by="column", column="split"))
    assert dataset.split_sizes == {"train": 15_000, "validation": 3_000, "test": 4_500}
    assert [(p.code, p.count) for p in dataset.problems] == [("split_left_out", 1_200)]
    found = suggest(dataset.table().slice(0, 1000), KINDS["classification"].fields)
    assert (found["text"], found["label"]) == (["text"], ["intent"])


def test_answers_by_question(real_data: Path, workspace: Workspace) -> None:
    dataset = store_dataset(real_data / "epqa_dev" / "dev.parquet", workspace, split=SplitConfig(by="group", column="qid"))
    found = suggest(dataset.table().slice(0, 1000), KINDS["search"].fields)
    assert found == {
        "query": ["question"],
        "product": ["title", "candidate"],
        "label": ["label"],
        "group": ["qid"],
    }
    assert "leak_groups" not in {p.code for p in check_leaks(dataset.table(), dataset.split(), ["question", "candidate"], "qid")}


def test_sessions_with_categories_and_numbers(real_data: Path) -> None:
    table = read_table(real_data / "online_shoppers_intention" / "online_shoppers_intention.csv").table
    assert table.num_rows == 12_330
    found = suggest(table.slice(0, 1000), KINDS["click_through"].fields)
    assert found["label"] == ["Revenue"]
    assert {"Month", "VisitorType"} <= set(found["categories"])
    assert {"BounceRates", "ProductRelated_Duration"} <= set(found["numbers"])
    mapped, problems = map_columns(table, KINDS["click_through"].fields, found)
    assert problems == []
    assert mapped.column("label").to_numpy().mean() == pytest.approx(0.155, abs=0.001)


def test_products_in_three_files_with_leaks(real_data: Path, workspace: Workspace) -> None:
    split = SplitConfig(by="files", validation_file="valid.parquet", test_file="test.parquet")
    dataset = store_dataset(real_data / "product_matching_amazon_google" / "train.parquet", workspace, split=split)
    assert dataset.split_sizes == {"train": 6_874, "validation": 2_293, "test": 2_293}
    kind, split = KINDS["matching"], dataset.split()
    columns = {f: [f"{side}_{c}" for c in ("title", "manufacturer", "price")] for f, side in (("first", "left"), ("second", "right"))}
    split[split == "validation"] = ""  # the pairs that are in training and in the test
    mapped = map_fields(kind, dataset.table(), split, {**columns, "label": "label"}, kind.Options(), dataset.name)
    (leak,) = (p for p in mapped.problems if p.code == "leak_texts")
    assert str(leak.why).startswith("110 texts ") and leak.column == ", ".join(columns["first"] + columns["second"])
