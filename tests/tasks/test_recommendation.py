"""Recommendation: the head's user vector, the loss by hand, groups of users and lists, the popularity baseline."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.metrics import log_loss

from mtl_core.data.problems import Severity
from mtl_core.tasks import KINDS
from mtl_core.tasks.heads import SlotIndex, TaskBatch

KIND = KINDS["recommendation"]
OPTIONS = KIND.Options(dropout=0.0)
COLOURS = ["red", "blue", "green", "black"]


def shop(n: int, seed: int) -> pa.Table:
    """A user of one colour gets items; the item is right when it has the user's colour."""
    rng = np.random.default_rng(seed)
    mine, theirs = rng.integers(0, 4, n), rng.integers(0, 4, n)
    things = [f"thing{i}" for i in range(6)]
    history = [[f"{COLOURS[c]} {things[rng.integers(6)]}" for _ in range(rng.integers(1, 4))] for c in mine]
    item = [f"{COLOURS[c]} {things[rng.integers(6)]}" for c in theirs]
    user = [f"u{i // 8}" for i in range(n)]
    return pa.table({"history": history, "item": item, "label": (mine == theirs).astype(np.int64), "user": user})


def test_learns_which_items_fit_a_history(learn: Callable[..., dict[str, float]]) -> None:
    found = learn(KIND, shop(400, 0), shop(200, 1), OPTIONS)
    assert found["auc"] > 0.9 and found["gauc"] > 0.9 and found["mrr"] > 0.8
    assert set(found) == {"auc", "gauc", "ndcg_at_10", "hr_at_10", "mrr"}, "what needs a catalogue is measured where there is one"


def test_the_user_is_the_mean_of_the_history_or_the_learned_vector() -> None:
    torch.manual_seed(0)
    head = KIND.head.module(3, {"prior": 0.5}, OPTIONS)
    vectors = torch.tensor([[1.0, 0.0, 2.0], [3.0, 4.0, 0.0], [0.0, 1.0, 5.0]])
    item = SlotIndex(torch.tensor([2, 2]))
    logits = head(vectors, TaskBatch({"history": SlotIndex(torch.tensor([0, 1]), torch.tensor([0, 2, 2])), "item": item}))

    def logit(user: torch.Tensor) -> torch.Tensor:
        u, v = (torch.nn.functional.layer_norm(x, (3,)) for x in (user, vectors[2]))
        return head.output(head.connected(torch.cat([u, v, u * v, (u - v).abs()])))[0]

    torch.testing.assert_close(logits, torch.stack([logit(vectors[:2].mean(0)), logit(head.history.empty)]))


def test_gradients_reach_the_texts_and_the_learned_vector() -> None:
    torch.manual_seed(0)
    head = KIND.head.module(3, {"prior": 0.5}, OPTIONS)
    vectors = torch.randn(4, 3, requires_grad=True)
    slots = {"history": SlotIndex(torch.tensor([0, 1]), torch.tensor([0, 2, 2])), "item": SlotIndex(torch.tensor([2, 2]))}
    head(vectors, TaskBatch(slots)).sum().backward()
    assert vectors.grad is not None and (vectors.grad[:3] != 0).any(1).all() and not vectors.grad[3].any()
    assert head.history.empty.grad.any()


def test_the_loss_is_binary_cross_entropy() -> None:
    logits, labels = torch.tensor([2.0, -1.0, 0.0]), torch.tensor([1.0, 1.0, 0.0])
    losses = KIND.head.loss(logits, TaskBatch({}, labels=labels), {}, OPTIONS)
    wanted = [-np.log(1 / (1 + np.exp(-2.0))), -np.log(1 / (1 + np.exp(1.0))), -np.log(0.5)]
    np.testing.assert_allclose(losses, wanted, rtol=1e-6)
    assert float(losses.mean()) == pytest.approx(log_loss(labels, KIND.head.scores(logits, TaskBatch({}), {})), rel=1e-6)


def test_the_first_guess_is_the_share_of_positives() -> None:
    head = KIND.head.module(3, {"prior": 0.2}, OPTIONS)
    torch.nn.init.zeros_(head.output.weight)
    batch = TaskBatch(
        {"history": SlotIndex(torch.tensor([], dtype=torch.long), torch.tensor([0, 0])), "item": SlotIndex(torch.tensor([0]))}
    )
    assert KIND.head.scores(head(torch.randn(1, 3), batch), batch, {}) == pytest.approx([0.2])


def encode(table: pa.Table) -> pa.Table:
    return KIND.rows.encode(table, KIND.rows.fit(table, OPTIONS), OPTIONS)


def test_groups_hold_user_and_list() -> None:
    table = pa.table(
        {"history": [["a"]] * 4, "item": list("wxyz"), "label": [1, 0, 1, 0], "user": ["u", "u", "u", "v"], "list": [5, 5, 6, 6]}
    )
    group = encode(table)["group"].to_numpy()
    assert group.dtype == np.int64 and len(set((group >> 32).tolist())) == 2 and len(set(group.tolist())) == 3
    without_list = encode(table.drop_columns("list"))["group"].to_numpy()
    assert len(set(without_list.tolist())) == 2
    histories = table.drop_columns(["list", "user"]).set_column(0, "history", [[["a"], ["a"], ["b"], ["a", "b"]]])
    assert len(set(encode(histories)["group"].to_numpy().tolist())) == 3


