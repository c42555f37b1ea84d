"""What every task kind must keep to, on a small table made from its example. A new kind needs no line here."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from mtl_core import plots
from mtl_core.api.runs import panel_rows
from mtl_core.data.mapping import suggest
from mtl_core.data.problems import Severity, has_errors
from mtl_core.inference.predictor import Predictor
from mtl_core.model.encoder import Encoder
from mtl_core.runtime.checkpoints import checkpoint_folder
from mtl_core.tasks import KINDS
from mtl_core.tasks.base import ANSWERS, TaskKind
from mtl_core.tasks.heads import WordHead
from mtl_core.tasks.naming import NamedOptions, named
from mtl_core.training.checkpoints import load_checkpoint, save_checkpoint
from mtl_core.training.events import Evaluated, Finished, StepDone
from tests.contracts.conftest import Trained
from tests.contracts.small import mapped, rows
from tests.contracts.variants import variants

ROOT = Path(__file__).parents[2]
Made = Callable[..., Any]
every_kind = pytest.mark.parametrize("name", KINDS)


# -- the schema ---------------------------------------------------------------------------------------------------------------


@every_kind
def test_schema(name: str) -> None:
    kind = KINDS[name]
    assert kind.name == name
    fields = {f.name: f for f in kind.fields}
    assert len(fields) == len(kind.fields)
    assert all(alias == alias.lower() for f in kind.fields for alias in f.aliases)
    labels = [f.name for f in kind.fields if f.type == "label" and f.required]
    assert labels in (["label"], ["answer"], []), "none: it learns from the texts themselves, or every row is right"
    assert kind.ranks is None or kind.ranks in fields
    assert len({m.name for m in kind.metrics}) == len(kind.metrics)
    assert kind.primary in {m.name for m in kind.metrics}
    assert {*kind.measured_by} <= kind.Options.model_fields.keys()
    assert len(kind.example) >= 2
    for row in kind.example:
        assert {f.name for f in kind.fields if f.required} <= row.keys() <= fields.keys()
        assert list(row) == list(kind.example[0]), "one row has the columns of the others"


@every_kind
def test_a_metric_means_the_same_in_every_kind(name: str) -> None:
    others = {m.name: m.higher_is_better for kind in KINDS.values() for m in kind.metrics}
    assert {m.name: m.higher_is_better for m in KINDS[name].metrics}.items() <= others.items()


@every_kind
def test_columns_called_like_the_fields_are_proposed(name: str) -> None:
    kind = KINDS[name]
    found = suggest(pa.Table.from_pylist(rows(kind)).drop_columns("split"), kind.fields)
    for field in (f.name for f in kind.fields if f.required):
        assert found[field] == [field]


def test_rows_need_no_torch() -> None:
    """From the check to the naive baseline, of all kinds in one process; the head loads it."""
    program = """
import json, sys
from tests.contracts.small import mapped
from mtl_core.tasks import KINDS
for kind in KINDS.values():
    found, options = mapped(kind), kind.Options()
    spec = kind.rows.fit(found.table.filter(found.split == "train"), options)
    kind.rows.encode(found.table, spec, options)
    kind.rows.naive(found.table, found.split, spec, options, "test")
    kind.rows.counted(found.table, options), kind.rows.choices(spec)
    assert "torch" not in sys.modules, kind.name
kind.head
assert "torch" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


# -- rows that are not well ---------------------------------------------------------------------------------------------------


@every_kind
def test_a_table_without_its_fields_is_a_problem_and_no_exception(name: str) -> None:
    kind = KINDS[name]
    found = kind.rows.check(pa.table({"_line": [2, 3]}), np.array(["train", "test"]), kind.Options())
    assert "field_missing" in {p.code for p in found}
    assert all(p.why.text() and p.remedy.text() for p in found)


@every_kind
def test_a_table_without_rows_is_a_problem_and_no_exception(name: str) -> None:
    kind, types = KINDS[name], {"texts": pa.list_(pa.string()), "number": pa.float64()}
    empty = {f.name: pa.array([], types.get(f.type, pa.string())) for f in kind.fields}
    found = kind.rows.check(pa.table({**empty, "_line": pa.array([], pa.int64())}), np.array([], str), kind.Options())
    assert {p.code for p in found if p.severity is Severity.ERROR} == {"no_training_rows"}


