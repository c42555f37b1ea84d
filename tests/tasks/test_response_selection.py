"""Response selection: turns in one text, a softmax over the step's replies and "none of them", the right reply among candidates."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.config.tables import map_fields
from mtl_core.data.problems import Severity
from mtl_core.inference.predictor import Predictor
from mtl_core.runtime.checkpoints import checkpoint_folder
from mtl_core.runtime.prepare import prepare
from mtl_core.tasks import KINDS
from mtl_core.tasks.heads import SlotIndex, TaskBatch
from mtl_core.training.events import Finished
from mtl_core.training.loop import train
from tests.shop import write

KIND = KINDS["response_selection"]
OPTIONS = KIND.Options()


def service(n: int, seed: int, same_words: bool = False) -> pa.Table:
    """Each of 15 questions, asked in the last turn, has a reply of its own, in other words unless `same_words`."""
    rng = np.random.default_rng(seed)
    asked = rng.integers(0, 15, n)
    dialogue = [[f"greeting{rng.integers(9)}", f"question{q}"] for q in asked]
    return pa.table({"dialogue": dialogue, "reply": [f"about {'question' if same_words else 'reply'}{q}" for q in asked]})


def one_text(dialogue: list[Any], options: Any = OPTIONS, **more: list[Any]) -> str:
    table = pa.table({"dialogue": pa.array([dialogue], pa.list_(pa.string())), "reply": ["r"], **{k: [v] for k, v in more.items()}})
    return KIND.rows.encode(table, KIND.rows.fit(table, options), options)["context"][0].as_py()


def test_turns_become_one_text_with_the_newest_first() -> None:
    assert one_text(["hello", "hi  there", "where is it?"]) == "where is it? | hi there | hello"
    assert one_text(["a", "b", "c"], KIND.Options(max_turns=2)) == "c | b"
    assert one_text(["a", None, " ", "b"]) == "b | a"
    assert one_text(["customer: a", "agent: b"]) == "agent: b | customer: a"
    assert one_text(["a", "b"], speakers=["customer", "agent"]) == "agent: b | customer: a"
    assert one_text(["a", "b"], speakers=["customer"]) == "b | a", "speakers that cannot be told apart are left out"
    assert one_text(["customer: a\nagent: b\n"]) == "agent: b | customer: a", "a whole dialogue in one text"
    assert one_text(["dear sir\nyour coat: it fits"]) == "dear sir your coat: it fits", "lines of one message"
    assert one_text([]) == ""


def head_batch(contexts: list[int], replies: list[int], labels: list[float]) -> TaskBatch:
    slots = {"context": SlotIndex(torch.tensor(contexts)), "reply": SlotIndex(torch.tensor(replies))}
    return TaskBatch(slots, labels=torch.tensor(labels))


def losses(contexts: list[int], replies: list[int], labels: list[float], logits: list[list[float]]) -> list[float]:
    """logits: of each row's dialogue with each row's reply."""
    outputs = torch.tensor(logits), torch.eye(len(logits))
    return KIND.head.loss(outputs, head_batch(contexts, replies, labels), {}, OPTIONS).tolist()


def test_the_loss_by_hand() -> None:
    def entropy(own: float, *others: float) -> float:
        return math.log(1 + sum(map(math.exp, (own, *others)))) - own  # 1: none of them

    found = losses([0, 1], [2, 3], [1, 1], [[1.0, 2.0], [0.5, -1.0]])
    assert found == pytest.approx([entropy(1, 2), entropy(-1, 0.5)])
    found = losses([0, 1], [2, 2], [1, 1], [[1.0, 1.0], [0.5, 0.5]])
    assert found == pytest.approx([entropy(1), entropy(0.5)]), "equal replies are no negatives of each other"
    found = losses([0, 0, 1], [2, 3, 4], [1, 1, 1], [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [5.0, 6.0, 7.0]])
    assert found == pytest.approx([entropy(1, 3), entropy(2, 3), entropy(7, 5, 6)]), "nor are two right replies to one dialogue"
    found = losses([0, 0, 1], [2, 3, 4], [1, 0, 0], [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [5.0, 6.0, 7.0]])
    counted = [entropy(1, 2, 3), 0, math.log(1 + math.exp(7))]
    assert found == pytest.approx([1.5 * x for x in counted]), "a wrong reply is a candidate; where no right one is, none is right"


def test_a_single_row_still_teaches() -> None:
    torch.manual_seed(0)
    for label in (1.0, 0.0):
        head = KIND.head.module(4, {}, OPTIONS)
        batch = head_batch([0], [1], [label])
        loss = KIND.head.loss(head(torch.randn(2, 4), batch), batch, {}, OPTIONS).mean()
        loss.backward()
        assert float(loss.detach()) > 0 and all(p.grad is not None and p.grad.abs().max() > 0 for p in head.parameters())


def test_the_logit_is_a_scaled_cosine_above_a_threshold() -> None:
    head = KIND.head.module(3, {}, KIND.Options(temperature=0.2, projection=3))
    with torch.no_grad():
        head.context.weight.copy_(torch.eye(3))
        head.reply.weight.copy_(torch.eye(3))
        context, reply = head(torch.tensor([[3.0, 4.0, 0.0], [1.0, 0.0, 0.0]]), head_batch([0], [1], [1]))
        assert float((context * reply).sum()) == pytest.approx(5 * (0.6 - 0.5))
        head.log_scale.fill_(50)
        context, reply = head(torch.ones(2, 3), head_batch([0], [1], [1]))
        assert float((context * reply).sum()) == pytest.approx(100 * 0.5, rel=1e-5)


def test_it_learns_and_ranks_among_drawn_candidates(learn: Callable[..., dict[str, float]]) -> None:
    found = learn(KIND, service(120, 0), service(150, 1), OPTIONS, steps=60)
    assert found.keys() == {m.name for m in KIND.metrics}
    assert found["recall_at_1"] > 0.9 and found["recall_at_5"] > 0.95 and found["mrr"] > 0.9


def measured(scores: list[list[float]], right: list[int], code: list[int], groups: list[int], most: int = 3) -> dict[str, float]:
    return KIND.report.evaluate(np.array(scores), np.stack([right, code], axis=1), np.array(groups), {"candidates": most})


def test_given_candidates_by_hand() -> None:
    wanted = [[1.0, 3.0], [1.0, 5.0], [1.0, 2.0], [1.0, 9.0], [1.0, 4.0], [1.0, 1.0]]  # logits 3 5 2 | 9 4 1
    found = measured(wanted, [1, 0, 0, 1, 1, 0], [0, 1, 2, 3, 4, 5], [7, 7, 7, 8, 8, 8])
    assert found == pytest.approx({"recall_at_1": 2 / 3, "recall_at_5": 1, "mrr": (1 / 2 + 1 + 1) / 3}), (
        "a right one does not stand in the way"
    )
    [panel] = KIND.report.panels(np.array(wanted), np.array([[1, 0], [0, 1], [0, 2]] * 2), np.array([7] * 3 + [8] * 3), {"candidates": 3})
    assert panel.data["rows"][0] == [1, 1 / 2, pytest.approx(1 / 3)] and panel.data["rows"][1][2] == pytest.approx(2 / 3)


def test_drawn_candidates_are_other_replies_and_always_the_same() -> None:
    rows = 40
    rng = np.random.default_rng(3)
    scores, code = rng.normal(size=(rows, 8)), np.arange(rows) % 12
    scores[:, 4:] = rng.normal(size=(12, 4))[code]  # equal replies, equal vectors
    first = measured(scores.tolist(), [1] * rows, code.tolist(), list(range(rows)))
    assert first == measured(scores.tolist(), [1] * rows, code.tolist(), list(range(rows)))
    # as many as there are: the rank among all other distinct replies
    every = measured(scores.tolist(), [1] * rows, code.tolist(), list(range(rows)), most=1000)
    logits = scores[:, :4] @ scores[:12, 4:].T
    ranks = 1 + (logits > logits[np.arange(rows), code][:, None] + 1e-12).sum(1)
    assert every == pytest.approx({"recall_at_1": (ranks == 1).mean(), "recall_at_5": (ranks <= 5).mean(), "mrr": (1 / ranks).mean()})
    same = measured(scores.tolist(), [1] * rows, [0] * rows, list(range(rows)))
    assert same == {}, "no other reply, no rank"
    together = measured(scores.tolist(), [1] * rows, code.tolist(), [0] * rows)
    assert together == {}, "every reply is right for the one dialogue"


def test_rows_to_predict(compiled: Callable[..., Any]) -> None:
    spec = json.loads(json.dumps(KIND.rows.fit(service(5, 0), OPTIONS)))
    table = pa.table({"dialogue": [["where is it", "customer: well?"], ["hi"]], "reply": ["on its way", "hello"]})
    vectors, batch = compiled(KIND, KIND.rows.encode(table, spec, OPTIONS), OPTIONS)
    head = KIND.head.module(32, spec, OPTIONS)
    scores = KIND.head.scores(head(vectors, batch), batch, spec)
    assert scores.shape == (2, 2 * (OPTIONS.projection + 1)) and scores.dtype == np.float32
    answers = KIND.report.answers(scores, spec)
    assert [a["relevance"] for a in answers] == pytest.approx(KIND.report.relevance(scores).tolist())
    with torch.no_grad():
        context, reply = head(vectors, batch)
    assert answers[0]["relevance"] == pytest.approx(float(torch.sigmoid((context[0] * reply[0]).sum())), abs=1e-6)


def test_tf_idf_ranks_by_shared_words() -> None:
    split = np.array(["train"] * 40 + ["test"] * 40)
    found = []
    for same_words in (True, False):
        table = service(80, 0, same_words)
        found.append(KIND.rows.naive(table, split, KIND.rows.fit(table, OPTIONS), OPTIONS, "test")["recall_at_1"])
    assert found[0] > 0.95 and found[1] == 0, "ties count as lost"


def test_labels_and_groups() -> None:
    dialogue = pa.array([["a"], ["a"], ["b"], [], ["c"], ["c"]], pa.list_(pa.string()))
    table = pa.table({"dialogue": dialogue, "reply": ["r", "s", "r", "r", None, "t"]})
    encoded = KIND.rows.encode(table, {"candidates": 20}, OPTIONS)
    assert encoded["label"].to_pylist() == [1, 1, 1, None, None, 1]
    assert encoded["group"].to_pylist() == [0, 0, 1, 2, 3, 3]
    assert encoded["code"].to_pylist() == [[0], [1], [0], [0], [2], [3]]
    labelled = table.append_column("label", [["yes", "no", "1", "0", "1", None]]).append_column("list", [["x", "y", "y", "z", "z", "z"]])
    encoded = KIND.rows.encode(labelled, {"candidates": 20}, OPTIONS)
    assert encoded["label"].to_pylist() == [1, 0, 1, None, None, None] and encoded["group"].to_pylist() == [0, 1, 1, 2, 2, 2]


def test_check_says_what_is_wrong() -> None:
    table = pa.table(
        {
            "dialogue": pa.array([["a"], ["b"], ["c", "d"], [" "], ["e"]], pa.list_(pa.string())),
            "speakers": pa.array([["x"], ["y"], ["x"], ["x"], None], pa.list_(pa.string())),
            "reply": ["r", None, "s", "t", "u"],
            "_line": [2, 3, 4, 5, 6],
        }
    )
    split = np.array(["train", "train", "train", "validation", "test"])
    found = {p.code: p for p in KIND.rows.check(table, split, OPTIONS)}
    assert {code: (p.line, p.severity) for code, p in found.items()} == {
        "reply_missing": (3, Severity.WARNING),
        "dialogue_empty": (5, Severity.WARNING),
        "speakers_differ": (4, Severity.WARNING),
    }
    assert "1 of 5 rows has a dialogue without a reply." in str(found["reply_missing"])
    wrong = table.append_column("label", [[0, 0, 0, 1, 1]])
    assert "no_training_rows" in {p.code for p in KIND.rows.check(wrong, split, OPTIONS)}
    word = table.append_column("label", [["right", "1", "1", "1", "1"]])
    assert "label_type" in {p.code for p in KIND.rows.check(word, split, OPTIONS)}
    right = table.append_column("label", [[1, 1, 1, 1, 1]])
    assert not [p for p in KIND.rows.check(right, split, OPTIONS) if p.severity is Severity.ERROR], "wrong ones may be drawn"
    silent = table.set_column(2, "reply", [[None] * 5])
    assert "texts_empty" in {p.code for p in KIND.rows.check(silent, split, OPTIONS)}


def test_a_trained_one_ranks_a_catalogue_of_replies(tiny_encoder: Path, workspace: Workspace, tmp_path: Path) -> None:
    rows = [[f"customer: {t}|agent: which|customer: {t} {i}", f"{t} reply {i % 3}", i] for i in range(8) for t in ("coat", "shoe", "hat")]
    write(tmp_path / "dialogues.csv", ["dialogue", "reply", "id"], rows)
    experiment = experiment_from_dict(
        {
            "name": "service",
            "data": {"dialogues": {"file": str(tmp_path / "dialogues.csv"), "split": {"by": "group", "column": "id", "test": 0.3}}},
            "tasks": {"reply": {"kind": KIND.name, "data": "dialogues", "columns": {"dialogue": "dialogue", "reply": "reply"}}},
            "encoder": {"name": str(tiny_encoder), "max_length": 48},
            "training": {"steps": 2, "batch_size": 8, "device": "cpu"},
        }
    )
    *_, end = train(experiment, prepare(experiment, workspace), folder=tmp_path)
    assert isinstance(end, Finished) and end.test["reply"].keys() == {m.name for m in KIND.metrics}
    predictor = Predictor(checkpoint_folder(tmp_path, "last"), "cpu")
    asked, replies = {"dialogue": ["customer: coat"]}, ["coat reply 1", "hat reply 2", "shoe reply 0"]
    ranking = predictor.rank("reply", asked, replies, k=2)
    single = [predictor.predict("reply", [{**asked, "reply": reply}])[0]["relevance"] for reply in replies]
    assert [place for place, _ in ranking] == np.argsort(-np.array(single))[:2].tolist()
    assert [relevance for _, relevance in ranking] == pytest.approx(sorted(single, reverse=True)[:2], abs=1e-5)


def test_candidates_that_are_parted_by_the_split_are_found() -> None:
    table = pa.table({
        "turns": [["where?"]] * 2 + [["when?"]] * 2, "said": ["here", "there", "now", "then"], "right": [1, 0, 1, 0],
        "which": ["a", "a", "b", "b"], "_line": [2, 3, 4, 5],
    })  # fmt: skip
    columns = {"dialogue": "turns", "reply": "said", "label": "right", "list": "which"}
    for split, parted in ((["train", "test", "train", "train"], 1), (["train", "train", "test", "test"], 0)):
        mapped = map_fields(KIND, table, np.array(split), columns, OPTIONS, "service.csv")
        found = [p for p in mapped.problems if p.code == "leak_groups"]
        assert len(found) == parted and all((p.column, p.line) == ("which", 2) for p in found)
