"""A kind that is one folder and a strategy that is one file, made outside of the program, are trained with and shown as any other."""

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from mtl_core.balancing import BALANCING
from mtl_core.base.workspace import Workspace
from mtl_core.cli.main import main
from mtl_core.config.experiment import experiment_from_dict, experiment_from_yaml
from mtl_core.inference.predictor import Predictor
from mtl_core.model.encoder import Encoder
from mtl_core.runtime.checkpoints import checkpoint_folder
from mtl_core.runtime.prepare import prepare
from mtl_core.tasks import KINDS
from mtl_core.tasks.extras import with_extras
from mtl_core.training.events import Finished, StepDone
from mtl_core.training.loop import train
from tests.contracts import test_kinds
from tests.contracts.small import described

KIND = '''
"""Urgency: a text → whether it must be answered today."""

from mtl_core.evaluation import metrics
from mtl_core.tasks import common, vectors
from mtl_core.tasks.base import Field, MetricInfo, Report, Rows, TaskKind, head_of

import pyarrow as pa

FIELDS = (Field("text", "text", "The message."), Field("label", "label", "Whether it is urgent: 0 or 1."))


class UrgencyRows(Rows):
    def slots(self, options, fields=None):
        return vectors.slots(fields)

    def check(self, table, split, options):
        findings = common.TaskProblems(table, split)
        if findings.fields(FIELDS):
            findings.texts("text")
            common.check_yes_no(findings)
        return findings.problems

    def fit(self, table, options):
        return {"prior": common.prior(common.yes_no(table["label"])[0])}

    def encode(self, table, spec, options):
        encoded = vectors.columns(table)
        if "label" in table.column_names:
            encoded["label"] = common.floats(common.yes_no(table["label"])[0])
        return pa.table(encoded)

    def naive(self, table, split, spec, options, part):
        labels = common.yes_no(table["label"])[0][split == part]
        return REPORT.evaluate(labels * 0 + spec["prior"], labels, None, spec)


class UrgencyReport(Report):
    def evaluate(self, scores, labels, groups, spec):
        return metrics.defined({"auc": metrics.roc_auc(scores, labels)})

    def panels(self, scores, labels, groups, spec):
        return []

    def answers(self, scores, spec):
        return [{"probability": float(score)} for score in scores]


REPORT = UrgencyReport()
KIND = TaskKind(
    name="urgency",
    label="Urgency",
    help="Whether a message must be answered today.",
    fields=FIELDS,
    example=({"text": "my parcel is lost", "label": 1}, {"text": "thank you", "label": 0}),
    Options=vectors.VectorOptions,
    metrics=(MetricInfo("auc", "AUC", "Chance that an urgent message scores above another one."),),
    primary="auc",
    rows=UrgencyRows(),
    report=REPORT,
    load_head=head_of(__name__),
)
'''

HEAD = '''
"""Urgency: the head and its loss."""

import torch
from torch.nn import functional as F

from mtl_core.tasks import heads


class Head(heads.Head):
    def module(self, hidden, spec, options):
        return heads.VectorHead(hidden, 1, options, spec["prior"])

    def loss(self, logits, batch, spec, options):
        return F.binary_cross_entropy_with_logits(logits.float().squeeze(1), batch.labels, reduction="none")

    def scores(self, logits, batch, spec):
        return torch.sigmoid(logits.detach().float().squeeze(1)).cpu().numpy()


HEAD = Head()
'''

STRATEGY = '''
"""The task with the largest loss counts twice."""

import torch

from mtl_core.balancing.base import LossBalancing


class LargestTwice(LossBalancing):
    name = "largest_twice"
    label = "Largest twice"
    help = "The task with the largest loss counts twice."
    slider = "A factor on the task's loss."
    source = "A test, https://example.com"

    def combine(self, losses, weights, tasks):
        weighted = losses * weights
        return weighted.sum() + weighted.max()


STRATEGIES = (LargestTwice,)
'''


@pytest.fixture
def urgency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A kind as one folder and one line in the registry."""
    folder = tmp_path / "modules" / "urgency"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(KIND, encoding="utf-8")
    (folder / "head.py").write_text(HEAD, encoding="utf-8")
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setitem(KINDS, "urgency", with_extras(import_module("urgency").KIND))
    return "urgency"


def test_a_new_kind_is_trained_and_answers(
    urgency: str, tiny_encoder: Path, workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    description = described([urgency, "classification"], tiny_encoder, tmp_path)
    description["training"] |= {"steps": 40, "evaluate_every": 40}
    experiment = experiment_from_dict(description)
    assert experiment_from_yaml(experiment.to_yaml()) == experiment
    *_, end = train(experiment, prepare(experiment, workspace), folder=tmp_path / "run")
    assert isinstance(end, Finished) and end.test[urgency]["auc"] > 0.9 > end.before[urgency].get("auc", 0.5)
    predictor = Predictor(checkpoint_folder(tmp_path / "run", "best"), "cpu")
    lost, thanks = predictor.predict(urgency, [{"text": "my parcel is lost"}, {"text": "thank you"}])
    assert lost["probability"] > thanks["probability"]
    assert main(["kinds"]) == 0
    assert "urgency: Whether a message must be answered today." in capsys.readouterr().out


def test_a_new_kind_keeps_the_contract(
    urgency: str, compiled: Callable[..., Any], asked: Callable[..., Any], small_encoder: Encoder
) -> None:
    """With no line of its own."""
    test_kinds.test_schema(urgency)
    test_kinds.test_columns_called_like_the_fields_are_proposed(urgency)
    test_kinds.test_a_table_without_rows_is_a_problem_and_no_exception(urgency)
    test_kinds.test_from_a_table_to_answers(urgency, {}, compiled, asked, small_encoder)
    test_kinds.test_without_extra_columns_nothing_is_different(urgency)


def test_a_new_strategy_is_trained_with(
    tiny_encoder: Path, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "largest_twice.py").write_text(STRATEGY, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for strategy in import_module("largest_twice").STRATEGIES:
        monkeypatch.setitem(BALANCING, strategy.name, strategy)
    experiment = experiment_from_dict(described(["classification", "search"], tiny_encoder, tmp_path, balancing={"name": "largest_twice"}))
    *events, end = train(experiment, prepare(experiment, workspace))
    assert isinstance(end, Finished)
    assert all(sorted(event.effective.values()) == pytest.approx([1, 2]) for event in events if isinstance(event, StepDone))
    assert main(["strategies"]) == 0
    assert "largest_twice: The task with the largest loss counts twice." in capsys.readouterr().out


def test_the_files_that_contributing_names_are_there() -> None:
    root = Path(__file__).parents[2]
    named = re.findall(r"`([\w./]+/[\w./]*)`", (root / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    paths = {path for path in named if not re.search("[A-Z]{4}", path)}  # NAME, FOLDER stand for others
    assert len(paths) > 15
    assert [path for path in paths if not any((root / at / path).exists() for at in ("", "mtl_core", "mtl_core/tasks"))] == []
