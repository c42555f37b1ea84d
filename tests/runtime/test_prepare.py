"""From files to rows: what a kind does not keep is in no part, draws follow the seed; conversions and rejection in a real training."""

from pathlib import Path

import numpy as np
import pytest

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.inference.predictor import Predictor
from mtl_core.runtime.checkpoints import checkpoint_folder
from mtl_core.runtime.prepare import prepare
from mtl_core.training.events import Finished
from mtl_core.training.loop import train
from tests.shop import write


@pytest.fixture
def description(tmp_path: Path, tiny_encoder: Path) -> dict:
    rng, parts = np.random.default_rng(0), ["train"] * 40 + ["validation"] * 10 + ["test"] * 10
    words = {"pay": "bank", "bill": "bank", "play": "music", "oos": "oos"}
    intents = rng.choice(list(words), 60).tolist()
    clicks = rng.integers(0, 2, 60)
    write(
        tmp_path / "intents.csv",
        ["text", "intent", "domain", "split"],
        [[f"{c} it {i}", c, words[c], part] for i, (c, part) in enumerate(zip(intents, parts, strict=True))],
    )
    write(
        tmp_path / "ads.csv",
        ["price", "click", "bought", "place", "split"],
        [[i / 7, c, int(c and i % 3 == 0), i % 5, part] for i, (c, part) in enumerate(zip(clicks, parts, strict=True))],
    )
    split = {"by": "column", "column": "split"}
    return {
        "data": {name: {"file": str(tmp_path / f"{name}.csv"), "split": split} for name in ("intents", "ads")},
        "tasks": {
            "intent": {
                "kind": "classification",
                "data": "intents",
                "columns": {"text": "text", "label": "intent", "parent": "domain"},
                "options": {"out_of_scope": "oos", "reject": "energy", "rows_per_class": 5},
            },
            "ads": {
                "kind": "click_through",
                "data": "ads",
                "columns": {"numbers": "price", "label": "click", "conversion": "bought", "position": "place"},
                "options": {"propensity_weighting": True, "hidden_size": 8},
            },
        },
        "encoder": {"name": str(tiny_encoder), "max_length": 16},
        "training": {"steps": 3, "batch_size": 16, "evaluate_every": 3, "device": "cpu"},
        "diagnostics": {"conflicts_every": 0},
    }


def test_rows_are_drawn_by_the_seed(description: dict, workspace: Workspace) -> None:
    first, again, other = (
        prepare(experiment_from_dict(description | {"seed": seed}), workspace).tasks["intent"].rows for seed in (1, 1, 2)
    )
    assert first.n_rows("train") == 15 and first.n_rows("test") == 10  # five of each class in scope; the test with all
    assert first.rows("train").tolist() == again.rows("train").tolist() != other.rows("train").tolist()


def test_conversions_and_rejection_are_trained_measured_and_predicted(description: dict, workspace: Workspace) -> None:
    experiment, folder = experiment_from_dict(description), workspace.folder("runs", "r")
    prepared = prepare(experiment, workspace)
    assert {"position_out_of_range", "out_of_scope_not_learned"} <= {p.code for p in prepared.problems}
    *_, end = train(experiment, prepared, folder=folder)
    assert isinstance(end, Finished)
    assert {"in_scope_accuracy", "out_of_scope_auc", "parent_accuracy"} <= set(end.test["intent"])
    assert {"auc", "weighted_auc", "ctcvr_log_loss"} <= set(end.test["ads"])
    predictor = Predictor(checkpoint_folder(folder, "best"), device="cpu")
    assert [f.name for f in predictor.fields("ads")] == ["numbers"]
    (answer,) = predictor.predict("ads", [{"numbers": [3.0]}])
    assert answer["click_and_purchase"] == pytest.approx(answer["click"] * answer["purchase_after_click"])
    assert predictor.predict("intent", [{"text": "pay it"}])[0]["parent"] in ("bank", "music")


def test_what_is_made_ready_is_told_with_how_much_is_done(description: dict, workspace: Workspace) -> None:
    told: list[tuple[str, float]] = []
    prepare(experiment_from_dict(description), workspace, tell=lambda what, done: told.append((what.text(), done)))
    assert [what for what, _ in told] == [
        "Loading the tokenizer",
        "Reading the table “intents”",
        "Reading the table “ads”",
        "Tokenising the texts of “intent”",
        "Tokenising the texts of “ads”",
        "Loading the encoder",
    ]
    assert [done for _, done in told] == pytest.approx([n / 6 for n in range(6)])
