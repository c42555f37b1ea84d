"""The experiment: YAML in and out, every fault at once, settings from the command line, widgets, files."""

import json
import textwrap
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from mtl_core.balancing import BALANCING
from mtl_core.base.messages import message
from mtl_core.base.workspace import Workspace
from mtl_core.base.yaml_text import read_yaml, write_yaml
from mtl_core.config.experiment import (
    MAX_BYTES,
    DataConfig,
    Experiment,
    ExperimentError,
    Fault,
    TaskConfig,
    apply_overrides,
    experiment_from_dict,
    experiment_from_yaml,
    load_experiment,
    resolve_file,
    widgets,
)
from mtl_core.config.parts import DiagnosticsConfig
from mtl_core.config.tables import store_table
from mtl_core.data.problems import DataError
from mtl_core.data.shares import SAMPLING
from mtl_core.data.split import SplitConfig
from mtl_core.data.transactions import TransactionConfig
from mtl_core.model.sharing import SHARING
from mtl_core.tasks import KINDS

TEXT = textwrap.dedent("""\
    name: two tasks
    data:
      shop v1:
        file: searches.csv
        split:
          by: group
          column: query
      客服:
        file: messages.csv
    tasks:
      search:
        kind: search
        data: shop v1
        columns:
          query: query
          product: [title, brand]
          label: relevance
      intent:
        kind: classification
        data: 客服
        columns:
          text: message
          label: intent
        weight: 0.5
    """)


def faults(text: str, *overrides: str) -> dict[str, str]:
    with pytest.raises(ExperimentError) as error:
        experiment_from_yaml(text, overrides)
    return {f.path: str(f) for f in error.value.faults}


# ---- YAML ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["shop.yaml", "whole_shop.yaml"])
def test_a_file_without_what_is_a_default_is_the_same_experiment(file: str) -> None:
    """Of the sample shop as it is, and with every strategy, sharing and sampling in turn, at its defaults and with one option changed."""
    shop = experiment_from_yaml((Path(__file__).parents[2] / "data" / file).read_text(encoding="utf-8"))
    assert len(shop.to_yaml(whole=False).splitlines()) < 0.4 * len(shop.to_yaml().splitlines())
    experiments = [shop]
    for part, registry in (("balancing", BALANCING), ("sharing", SHARING), ("sampling", SAMPLING)):
        for name, entry in registry.items():
            options = entry.Options().model_dump(mode="json")
            changed = {path: value / 2 for path, value in options.items() if isinstance(value, float) and 0.1 < value <= 1}
            for chosen in ({}, dict([*changed.items()][:1])):
                with suppress(ExperimentError):  # halves that are out of bounds
                    experiments.append(experiment_from_dict(shop.model_dump(mode="json") | {part: {"name": name, "options": chosen}}))
    assert len(experiments) > len(BALANCING) + len(SHARING) + len(SAMPLING)
    for experiment in experiments:
        text = experiment.to_yaml(whole=False)
        assert experiment_from_yaml(text) == experiment and "{}" not in text


def test_yaml_to_model_to_yaml_is_the_identity():
    experiment = experiment_from_yaml(TEXT)
    text = experiment.to_yaml()
    assert experiment_from_yaml(text) == experiment
    assert experiment_from_yaml(text).to_yaml() == text
    assert text.startswith("name: two tasks\nseed: 0\ndata:\n  shop v1:\n    file: searches.csv\n")
    assert "客服" in text
    assert "{" not in text.replace("{}", "")  # block style
    assert "learning_rate: 0.0001" in text  # defaults are written
    assert yaml.safe_load(text) == read_yaml(text)[0]  # whoever reads YAML 1.1 understands the same


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda s: st.lists(s, max_size=3) | st.dictionaries(st.text(), s, max_size=3),
        max_leaves=8,
    )
)
def test_what_is_written_is_read(values):
    assert read_yaml(write_yaml(values))[0] == values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("no", "no"),
        ("on", "on"),
        ("2020-01-02", "2020-01-02"),
        ("12:30", "12:30"),
        ("012", "012"),
        ("true", True),
        ("~", None),
        ("-3", -3),
        ("2.", 2.0),
        ("", None),
    ],
)
def test_plain_words_mean_what_they_look_like(text, value):
    found, _ = read_yaml(text)
    assert found == value
    assert type(found) is type(value)


def test_json_is_yaml():
    assert experiment_from_yaml(json.dumps(read_yaml(TEXT)[0])) == experiment_from_yaml(TEXT)