# -- rows, head and report ----------------------------------------------------------------------------------------------------


def entries(answer: Any) -> Iterator[str]:
    """The names of an answer's entries, and of those of the answers in a list."""
    for key, value in answer.items():
        yield key
        if isinstance(value, list):
            yield from (name for one in value if isinstance(one, dict) for name in entries(one))


def same(value: Any) -> Any:
    """Through JSON, and nothing lost."""
    assert json.loads(json.dumps(value, allow_nan=False)) == value
    return value


VARIANTS = [(name, options) for name, kind in KINDS.items() for options in variants(kind.Options)]


@pytest.mark.parametrize(("name", "chosen"), VARIANTS, ids=[f"{name} {chosen}" for name, chosen in VARIANTS])
def test_from_a_table_to_answers(name: str, chosen: dict[str, Any], compiled: Made, asked: Made, small_encoder: Encoder) -> None:
    kind = KINDS[name]
    options = kind.Options.model_validate(chosen)
    assert same(options.model_dump(mode="json")) is not None
    found = mapped(kind, options)
    assert not has_errors(found.problems), [str(p.why) for p in found.problems]
    table = found.table.filter(found.split != "")
    spec = same(kind.rows.fit(found.table.filter(found.split == "train"), options))
    counted = kind.rows.counted(table, options)
    assert counted is None or len(counted) == len(table)

    encoded = kind.rows.encode(table, spec, options)
    questions = [f.name for f in kind.fields if f.asked and f.type not in ("label", "group") and f.name in table.column_names]
    unlabelled = kind.rows.encode(table.select(questions), spec, options)
    slots = {slot.name for slot in kind.rows.slots(options, table.column_names)}
    assert slots <= {*encoded.column_names} and slots & {*unlabelled.column_names}
    assert len(encoded) == len(unlabelled) == len(table)
    assert "label" in encoded.column_names

    torch.manual_seed(0)
    head = kind.head.module(small_encoder.hidden, spec, options)
    if isinstance(head, WordHead):
        head.tie(small_encoder)
    vectors, batch = compiled(kind, encoded, options)
    outputs = head(vectors.requires_grad_(), batch)
    losses = kind.head.loss(outputs, batch, spec, options)
    assert losses.shape == (batch.n_rows,) and losses.isfinite().all()
    losses.mean().backward()
    gradients = [p.grad for p in head.parameters() if p.grad is not None]
    assert gradients and all(g.isfinite().all() for g in gradients) and any(g.any() for g in gradients)

    head.eval()
    with torch.no_grad():
        scores = kind.head.scores(head(vectors, batch), batch, spec)
        states, wanted = asked(kind, unlabelled, options)
        answers = kind.report.answers(kind.head.scores(head(states, wanted), wanted, spec), spec)
    truth = kind.head.truth(batch, spec)
    assert len(scores) == len(truth) == batch.n_rows
    groups = None if batch.groups is None else batch.groups.numpy()
    final = spec | same(kind.report.tuned(scores, truth, spec, options))
    metrics = kind.report.evaluate(scores, truth, groups, final)
    assert kind.primary in metrics and metrics.keys() <= {m.name for m in kind.metrics}
    assert all(isinstance(value, float) and np.isfinite(value) for value in metrics.values())
    for panel in kind.report.panels(scores, truth, groups, final):
        same(panel.data)
        assert panel.title and panel_rows(panel.data)
        assert panel.type == "table" or plots.panel(vars(panel)).data

    assert len(answers) == wanted.n_rows and answers[0]
    for answer in answers:
        assert {*entries(same(answer))} <= {*ANSWERS, *kind.answer_fields}
    relevance = kind.report.relevance(scores) if kind.ranks else np.zeros(1)
    assert (relevance >= 0).all() and (relevance <= 1).all()
    if kind.report.guesses(table.column_names):
        labels, sure = kind.report.guess(scores, final)
        assert len(labels) == batch.n_rows and (sure >= 0).all() and (sure <= 1).all()
    naive = kind.rows.naive(table, found.split[found.split != ""], spec, options, "test")
    assert kind.primary in naive and all(np.isfinite(value) for value in naive.values())


