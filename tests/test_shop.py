"""The sample shop: its tables are what its generator makes, and training it is worth while."""

import csv
import importlib.util
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import load_experiment
from mtl_core.config.suggestions import suggestions
from mtl_core.config.tables import map_task
from mtl_core.data.read import read_table
from mtl_core.data.transactions import looks_like_log
from mtl_core.runtime.prepare import prepare
from mtl_core.tasks import KINDS
from mtl_core.training.events import Finished
from mtl_core.training.loop import train

DATA = Path(__file__).parents[1] / "data"
TABLES = sorted(path.name for path in DATA.glob("*.csv"))


def table(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def column(name: str, field: str) -> np.ndarray:
    return np.array([row[field] for row in table(name)])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("make_shop", DATA / "make_shop.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("made")
    assert module.make_shop(folder) == {name: len(table(name)) for name in TABLES}
    (folder / "other").mkdir()
    module.make_shop(folder / "other", seed=1)
    return folder


@pytest.mark.parametrize("name", TABLES)
def test_the_generator_makes_the_tables_again(made, name):
    assert (made / name).read_bytes() == (DATA / name).read_bytes()
    assert (made / "other" / name).read_bytes() != (DATA / name).read_bytes()


def test_the_dictionary_names_every_table_and_column():
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    for name in TABLES:
        part = readme.split(f"### {name}")[1].split("\n### ")[0]
        assert f"{len(table(name)):,} " in part
        assert [line.split("|")[1].strip() for line in part.splitlines() if line.startswith("| ")][1:] == list(table(name)[0])


def test_tables_have_what_real_ones_have():
    titles = dict(zip(column("catalogue.csv", "item_id"), column("catalogue.csv", "title"), strict=True))
    for name, field in (("transactions.csv", "item_text"), ("searches.csv", "title")):
        assert all(titles[row["item_id"]] == row[field] for row in table(name))
    assert (column("transactions.csv", "quantity") == "-1").any()
    assert set(column("searches.csv", "relevance")) == {"0", "1", "2", "3"}
    for name, field in (
        ("catalogue.csv", "price"),
        ("transactions.csv", "user"),
        ("ads.csv", "age"),
        ("messages.csv", "intent"),
        ("products.csv", "description"),
        ("reviews.csv", "rating"),
        ("reviews.csv", "department"),
        ("reviews.csv", "themes"),
        ("dialogues.csv", "reply"),
    ):
        assert 0 < (column(name, field) == "").mean() < 0.15, (name, field)
    intents = np.unique(column("messages.csv", "intent"), return_counts=True)[1]
    assert intents[1:].max() > 4 * intents[1:].min()
    assert any(not row["item_text"].isascii() for row in table("transactions.csv"))


def test_what_is_marked_in_a_text_stands_there_once():
    marked = [(row["title"], value) for row in table("titles.csv") for value in json.loads(row["attributes"]).values()]
    marked += [(row["passage"], row["answer"]) for row in table("questions.csv") if row["answer"]]
    found = np.array([len(re.findall(rf"(?<!\w){re.escape(value)}(?!\w)", text)) for text, value in marked])
    assert found.all() and (found > 1).mean() < 0.005
    assert 0.2 < (column("questions.csv", "answer") == "").mean() < 0.35


def test_turns_say_who_speaks_and_the_customer_has_the_last_word():
    for row in table("dialogues.csv"):
        speakers = [turn.split(": ")[0] for turn in row["dialogue"].split(" | ")]
        assert set(speakers) <= {"customer", "agent"} and speakers[-1] == "customer"


def test_a_purchase_follows_a_click_and_lower_positions_are_seen_less():
    click, conversion, position = (column("ads_conversions.csv", field).astype(int) for field in ("click", "conversion", "position"))
    assert not (conversion > click).any() and 0.1 < conversion[click == 1].mean() < 0.5
    assert click[position == 1].mean() > 2 * click[position == 6].mean()


def test_every_table_is_taken_for_what_the_whole_shop_makes_of_it():
    experiment, kinds = load_experiment(DATA / "whole_shop.yaml"), dict[str, set[str]]()
    for task in experiment.tasks.values():
        kinds.setdefault(task.data, set()).add(task.kind)
    for name, wanted in kinds.items():
        sample = read_table(DATA / experiment.data[name].file).table.slice(0, 1000)
        if not looks_like_log(sample.column_names):
            assert suggestions(sample)[0].kind in wanted, name


def test_the_quick_start_is_a_part_of_the_whole_shop():
    quick, whole = load_experiment(DATA / "shop.yaml"), load_experiment(DATA / "whole_shop.yaml")
    assert quick.tasks.items() <= whole.tasks.items()
    assert quick.data.items() <= whole.data.items()


def test_the_whole_shop_has_twelve_kinds_and_its_tables_have_no_faults(workspace: Workspace):
    """A kind that comes later may do without: what all must keep to is in tests/contracts."""
    experiment = load_experiment(DATA / "whole_shop.yaml")
    assert len({task.kind for task in experiment.tasks.values()}) >= 12
    prepared = prepare(experiment, workspace, DATA, contained=True)
    for task in prepared.tasks.values():
        assert all(len(task.rows.rows(split)) >= 100 for split in ("train", "validation", "test"))


@pytest.fixture
def all_cores() -> Iterator[None]:
    """The one model of the tests that is not tiny."""
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_training_the_shop_beats_its_start_and_the_naive_baselines(workspace: Workspace, all_cores: None):
    half = ["training.steps=75", "training.evaluate_every=75", "training.max_validation_rows=500", "diagnostics.conflicts_every=0"]
    experiment = load_experiment(DATA / "shop.yaml", half)  # half of its steps are enough
    prepared = prepare(experiment, workspace, DATA)
    *_, end = train(experiment, prepared, folder=workspace.folder("runs", "shop"))
    assert isinstance(end, Finished)
    for name, task in experiment.tasks.items():
        kind = KINDS[task.kind]
        mapped = map_task(task, prepared.tasks[name].dataset)
        naive = kind.rows.naive(mapped.table, mapped.split, prepared.tasks[name].spec, task.options, "test")[kind.primary]
        before, best, test = (metrics[name][kind.primary] for metrics in (end.before, end.best, end.test))
        assert before + 0.02 < best, name
        assert naive + 0.03 < test < 0.99, name