def test_options_are_those_of_the_kind():
    experiment = experiment_from_yaml(TEXT)
    for task in experiment.tasks.values():
        assert type(task.options) is KINDS[task.kind].Options
    dumped = experiment.model_dump()["tasks"]["search"]["options"]
    assert set(dumped) == set(KINDS["search"].Options.model_fields)


# ---- faults ----------------------------------------------------------------------------------------------------------


def test_all_faults_at_once_each_with_line_path_found_and_wanted():
    text = (
        TEXT.replace("weight: 0.5", "weight: -1\n    wieght: 2")
        .replace("data: shop v1", "data: shop")
        .replace("text: message", "texts: message")
    )
    text += "training:\n  batch_size: many\n  device: gpu\nearly_stopping:\n  objective: precision\n"
    assert faults(text) == {
        "tasks.search.data": 'line 13: tasks.search.data: Found "shop", expected one of the tables under “data”: shop v1, 客服.',
        "tasks.intent.columns.text": "line 21: tasks.intent.columns.text: Found nothing, expected the column with this: "
        + str(message("{help}", help=next(f.help for f in KINDS["classification"].fields if f.name == "text")))
        + ".",
        "tasks.intent.columns.texts": "line 22: tasks.intent.columns.texts: Found an unknown name, "
        "expected a known name, such as text, categories, parent, numbers, label.",
        "tasks.intent.weight": "line 24: tasks.intent.weight: Found -1, expected a number of at least 0.",
        "tasks.intent.wieght": "line 25: tasks.intent.wieght: Found an unknown name, "
        "expected a known name, such as weight, augmentation, rows, kind, data.",
        "training.batch_size": 'line 27: training.batch_size: Found "many", expected a whole number.',
        "training.device": 'line 28: training.device: Found "gpu", expected auto, cpu, cuda, cuda:N or mps.',
        "early_stopping.objective": 'line 30: early_stopping.objective: Found "precision", expected mean, mean_rank, mean_delta, worst, '
        "or a task: search, intent.",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "path", "words"),
    [
        ("kind: search", "kind: serach", "tasks.search.kind", 'Found "serach", expected one of'),
        ("kind: search", "kind: [search]", "tasks.search.kind", "expected text"),
        ("kind: search", "kind: search\n    options: {pairng: apart}", "tasks.search.options.pairng", "such as pairing"),
        ("query: query", "query: [title, query]", "tasks.search.columns.query", "expected one column"),
        ("query: query", "query: {a: b}", "tasks.search.columns.query", "the name of a column"),
        ("query: query", "query: 7", "tasks.search.columns.query", "Found 7, expected the name of a column"),
        ("column: query", "column:", "data.shop v1.split.column", "because “by” is group"),
        (
            "column: query",
            "column: query\n      test: 0.9\n      validation: 0.1",
            "data.shop v1.split",
            "0.1 for validation and 0.9 for test",
        ),
        ("by: group", "by: grup", "data.shop v1.split.by", "'group'"),
        ("file: messages.csv", 'file: "a\\0b"', "data.客服.file", "the name of a file"),
        ("file: messages.csv", "fiel: messages.csv", "data.客服.file", "Found nothing, expected a value"),
        ("weight: 0.5", "weight: .nan", "tasks.intent.weight", "a finite number"),
        ("weight: 0.5", "weight: .inf", "tasks.intent.weight", "Found Infinity, expected a finite number"),
        ("weight: 0.5", "weight: -.inf", "tasks.intent.weight", "Found -Infinity, expected a finite number"),
        ("weight: 0.5", "weight: -0.5", "tasks.intent.weight", "a number of at least 0"),
        ("weight: 0.5", "weight: 0.5\n  nothing: {weight: 1}", "tasks.nothing.kind", "Found nothing, expected a value"),
        ("weight: 0.5", "weight: 1000", "tasks.intent.weight", "a number of at most 100"),
        ("name: two tasks", "name: 5", "name", "quotation marks"),
        ("name: two tasks", "name: ../x", "name", "a name of at most 64 letters"),
        ("name: two tasks", "training: 5", "training", "Found 5, expected settings"),
        ("name: two tasks", "training: {steps: 2.5}", "training.steps", "a whole number"),
        ("name: two tasks", "training: {1: 2}", "training.1", "a name that is text"),
        ("name: two tasks", "optimizer: {learning_rate: 0}", "optimizer.learning_rate", "a number above 0"),
        ("name: two tasks", "encoder: {trainable: top:0}", "encoder.trainable", "top:K"),
    ],
)
def test_a_fault_says_where_and_what(old, new, path, words):
    found = faults(TEXT.replace(old, new, 1))
    assert words in found[path]
    assert "line " in found[path]


