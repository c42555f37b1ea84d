"""A saved model predicts what the trained one scored, and says what is wrong with a row."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.data.problems import InputError
from mtl_core.inference.predictor import Predictor
from mtl_core.model.encoder import Template
from mtl_core.runtime.checkpoints import checkpoint_folder, load_model
from mtl_core.runtime.lanes import Lanes
from mtl_core.runtime.prepare import Prepared, prepare
from mtl_core.runtime.scoring import score
from mtl_core.training.loop import train
from tests.shop import described

ROWS = {
    "department": [{"text": "lovely red shoe 3"}, {"text": "awful blue hat 1"}],
    "search": [{"query": "red shoe", "product": "red shoe"}, {"query": "red shoe", "product": "blue coat"}],
    "ads": [
        {"categories": ["shoe"], "numbers": [3.5], "text": "buy this red"},
        {"categories": ["never seen"], "numbers": [None], "text": ""},
    ],
    "next_item": [{"history": ["red shoe", "red hat"], "item": "red coat"}, {"history": [], "item": "green sock"}],
}


@pytest.fixture(scope="module")
def trained(shop: Path, tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Prepared, Path]:
    experiment, folder = experiment_from_dict(described(shop, tiny_encoder)), tmp_path_factory.mktemp("trained")
    prepared = prepare(experiment, Workspace(folder / "workspace"))
    list(train(experiment, prepared, folder=folder))
    return prepared, checkpoint_folder(folder, "last")


@pytest.mark.slow
def test_predictions_and_rankings(trained: tuple[Prepared, Path]) -> None:
    prepared, folder = trained
    predictor = Predictor(folder, "cpu")
    for task, rows in ROWS.items():
        answers = predictor.predict(task, rows)
        assert len(answers) == 2
        first = next(iter(answers[0].values()))
        assert isinstance(first, str) or 0 <= first <= 1
        alone = [predictor.predict(task, [row])[0] for row in rows]
        for together, single in zip(answers, alone, strict=True):
            for key, value in together.items():
                assert single[key] == (value if isinstance(value, list) else pytest.approx(value, abs=1e-5)), (task, key)
    ranking = predictor.rank("search", {"query": "red shoe"}, ["blue coat", "red shoe", "green sock", "red hat"], k=3)
    assert len(ranking) == 3 and [s for _, s in ranking] == sorted((s for _, s in ranking), reverse=True)
    assert ranking[0][0] == 1
    assert predictor.predict("department", []) == []

    # the same rows through the stored way give the same scores
    task = prepared.tasks["search"]
    rows = task.rows.rows("test")[:6]
    loaded = load_model(folder)
    template = Template.of(loaded.tokenizer, loaded.model.encoder.max_length)
    lanes = Lanes(loaded.model.encoder, torch.device("cpu"), "float32", n=2)
    stored = score(loaded.model, lanes, {"search": task}, {"search": rows}, template, 64)["search"].scores
    lanes.close()
    table = task.dataset.table()
    fields = [{"query": table["query"][i].as_py(), "product": table["product"][i].as_py()} for i in rows.tolist()]
    np.testing.assert_allclose(predictor.scores("search", fields), stored, atol=1e-5)


@pytest.mark.slow
def test_what_is_wrong_with_a_row(trained: tuple[Prepared, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor(trained[1], "cpu")
    with pytest.raises(InputError, match="Row 1: “colour” is no field of this task\\. Expected: query, product\\."):
        predictor.predict("search", [{"colour": "red"}])
    with pytest.raises(InputError, match="Row 2: “product” is empty"):
        predictor.predict("search", [{"query": "a", "product": "b"}, {"query": "a"}])
    with pytest.raises(InputError, match="found “cheap”"):
        predictor.predict("ads", [{"categories": ["shoe"], "numbers": ["cheap"]}])
    with pytest.raises(InputError, match="expected 1 values, found 2"):
        predictor.predict("ads", [{"categories": ["shoe", "hat"], "numbers": [1.0]}])
    monkeypatch.setattr("mtl_core.inference.predictor.BLOCK_ROWS", 2)
    with pytest.raises(InputError, match="Row 4: “product” is empty"):
        predictor.predict("search", [{"query": "a", "product": "b"}] * 3 + [{"query": "a"}])
    with pytest.raises(InputError, match="is not a ranking task"):
        predictor.rank("department", {}, ["a"])


@pytest.mark.slow
def test_values_are_read_as_the_table_was(trained: tuple[Prepared, Path]) -> None:
    prepared, folder = trained
    predictor = Predictor(folder, "cpu")
    assert prepared.tasks["ads"].spec["decimals"] == {"numbers": ["."]}

    def ad(number: object) -> float:
        return float(predictor.scores("ads", [{"categories": ["shoe"], "numbers": [number], "text": "buy"}])[0])

    assert ad("1.125") == ad(1.125) and ad("1,125") == ad(1125) and ad("0,5") == ad(0.5) and ad(10**20) == ad(1e20)
    for wrong in ("\ud800", "cheap", [1], {"a": 1}):
        with pytest.raises(InputError, match=r"Row 1: “numbers \(price\)”: expected a number"):
            ad(wrong)
    for large in (10**400, "1e999", float("inf"), 1e308, "1e308", -(10**40)):
        with pytest.raises(InputError, match=r"Row 1: “numbers \(price\)”: .* is no number from −1e30 to 1e30"):
            ad(large)
    with pytest.raises(InputError, match=r"“numbers \(price\)”: expected 1 values, found 2"):
        predictor.predict("ads", [{"numbers": [1, 2]}])
    for thing in ({"a": 1}, ["a"], [["a"]]):
        with pytest.raises(InputError, match=r"Row 1: “categories \(thing\)”: expected a text, found"):
            predictor.predict("ads", [{"categories": [thing], "numbers": [1]}])
    for thing in ({"a": 1}, ["a", "b"], [{"a": 1}]):
        with pytest.raises(InputError, match="Row 1: “query”: expected a text, found"):
            predictor.predict("search", [{"query": thing, "product": "x"}])
    alike = [{"query": text, "product": "x"} for text in ("1.0", 1.0, "true", True, "2.5", [2.5])]
    scores = predictor.scores("search", alike)
    np.testing.assert_allclose(scores[::2], scores[1::2], atol=1e-6)
    for empty in ("", " ", "\u200b", "\u3000\ufeff", [" "], None):
        with pytest.raises(InputError, match="“query” is empty"):
            predictor.predict("search", [{"query": empty, "product": "x"}])
    with pytest.raises(InputError, match=r"Row 1: “query”: .* holds half a character"):
        predictor.predict("search", [{"query": "a \ud83d", "product": "x"}])
    with pytest.raises(InputError, match=r"Row 1: “history”: .* holds half a character"):
        predictor.predict("next_item", [{"history": ["a", "\ud83d"], "item": "x"}])
    with pytest.raises(InputError, match=r"“price,” is no field of this task. Expected: categories \(thing\), numbers \(price\), text\."):
        predictor.predict("ads", [{"price,": 1}])


@pytest.mark.slow
def test_loading_draws_no_random_numbers_and_predictions_may_come_from_several_threads(trained: tuple[Prepared, Path]) -> None:
    state = torch.get_rng_state()
    predictor = Predictor(trained[1], "cpu")
    assert torch.equal(torch.get_rng_state(), state)
    wanted, found = predictor.scores("search", ROWS["search"]), {}
    threads = [threading.Thread(target=lambda i=i: found.update({i: predictor.scores("search", ROWS["search"])})) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for scores in found.values():
        np.testing.assert_allclose(scores, wanted, atol=1e-6)