@every_kind
def test_guesses_or_says_that_it_does_not(name: str) -> None:
    kind = KINDS[name]
    if not kind.report.guesses([f.name for f in kind.fields if f.required]):
        with pytest.raises(TypeError, match="own answers"):
            kind.report.guess(np.zeros(1), {})


# -- trained ------------------------------------------------------------------------------------------------------------------


@every_kind
def test_trains_beside_all_others_and_resumes_exactly(trained: Trained, name: str) -> None:
    whole, resumed = trained.whole, trained.resumed
    assert isinstance(whole[-1], Finished) and isinstance(resumed[-1], Finished)
    losses = [[(e.step, e.losses[name]) for e in events if isinstance(e, StepDone)] for events in (whole, resumed)]
    assert [step for step, _ in losses[0]] == [1, 2, 3, 4] and np.isfinite([loss for _, loss in losses[0]]).all()
    assert losses[1] == losses[0][2:]
    ends = [[(e.losses[name], e.metrics[name]) for e in events if isinstance(e, Evaluated) and e.step == 4] for events in (whole, resumed)]
    assert ends[0] == ends[1] != []
    assert KINDS[name].primary in whole[-1].test[name]


@pytest.fixture(scope="module")
def predictor(trained: Trained) -> Predictor:
    return Predictor(checkpoint_folder(trained.folder, "last"), "cpu")


@every_kind
def test_a_trained_model_answers(predictor: Predictor, name: str) -> None:
    kind = KINDS[name]
    wanted = {f.name: f for f in predictor.fields(name)}
    given = [{field: cell for field, cell in row.items() if field in wanted} for row in kind.example]
    answers = predictor.predict(name, given)
    assert len(answers) == len(given) and all(answers)
    assert predictor.scores(name, given).shape[0] == len(given)
    if kind.ranks is not None:
        catalogue = [row[kind.ranks] for row in kind.example]
        ranking = predictor.rank(name, {k: v for k, v in given[0].items() if k != kind.ranks}, catalogue, k=2)
        assert len(ranking) == 2 and ranking[0][1] >= ranking[1][1]


def test_a_checkpoint_is_what_was_saved(trained: Trained, tmp_path: Path) -> None:
    one = load_checkpoint(checkpoint_folder(trained.folder, "last"))
    assert one.optimizer is not None
    two = load_checkpoint(
        save_checkpoint(tmp_path, one.model, one.tokenizer, one.experiment, one.specs, one.state, one.optimizer, one.made)
    )
    assert (two.experiment, two.specs, two.state) == (one.experiment, one.specs, one.state)
    for (name, tensor), other in zip(one.model.state_dict().items(), two.model.state_dict().values(), strict=True):
        assert torch.equal(tensor, other), name


# -- extra columns ------------------------------------------------------------------------------------------------------------


@every_kind
def test_without_extra_columns_nothing_is_different(name: str) -> None:
    kind: Any = KINDS[name]
    options, table = kind.Options(), mapped(kind).table
    plain: TaskKind = kind.rows.plain
    spec = kind.rows.fit(table, options)
    assert spec == plain.rows.fit(table, options)
    assert kind.rows.encode(table, spec, options).equals(plain.rows.encode(table, spec, options))
    assert kind.rows.slots(options) == plain.rows.slots(options)
    assert kind.rows.slots(options, table.column_names) == plain.rows.slots(options, table.column_names)
    assert type(kind.head.module(32, spec, options)) is type(plain.head.module(32, spec, options))
    assert kind.rows.choices(spec) == plain.rows.choices(spec)