def test_parts_that_do_not_fit_are_refused_in_python_too():
    experiment = experiment_from_yaml(TEXT)
    with pytest.raises(ExperimentError, match="shop v1"):
        Experiment(data={"客服": experiment.data["客服"]}, tasks=experiment.tasks)
    assert Experiment(**dict(experiment)) == experiment


def test_options_follow_when_the_kind_changes():
    search = experiment_from_yaml(TEXT).tasks["search"]
    task = TaskConfig(kind="search", data="x", columns={"query": "q", "product": "p", "label": "l"})
    assert type(task.options) is type(search.options)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Found nothing, expected settings"),
        ("- 1", "expected settings"),
        ("a: b: c", "line 1: Found mapping values"),
        ("name: x\n  seed: 1", "line 2"),
        ("name: [1", "line 1"),
        ("name: x\nname: y", "line 2: name: Found the name again (first on line 1)"),
        ("a: &x 1\nb: *x", "line 2: Found an alias"),
        ("a: !!python/object/apply:os.system [ls]", "line 1: Found could not determine a constructor"),
        ("a: \x01", "special characters"),
        ("[" * 5000, "YAML"),
        ("a" * (MAX_BYTES + 1), "more than 256 KiB"),
        ("seed: " + "9" * 5000, "expected"),
    ],
)
def test_what_is_not_an_experiment_at_all(text, words):
    with pytest.raises(ExperimentError) as error:
        experiment_from_yaml(text)
    assert words in str(error.value)
    assert len(str(error.value)) < 2000


def test_a_fault_is_translated_inside_out():
    words = {"Found {found}, expected {wanted}.": "找到 {found}，应为 {wanted}。", "nothing": "无", "line {line}": "第 {line} 行"}
    fault = Fault("a", message("nothing"), message("x"), 3)
    assert fault.text(lambda s: words.get(s, s)) == "第 3 行: a: 找到 无，应为 x。"


# ---- overrides -------------------------------------------------------------------------------------------------------


def test_overrides_set_values_read_as_yaml():
    experiment = experiment_from_yaml(
        TEXT,
        [
            "tasks.search.weight=2",
            "optimizer.learning_rate=1e-5",
            "training.steps=7",
            "tasks.search.columns.product=[title]",
            "tasks.search.columns.group=query",
            "data.shop v1.split={by: random}",
            "data.shop v1.split.seed=3",
            "data.客服.transactions.user=who",
        ],
    )
    assert experiment.tasks["search"].weight == 2
    assert experiment.optimizer.learning_rate == 1e-5
    assert experiment.training.steps == 7
    assert experiment.tasks["search"].columns["product"] == ["title"]
    assert experiment.tasks["search"].columns["group"] == "query"
    assert experiment.data["shop v1"].split == SplitConfig(seed=3)
    assert experiment.data["客服"].transactions == TransactionConfig(user="who")


def test_overrides_leave_the_original_alone():
    values = read_yaml(TEXT)[0]
    assert apply_overrides(values, ["tasks.search.weight=2"])["tasks"]["search"]["weight"] == 2
    assert values == read_yaml(TEXT)[0]


def test_all_wrong_overrides_are_reported_with_the_nearest_names():
    found = faults(TEXT, "tasks.serch.weight=1", "training.stesp=1", "training.steps.x=1", "seed", "seed=[", "tasks.intent.weight=-2")
    assert found["tasks.serch.weight"] == "tasks.serch.weight: Found an unknown name, expected a known name, such as search, intent."
    assert "such as steps, " in found["training.stesp"]
    assert "no name here" in found["training.steps.x"]
    assert "seed" in found
    assert found["tasks.intent.weight"] == "tasks.intent.weight: Found -2, expected a number of at least 0."


def test_a_strategy_brings_its_own_options():
    experiment = experiment_from_yaml(TEXT, ["balancing.name=cagrad", "balancing.options.radius=0.3"])
    assert experiment.balancing.options.radius == 0.3
    assert experiment_from_yaml(experiment.to_yaml()) == experiment
    settings = {s.path: s for s in widgets(experiment)}
    assert settings["balancing.options.radius"].value == 0.3
    assert settings["balancing.name"].type == "choice"
    assert settings["balancing.name"].labels["cagrad"] == "CAGrad"
    found = faults(TEXT, "balancing.name=cagrad", "balancing.options.radius=2", "balancing.options.temperature=1")
    assert set(found) == {"balancing.options.radius", "balancing.options.temperature"}
    found = faults(TEXT, "balancing.name=fastest")
    assert set(found) == {"balancing.name"}
    assert "uncertainty" in found["balancing.name"]