def test_metrics_by_user_and_by_list() -> None:
    table = pa.table({"history": [["a"]] * 4, "item": list("wxyz"), "label": [1, 0, 1, 0], "user": ["u"] * 4, "list": [1, 1, 2, 2]})
    scores, labels = np.array([0.4, 0.1, 0.9, 0.6]), np.array([1, 0, 1, 0])
    found = KIND.report.evaluate(scores, labels, encode(table)["group"].to_numpy(), {})
    assert found["gauc"] == 3 / 4 and found["mrr"] == 1 and found["hr_at_10"] == 1 and found["ndcg_at_10"] == 1


def test_report_says_how_often_the_chosen_item_is_near_the_top() -> None:
    table = pa.table({"history": [["a"]] * 6, "item": list("uvwxyz"), "label": [1, 0, 0, 1, 0, 0], "list": [1, 1, 1, 2, 2, 2]})
    scores, labels = np.array([0.9, 0.4, 0.1, 0.2, 0.6, 0.7]), table["label"].to_numpy()
    (panel,) = KIND.report.panels(scores, labels, encode(table)["group"].to_numpy(), {})
    first, third, *_ = panel.data["rows"]
    assert first == [1, 1 / 2, pytest.approx(1 / 3)] and third == [3, 1, 1]
    (panel,) = KIND.report.panels(scores, np.zeros(6), encode(table)["group"].to_numpy(), {})
    assert panel.data["rows"] == [] and json.dumps(panel.data)


def test_rows_to_predict_need_neither_label_nor_user(to_batch: Callable[..., Any]) -> None:
    spec = json.loads(json.dumps(KIND.rows.fit(shop(20, 0), OPTIONS)))
    rows = pa.table({"history": pa.array([["red thing1"], [], None], pa.list_(pa.string())), "item": ["red thing2", "blue", None]})
    encoded = KIND.rows.encode(rows, spec, OPTIONS)
    assert encoded.column_names == ["history", "item"]
    vectors, batch = to_batch(encoded)
    answers = KIND.report.answers(KIND.head.scores(KIND.head.module(32, spec, OPTIONS)(vectors, batch), batch, spec), spec)
    assert len(answers) == 3 and all(0 <= a["relevance"] <= 1 for a in answers) and json.dumps(answers)


def test_in_batch_knows_how_often_training_rows_hold_an_item() -> None:
    options = KIND.Options(loss="in_batch", scoring="dot")
    train = pa.table({"history": [["a"]] * 4, "item": ["x", "y", "x", None], "label": [1, 0, 0, 1]})
    spec = json.loads(json.dumps(KIND.rows.fit(train, options)))
    assert spec["counts"] == {"x": 2, "y": 1, "": 1} and "counts" not in KIND.rows.fit(train, KIND.Options())
    rows = pa.table({"history": [["a"]] * 3, "item": pa.array(["x", "new", "y"]).dictionary_encode(), "label": [1, 0, 0]})
    found = KIND.rows.encode(rows, spec, options)["log_count"].to_pylist()
    assert found == [[pytest.approx(np.log(2))], [0], [0]]
    assert KIND.rows.encode(rows.drop_columns("label"), spec, options).column_names == ["history", "item"]


def test_in_batch_wants_the_dot_product() -> None:
    with pytest.raises(ValueError, match="dot, because the loss is in_batch"):
        KIND.Options(loss="in_batch")
    assert KIND.Options(loss="in_batch", scoring="dot").scoring == "dot"


def test_missing_labels_mask_their_rows() -> None:
    table = pa.table({"history": [["a"]] * 3, "item": list("xyz"), "label": [1, None, 0]})
    assert encode(table)["label"].to_pylist() == [1.0, None, 0.0]
    assert KIND.rows.fit(table, OPTIONS) == {"prior": 0.5}


def test_popularity_knows_training_only() -> None:
    table = pa.table(
        {
            "history": [["h"]] * 7,
            "item": ["hit", "hit", "flop", "flop", "hit", "flop", "new"],
            "label": [1, 1, 0, 1, 1, 0, 0],
            "user": ["a", "b", "a", "b", "c", "c", "c"],
        }
    )
    split = np.array(["train"] * 4 + ["test"] * 3)
    found = KIND.rows.naive(table, split, KIND.rows.fit(table, OPTIONS), OPTIONS, "test")
    assert found["auc"] == 1 and found["mrr"] == 1
    assert KIND.rows.naive(table, split, KIND.rows.fit(table, OPTIONS), OPTIONS, "validation") == {}


def test_check_says_what_is_wrong() -> None:
    table = pa.table(
        {"history": [["a"], [], None, ["b"]], "item": ["x", "", "y", "z"], "label": ["1", "perhaps", None, "1"], "_line": [2, 3, 4, 6]}
    )
    found = {p.code: p for p in KIND.rows.check(table, np.array(["train"] * 3 + ["test"]), OPTIONS)}
    assert set(found) == {
        "text_empty",
        "history_empty",
        "label_type",
        "label_missing",
        "one_class",
        "no_rows_in_split",
        "one_class_in_split",
    }
    assert (found["label_type"].line, found["label_type"].count, found["label_type"].severity) == (3, 1, Severity.ERROR)
    assert "“perhaps”" in str(found["label_type"])
    assert (found["history_empty"].line, found["history_empty"].count) == (3, 2)
    assert found["one_class"].severity is Severity.ERROR
