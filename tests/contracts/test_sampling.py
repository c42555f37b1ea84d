"""What every way of sampling must keep to. A new way needs no line here."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.data.sampling import Sampler
from mtl_core.data.shares import SAMPLING
from mtl_core.runtime.prepare import prepare
from mtl_core.training.events import Finished
from mtl_core.training.loop import train
from tests.contracts.small import described
from tests.contracts.variants import variants

VARIANTS = [(name, chosen) for name, way in SAMPLING.items() for chosen in variants(way.Options)]
every_variant = pytest.mark.parametrize(("name", "chosen"), VARIANTS, ids=[f"{name} {chosen}" for name, chosen in VARIANTS])
every_way = pytest.mark.parametrize("name", SAMPLING)


def sampler(name: str, sizes: dict[str, int], batch: int, seed: int = 0) -> Sampler:
    rows = {table: np.arange(n, dtype=np.int32) for table, n in sizes.items()}
    return Sampler(rows, batch, SAMPLING[name], SAMPLING[name].Options(), seed)


@every_variant
def test_shares_add_up_to_one(name: str, chosen: dict[str, Any]) -> None:
    way, tables = SAMPLING[name], ["a", "b", "c"]
    options = way.Options.model_validate(chosen)
    made = way(tables, np.array([300, 10, 37]), options)
    for step in range(20):
        shares = made.shares(step, step / 20)
        assert shares.shape == (3,) and shares.sum() == pytest.approx(1) and shares.min() >= 0
        assert (shares > 0).sum() == 1 or shares.max() <= max(options.most, 1 / 3) + 1e-9
        made.observe({"a": 1 / (step + 1), "b": 1.0})
    assert way(["a"], np.array([5]), options).shares(0, 0.0).tolist() == [1]


@given(st.lists(st.integers(1, 300), min_size=1, max_size=5), st.integers(1, 40), st.sampled_from(sorted(SAMPLING)), st.integers(1, 30))
def test_every_step_is_full_and_shares_are_kept(sizes: list[int], batch: int, name: str, steps: int) -> None:
    made = sampler(name, {str(i): n for i, n in enumerate(sizes)}, batch, seed=1)
    drawn, wanted = np.zeros(len(sizes)), np.zeros(len(sizes))
    for step in range(steps):
        wanted += made.sampling.shares(step, step / steps) * batch
        counts = np.array([len(r) for r in made.draw(step / steps).values()])
        assert counts.sum() == batch and (counts >= 0).all()
        drawn += counts
    assert np.abs(drawn - wanted).max() < len(sizes)


@every_way
def test_all_rows_of_a_table_are_seen_equally_often(name: str) -> None:
    sizes = {"big": 300, "small": 10, "middle": 37}
    made = sampler(name, sizes, 16)
    drawn: dict[str, list[int]] = {table: [] for table in sizes}
    for step in range(100):
        for table, rows in made.draw(step / 100).items():
            drawn[table] += rows.tolist()
    for table, rows in drawn.items():
        counts = np.bincount(rows, minlength=sizes[table])
        assert {*counts.tolist()} <= {len(rows) // sizes[table], -(-len(rows) // sizes[table])}


@every_way
def test_the_state_is_all_that_the_next_draw_depends_on(name: str) -> None:
    def go(made: Sampler, steps: range) -> list[list[int]]:
        found = []
        for step in steps:
            found.append([n for rows in made.draw(step / 40).values() for n in rows.tolist()])
            made.sampling.observe({"a": 1 / (step + 1), "b": 1.0})
        return found

    one = sampler(name, {"a": 37, "b": 11}, 7)
    go(one, range(13))
    other = sampler(name, {"a": 37, "b": 11}, 7)
    other.state = json.loads(json.dumps(one.state))
    assert go(one, range(13, 33)) == go(other, range(13, 33))
    seeds = [go(sampler(name, {"a": 37, "b": 11}, 7, seed), range(9)) for seed in (6, 7)]
    assert seeds[0] != seeds[1]


@every_way
def test_trains(name: str, tiny_encoder: Path, workspace: Workspace, tmp_path: Path) -> None:
    described_ = described(["classification", "search"], tiny_encoder, tmp_path, sampling={"name": name})
    experiment = experiment_from_dict(described_)
    *_, end = train(experiment, prepare(experiment, workspace))
    assert isinstance(end, Finished)