def test_shares_of_tables():
    experiment = experiment_from_yaml(TEXT, ["sampling.name=fixed_shares", "sampling.options.shares={客服: 3}"])
    assert experiment.sampling.options.shares == {"客服": 3}
    assert experiment_from_yaml(experiment.to_yaml()) == experiment
    shares = {s.path: s for s in widgets(experiment)}["sampling.options.shares"]
    assert (shares.type, shares.keys, shares.each, shares.value) == ("mapping", "data", 1.0, {"客服": 3})
    for wrong, path, words in (
        ("{nowhere: 1}", "sampling.options.shares.nowhere", "such as"),
        ("{客服: -1}", "sampling.options.shares.客服", "at least 0"),
        ("{客服: .inf}", "sampling.options.shares.客服", "a finite number"),
        ("{客服: 0, shop v1: 0}", "sampling.options.shares", "a share above 0 for at least one table"),
    ):
        found = faults(TEXT, "sampling.name=fixed_shares", f"sampling.options.shares={wrong}")
        assert words in found[path], found


def test_weights_that_are_all_zero_are_refused():
    experiment = experiment_from_yaml(TEXT)
    for found in (
        faults(TEXT, *(f"tasks.{name}.weight=0" for name in experiment.tasks)),
        faults(TEXT.replace("weight: 0.5", "weight: 0").replace("label: relevance", "label: relevance\n    weight: 0.0")),
    ):
        assert set(found) == {"tasks"}
        assert "a loss weight above 0 for at least one task" in found["tasks"]
    assert experiment_from_yaml(TEXT, ["tasks.search.weight=0"]).tasks["search"].weight == 0, "one of them may be"


# ---- widgets ---------------------------------------------------------------------------------------------------------


def models() -> set[type[BaseModel]]:
    every = {
        Experiment,
        DataConfig,
        TaskConfig,
        SplitConfig,
        TransactionConfig,
        *(n.Options for n in (*KINDS.values(), *BALANCING.values())),
    }
    return every | {type(f.default) for f in Experiment.model_fields.values() if isinstance(f.default, BaseModel)}


@pytest.mark.parametrize("cls", sorted(models(), key=lambda c: c.__name__))
def test_every_field_has_a_sentence_a_default_and_bounds(cls):
    required = {"file", "kind", "data", "columns", "tasks"}
    for name, field in cls.model_fields.items():
        assert field.title, name
        assert field.description, name
        assert field.description.endswith("."), name
        assert len(field.description) <= 160, name
        assert field.is_required() == (name in required), name
    for setting in widgets(cls):
        if setting.type in ("int", "float"):
            assert None not in setting.bounds, setting.path
        assert setting.label


def test_widgets_describe_an_experiment():
    experiment = experiment_from_yaml(TEXT, ["tasks.search.weight=2"])
    settings = {s.path: s for s in widgets(experiment)}
    weight = settings["tasks.search.weight"]
    assert (weight.type, weight.bounds, weight.default, weight.value, weight.optional) == ("float", (0, 100), 1.0, 2.0, False)
    assert settings["optimizer.learning_rate"].above
    assert settings["optimizer.name"].choices == ("adamw", "sgd")
    assert (settings["training.steps"].type, settings["training.steps"].optional) == ("int", True)
    assert (settings["encoder.trainable"].type, settings["encoder.trainable"].choices[0]) == ("text", "full")
    assert settings["tasks.search.columns"].type == "mapping"
    assert settings["data.shop v1.split.by"].value == "group"
    assert settings["tasks.intent.kind"].choices == tuple(KINDS)
    for path, setting in settings.items():  # each can be set as it is
        if setting.type in ("int", "float", "bool", "choice", "text"):
            assert experiment_from_dict(experiment.model_dump(mode="json"), [f"{path}={json.dumps(setting.value)}"]) == experiment


def test_widgets_of_a_class_show_its_defaults():
    settings = {s.path: s for s in widgets(SplitConfig, "data.x.split")}
    assert settings["data.x.split.by"].value == "random"
    assert not [s for s in widgets(Experiment) if s.path.startswith(("data", "tasks"))]


# ---- files -----------------------------------------------------------------------------------------------------------