@every_kind
def test_the_baseline_is_that_of_the_rows_that_are_encoded(name: str) -> None:
    """Of nothing else: so an extra column that `encode` writes behind the text is read."""
    kind: Any = KINDS[name]
    options, found = kind.Options(), mapped(kind)
    table = found.table.append_column("knowledge", [[f"fact: {i % 3}" for i in range(found.table.num_rows)]])
    spec, seen = kind.rows.fit(table, options), []

    class Watched(type(kind.rows)):  # type: ignore[misc]
        def encode(self, table: pa.Table, spec: Any, options: Any) -> pa.Table:
            seen.append(table.column_names)
            return super().encode(table, spec, options)

    rows = Watched(kind.rows.plain, kind.rows.added)
    naive = rows.naive(table, found.split, spec, options, "test")
    assert naive == kind.rows.naive(table, found.split, spec, options, "test")
    assert all("knowledge" in names for names in seen)
    assert seen or kind.name == "masked_language_modelling"  # counts the words of its table


CHOICES = [(name, chosen) for name, chosen in VARIANTS if all(isinstance(value, str) for value in chosen.values())]


@pytest.mark.parametrize(("name", "chosen"), CHOICES, ids=[f"{name} {chosen}" for name, chosen in CHOICES])
def test_at_first_a_head_gives_what_it_gives_without_extra_columns(
    name: str, chosen: dict[str, Any], compiled: Made, small_encoder: Encoder
) -> None:
    kind: Any = KINDS[name]
    options, table = kind.Options.model_validate({**chosen, "knowledge": "embedded"}), mapped(kind).table
    given = {"categories": ["ab"[i % 2] for i in range(len(table))], "numbers": [i % 7 for i in range(len(table))]}
    given["knowledge"] = [f"colour: {'navy' if i % 3 else 'red'}" for i in range(len(table))]
    for field in given.keys() - {*table.column_names} & {f.name for f in kind.fields}:
        table = table.append_column(field, [given[field]])
    spec = kind.rows.fit(table, options)
    if "extras" not in spec:
        assert any(slot.continues for slot in kind.rows.slots(options)), "where a text is written, all of them are words"
        return
    vectors, batch = compiled(kind, kind.rows.encode(table, spec, options), options)
    head, plain = (half.module(small_encoder.hidden, spec, options) for half in (kind.head, kind.rows.plain.head))
    for module in (head, plain):
        if isinstance(module, WordHead):
            module.tie(small_encoder)
    for parameter in plain.parameters():  # not all at 0
        torch.nn.init.normal_(parameter, std=0.1)
    head.head.load_state_dict(plain.state_dict())
    found, wanted = (kind.head.loss(module.eval()(vectors, batch), batch, spec, options) for module in (head, plain))
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)
    found.mean().backward()
    gradient = head.output.weight.grad
    assert gradient is not None and (gradient.abs().sum(0) > 0).float().mean() > 0.5


# -- names for people ---------------------------------------------------------------------------------------------------------


@every_kind
def test_names_of_a_fixed_set_are_called_as_people_do(predictor: Predictor, name: str) -> None:
    """In answers, beside the table's spelling, and in labels."""
    kind, spec = KINDS[name], predictor._specs[name]
    classes = kind.report.classes(spec)
    assert bool(classes) == issubclass(kind.Options, NamedOptions), "the option and the classes belong together"
    if not classes:
        return
    names = {cls: f"« {cls} »" for cls in classes}
    asked = [{f.name: row.get(f.name) for f in predictor.fields(name)} for row in kind.example]
    plain, called = predictor.predict(name, asked, {}), predictor.predict(name, asked, names)
    assert any("« " in str(answer) for answer in called) or all(answer.get("spans") == [] for answer in called)
    for before, after in zip(plain, called, strict=True):
        assert after.get("class", before.get("label")) in (before.get("label"), *classes), "the table's spelling"
        assert next(iter(after)) == next(iter(before)), "the answer comes first"
    labels = [row["label"] if isinstance(row["label"], str) else str(row["label"]) for row in kind.example]
    assert any("« " in kind.report.label_called(label, named(spec, names)) for label in labels)
    assert [kind.report.label_called(label, spec) for label in labels] == labels, "nobody named anything"


@every_kind
def test_what_counts_as_a_right_row_is_said_where_rows_are_right_or_wrong(name: str) -> None:
    report = KINDS[name].report
    assert bool(report.right_means) == ("right" in vars(type(report)))
    if not report.right_means:
        with pytest.raises(TypeError, match="right or wrong"):
            report.right(np.zeros(1), np.zeros(1), {})
