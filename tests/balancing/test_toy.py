"""Two quadratic losses whose best trade-offs are known: where fixed weights and every strategy end on them. See docs/balancing.md."""

from functools import cache

import numpy as np
import pytest
from scipy.optimize import minimize

from benchmarks import toy
from mtl_core.balancing import BALANCING

run = cache(toy.run)
STOPS = [name for name, landing in toy.LANDINGS.items() if landing.stops]


def test_the_front_is_what_a_minimiser_finds() -> None:
    for weights in ([1.0, 1.0], [3.0, 1.0], [0.02, 1.0]):
        wanted = minimize(lambda theta, w=np.array(weights): float(w @ toy.losses(theta)), toy.START, method="BFGS", tol=1e-10).x
        assert toy.optimum(np.array(weights)) == pytest.approx(wanted, abs=1e-6)
        gradient = np.array(weights) @ toy.gradients(toy.optimum(np.array(weights)))
        assert gradient == pytest.approx([0, 0], abs=1e-12)
    for at, step in ((toy.START, np.array([1e-6, 0])), (toy.START, np.array([0, 1e-6]))):  # the gradients are those of the losses
        slope = (toy.losses(at + step) - toy.losses(at - step)) / 2e-6
        assert slope == pytest.approx(toy.gradients(at) @ step / 1e-6, rel=1e-6)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.8])
def test_fixed_weights_trace_the_front(share: float) -> None:
    end = toy.run("fixed", (2 * share, 2 * (1 - share)))
    assert end.theta == pytest.approx(toy.best(share), abs=1e-6)


@pytest.mark.parametrize("name", toy.LANDINGS)
def test_a_strategy_ends_where_its_paper_says(name: str) -> None:
    landing = toy.LANDINGS[name]
    for weights in ((1.0, 1.0), toy.RAISED):
        end, wanted = run(name, weights), toy.predicted(name, np.array(weights))
        assert end.gap < landing.gap, "on the front"
        assert end.fell_back == 0
        assert wanted is None or end.share == pytest.approx(wanted, abs=landing.near)


@pytest.mark.parametrize("name", toy.LANDINGS)
def test_a_raised_loss_weight_moves_it_towards_the_task(name: str) -> None:
    equal, raised = (toy.losses(run(name, weights).theta) for weights in ((1.0, 1.0), toy.RAISED))
    assert raised[0] < equal[0] - 0.05 and raised[1] > equal[1] + 0.05


@pytest.mark.parametrize("name", STOPS)
def test_what_stops_at_the_first_trade_off_takes_nothing_from_a_task(name: str) -> None:
    assert (toy.losses(run(name).theta) < toy.losses(toy.START)).all() and run(name).steps < toy.STEPS


def test_the_unit_of_a_loss_matters_to_some_only() -> None:
    for name, same in (("nash_mtl", 1e-6), ("geometric_mean", 1e-6), ("imtl_g", 0.01), ("gradnorm", 0.01)):
        assert toy.run(name, units=(1.0, 10.0)).share == pytest.approx(run(name).share, abs=same)
    assert toy.run("fixed", units=(1.0, 10.0)).share == pytest.approx(1 / 11, abs=1e-6)


def test_the_page_and_its_picture_name_every_strategy_that_has_its_place() -> None:
    page = (toy.ROOT / "docs" / "balancing.md").read_text(encoding="utf-8")
    rows = {row.split("`")[1]: row for row in page.splitlines() if row.startswith("| ") and "`" in row}
    assert toy.LANDINGS.keys() <= rows.keys() <= BALANCING.keys(), "run `python benchmarks/toy.py`"
    for name, row in rows.items():
        strategy = BALANCING[name]
        for words in (
            f"{strategy.label} (`{name}`)",
            toy.LANDINGS.get(name, toy.UNSAID).says,
            strategy.help,
            strategy.source.rpartition(", ")[2],
        ):
            assert words in row
    drawn = toy.draw({name: toy.End(toy.best(0.5), 0.5, 0.0, 1, 0) for name in BALANCING})
    assert drawn.count('class="end"') == len(BALANCING)
    assert (toy.ROOT / "docs" / "balancing.svg").read_text().count('class="end"') == len(rows)