def test_load_experiment(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert load_experiment(path, ["seed=4"]).seed == 4
    path.write_bytes(b"name: \xff")
    with pytest.raises(ExperimentError, match="number 7"):
        load_experiment(path)
    path.write_bytes("é".encode() * MAX_BYTES)
    with pytest.raises(ExperimentError, match="more than 256 KiB"):
        load_experiment(path)
    with pytest.raises(FileNotFoundError):
        load_experiment(tmp_path / "b.yaml")


def test_a_file_is_looked_for_beside_the_experiment_then_in_the_workspace(tmp_path):
    workspace, base = Workspace(tmp_path / "workspace"), tmp_path / "experiments"
    base.mkdir()
    uploaded = workspace.uploads / "a.csv"
    uploaded.write_text("x")
    file = "uploads/a.csv"
    assert resolve_file(file, base, workspace, contained=True) == uploaded
    (base / "uploads").mkdir()
    (base / "uploads" / "a.csv").write_text("y")
    assert resolve_file(file, base, workspace, contained=False) == base / "uploads" / "a.csv"
    assert resolve_file(file, base, workspace, contained=True) == uploaded
    assert resolve_file(file, None, workspace, contained=False) == uploaded
    with pytest.raises(DataError) as error:
        resolve_file("gone.csv", base, workspace, contained=False)
    assert "gone.csv" in str(error.value)
    assert str(base) in str(error.value)
    assert str(workspace.root) in str(error.value)


@pytest.mark.parametrize("name", ["../secret.csv", "uploads/../../secret.csv", "{absolute}", "link.csv"])
def test_a_browser_reaches_no_file_outside(tmp_path, name):
    workspace = Workspace(tmp_path / "workspace")
    secret = tmp_path / "secret.csv"
    secret.write_text("x")
    (workspace.folder() / "link.csv").symlink_to(secret)
    file = name.format(absolute=secret)
    with pytest.raises(DataError):
        resolve_file(file, workspace.uploads, workspace, contained=True)
    assert resolve_file(file, tmp_path / "workspace" / "x", workspace, contained=False) == secret


def test_the_sample_shop_is_within_a_browsers_reach(tmp_path):
    folder = Path(__file__).parents[2] / "data"
    for base in (folder, None):
        assert resolve_file("shop.yaml", base, Workspace(tmp_path), contained=True) == folder / "shop.yaml"
    with pytest.raises(DataError):
        resolve_file("shop.yaml", None, Workspace(tmp_path), contained=False)
    (tmp_path / "shop.yaml").write_text("of a user")
    assert resolve_file("shop.yaml", None, Workspace(tmp_path), contained=True) == tmp_path / "shop.yaml"


@pytest.mark.parametrize(
    ("given", "n_steps", "every", "ahead"),
    [(None, 150, 18, 4), (None, 20, 15, 5), (None, 5000, 70, 1), (None, 560, 70, 1), (2, 150, 2, 1), (0, 150, 0, 1)],
)
def test_short_trainings_measure_conflicts_more_often_and_look_ahead_as_seldom(given: int | None, n_steps: int, every: int, ahead: int):
    assert DiagnosticsConfig(conflicts_every=given).looks(n_steps) == (every, ahead)


def test_files_of_a_split_are_named_exactly_when_it_is_by_files():
    files = {"by": "files", "validation_file": "b.csv", "test_file": "c.csv"}
    assert DataConfig(file="a.csv", split=files).split.files == {"validation": "b.csv", "test": "c.csv"}
    wrong = {"split.by": "files", "split.test_file": "c.csv", "encoding": "klingon", "dates": "first"}
    for path, value in (*wrong.items(), ("encoding", "hex")):
        with pytest.raises(ExperimentError) as error:
            experiment_from_yaml(TEXT, {f"data.shop v1.{path}": value})
        (fault,) = error.value.faults
        assert fault.path in (f"data.shop v1.{path}", "data.shop v1.split.validation_file", "data.shop v1.split.by")
    settings = {"split": files, "encoding": "cp1251", "sheet": "Orders", "dates": "day_first"}
    experiment = experiment_from_yaml(TEXT, {f"data.shop v1.{path}": value for path, value in settings.items()})
    table = experiment_from_yaml(experiment.to_yaml()).data["shop v1"]
    assert (table.encoding, table.sheet, table.dates) == ("cp1251", "Orders", "day_first")
    assert table.split.files == {"validation": "b.csv", "test": "c.csv"}


def test_every_file_of_a_table_stays_inside(tmp_path):
    workspace = Workspace(tmp_path / "workspace")
    (workspace.uploads / "a.csv").write_text("text\nred\nblue\n")
    (tmp_path / "secret.csv").write_text("text\ngreen\n")
    data = DataConfig(file="uploads/a.csv", split={"by": "files", "test_file": "../secret.csv"})
    with pytest.raises(DataError, match=r"There is no file “\.\./secret\.csv”"):
        store_table(data, "a", workspace, None, contained=True)
    assert store_table(data, "a", workspace, None, contained=False).split_sizes == {"train": 1, "validation": 1, "test": 1}
