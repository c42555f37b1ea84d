"""Two quadratic losses whose best trade-offs are known, and where on them every balancing strategy ends.

    python benchmarks/toy.py        draws docs/balancing.svg anew and writes the table of docs/balancing.md

L_k(θ) = |A_k (θ - c_k)|² / 2 + b_k, θ in the plane; b_k > 0 is what no model can avoid (without it a strategy that looks at relative
gains would end where one loss is 0). The best trade-offs, the Pareto front, are the optima of w_1 L_1 + w_2 L_2: a closed form.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import brentq, minimize_scalar

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from mtl_core.balancing import BALANCING, GradientBalancing, LossBalancing

A = np.array([[[1.0, 0.0], [0.0, 1.7]], [[2.0, 0.75], [0.0, 1.0]]])
C = np.array([[0.0, 0.0], [1.0, 1.0]])
B = np.array([0.5, 1.0])
HESSIANS = A.transpose(0, 2, 1) @ A
START = np.array([1.6, -1.2])
STEPS, RATE, LONGEST = 1000, 0.1, 1.0  # the step size falls linearly to 0; longer updates are cut, as `optimizer.max_gradient_norm` does
STATIONARY = 1e-6  # 1 + cosine of the two gradients, below which no direction helps both tasks
RAISED = (3.0, 1.0)


def losses(theta: np.ndarray) -> np.ndarray:
    """(2,)"""
    return np.asarray(((A @ (theta - C)[..., None])[..., 0] ** 2).sum(1) / 2 + B)


def gradients(theta: np.ndarray) -> np.ndarray:
    """(2 tasks, 2 parameters)"""
    return np.asarray((HESSIANS @ (theta - C)[..., None])[..., 0])


def optimum(weights: np.ndarray) -> np.ndarray:
    """θ where w_1 L_1 + w_2 L_2 is smallest: (Σ w_k H_k)⁻¹ Σ w_k H_k c_k, H = AᵀA."""
    pull = (HESSIANS @ C[..., None])[..., 0]
    return np.asarray(np.linalg.solve(np.tensordot(weights, HESSIANS, 1), weights @ pull))


def best(share: float) -> np.ndarray:
    """The best trade-off at which the first task has `share` of the weight."""
    return optimum(np.array([share, 1 - share]))


Rest = Callable[[float, np.ndarray, np.ndarray], float]
"""(share of the first task, losses there, loss weights) → 0 where the strategy is at rest, below 0 before it."""


def _balanced(factors: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Rest:
    """At rest the gradients, times what (losses, loss weights) make of their factors, add up to 0."""

    def rest(share: float, found: np.ndarray, weights: np.ndarray) -> float:
        wanted = factors(found, weights)
        return float(share * wanted[1] - (1 - share) * wanted[0])

    return rest


def _bounded(found: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """w / 2c², c² where L / 2c² + ln(1 + c²) is smallest."""
    return weights * 2 / (found + np.sqrt(found**2 + 8 * found))


def _largest(found: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """λ · softmax(λL / 0.1), λ = w / Σw"""
    part = weights / weights.sum()
    return np.asarray(part * np.exp((part * found - (part * found).max()) / 0.1))


def _one_pace(share: float, found: np.ndarray, weights: np.ndarray) -> float:
    """On the front all v_k |g_k| are the same whatever v is; it moves until the losses are at the same part of what they were."""
    pace = found / losses(START)
    return float(pace[1] - pace[0])


@dataclass(frozen=True)
class Landing:
    """says: what the paper promises; rest: where that is, None where it may be any best trade-off; stops: at the first that it meets.

    near: how far the share may be from there, and gap: θ from the front. equal: this is known for equal loss weights only.
    """

    says: str
    rest: Rest | None = None
    stops: bool = False
    near: float = 0.01
    gap: float = 1e-3
    equal: bool = False


_MEAN = "the optimum of the weighted sum"
_RELATIVE = "the smallest weighted sum of the losses' logarithms"
_ANY = "a trade-off that no direction improves for both tasks"
_fixed, _relative = _balanced(lambda found, weights: weights), _balanced(lambda found, weights: weights / found)
LANDINGS: dict[str, Landing] = {
    "fixed": Landing(_MEAN, _fixed, near=1e-6, gap=1e-6),
    "uncertainty": Landing("where each weight fits the size of its loss", _balanced(_bounded)),
    "uncertainty_original": Landing(_RELATIVE, _relative),
    "dwa": Landing(f"{_MEAN}, once both losses fall at one rate", _fixed),
    "random": Landing(f"{_MEAN}, on average", _fixed, near=0.1, gap=0.1),
    "geometric_mean": Landing(_RELATIVE, _relative),
    "imtl_l": Landing(_RELATIVE, _relative),
    "smooth_tchebycheff": Landing("where the largest weighted loss, smoothed, is smallest", _balanced(_largest)),
    "famo": Landing(_ANY, gap=0.01),
    "pcgrad": Landing(_ANY, stops=True),
    "gradvac": Landing(_ANY, stops=True),
    "cagrad": Landing(f"{_MEAN}, with a radius below 1", _fixed),
    "mgda": Landing(_ANY, stops=True),
    "imtl_g": Landing(_ANY, stops=True),
    "nash_mtl": Landing(f"{_ANY}; the same whatever the unit of a loss", stops=True),
    "aligned_mtl": Landing(_MEAN, _fixed),
    "fairgrad": Landing(_ANY, stops=True),
    "upgrad": Landing(_ANY, stops=True),
    "dualproj": Landing(_ANY, stops=True),
    "graddrop": Landing(f"{_MEAN}, on average", _fixed, near=0.1, gap=0.1),
    "gradnorm": Landing("where both losses have fallen to the same part of what they were", _one_pace, equal=True),
}


UNSAID = Landing("on the front")
"""Of a strategy of which nobody wrote down here what its paper promises."""


def predicted(name: str, weights: np.ndarray) -> float | None:
    """The first task's share where the strategy should end; None: its paper does not say where on the front."""
    landing = LANDINGS.get(name, UNSAID)
    if (rest := landing.rest) is None or (landing.equal and np.ptp(weights)):
        return None
    return float(brentq(lambda share: rest(share, losses(best(share)), weights), 0.0, 1.0, xtol=1e-12))


@dataclass(frozen=True)
class End:
    """share: of the first task at the nearest best trade-off; gap: how far θ is from it; fell_back: steps without an answer."""

    theta: np.ndarray
    share: float
    gap: float
    steps: int
    fell_back: int


def run(name: str, weights: Sequence[float] = (1.0, 1.0), units: Sequence[float] = (1.0, 1.0), seed: int = 0) -> End:
    """Gradient descent with a strategy, its options as they are by default. units: factors on the losses, as if measured otherwise."""
    strategy = BALANCING[name](2, BALANCING[name].Options())
    torch.manual_seed(seed)
    theta, w, unit, tasks = START.copy(), np.array(weights, float), np.array(units, float), torch.arange(2)
    step = fell_back = 0
    for step in range(1, STEPS + 1):
        rows = gradients(theta) * unit[:, None]
        gramian = rows @ rows.T
        if LANDINGS.get(name, UNSAID).stops and 1 + gramian[0, 1] / np.sqrt(gramian[0, 0] * gramian[1, 1]) < STATIONARY:
            break
        if isinstance(strategy, LossBalancing):
            found = torch.tensor(losses(theta) * unit, dtype=torch.float32, requires_grad=True)
            strategy.combine(found, torch.from_numpy(w).float(), tasks).backward()
            strategy.learn()
            assert found.grad is not None
            update = found.grad.double().numpy() @ rows
        else:
            assert isinstance(strategy, GradientBalancing)
            decision = strategy.decide(gramian, w, losses(theta) * unit, tasks.numpy())
            fell_back += decision.fell_back
            update = strategy.combine(torch.from_numpy(rows), decision.effective)[0].numpy()
        length = float(np.linalg.norm(update))
        theta = theta - RATE * (1 - (step - 1) / STEPS) * update * min(1.0, LONGEST / max(length, LONGEST))
        if isinstance(strategy, LossBalancing) and strategy.watches_update:
            strategy.updated(torch.tensor(losses(theta) * unit, dtype=torch.float32), tasks)
    return End(theta, *nearest(theta), step, fell_back)


def nearest(theta: np.ndarray) -> tuple[float, float]:
    """Share and distance of the best trade-off next to θ."""

    def distance(share: float) -> float:
        return float(np.linalg.norm(theta - best(share)))

    found = minimize_scalar(distance, bounds=(0, 1), method="bounded", options={"xatol": 1e-9})
    return float(found.x), float(found.fun)


SIZE, LEFT, TOP, LABELS = 340.0, 62.0, 40.0, 250.0  # of a panel, its margins, the room for its labels
LOW, HIGH = np.array([0.9, 1.05]), np.array([1.5, 1.65])  # losses that a panel shows
_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f } .quiet { fill: #57606a }
  .front { fill: none; stroke: #0969da; stroke-width: 2 } .axis { fill: none; stroke: #57606a }
  .lead { fill: none; stroke: #8c959f; stroke-width: 0.8 } .tick { fill: #0969da } .end { fill: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .quiet { fill: #9198a1 } .front { stroke: #4493f8 } .axis { stroke: #9198a1 }
    .lead { stroke: #6e7681 } .tick { fill: #4493f8 } .end { fill: #f0883e }
  }"""


def draw(ends: dict[str, End]) -> str:
    """An SVG: the losses of the best trade-offs, and of where each strategy ended; strategies on losses left, on gradients right."""
    parts = []
    for place, (title, kind) in enumerate((("Strategies on losses", LossBalancing), ("Strategies on gradients", GradientBalancing))):
        chosen = {name: end for name, end in ends.items() if issubclass(BALANCING[name], kind)}
        parts.append(f'<g transform="translate({place * (LEFT + SIZE + LABELS):.0f} 0)">{_panel(title, chosen)}</g>')
    width, height = 2 * (LEFT + SIZE + LABELS), TOP + SIZE + 50
    box = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img"><style>{_STYLE}\n</style>\n' + "\n".join(parts) + "\n</svg>\n"


def _panel(title: str, ends: dict[str, End]) -> str:
    def at(theta: np.ndarray) -> tuple[float, float]:
        x, y = (losses(theta) - LOW) / (HIGH - LOW)
        return LEFT + SIZE * float(x), TOP + SIZE * (1 - float(y))

    inside = [share for share in np.linspace(0, 1, 401) if (losses(best(share)) >= LOW).all() and (losses(best(share)) <= HIGH).all()]
    front = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(best(share)) for share in inside))
    parts = [
        f'<text x="{LEFT}" y="{TOP - 16}" font-weight="600">{title}</text>',
        f'<path class="axis" d="M{LEFT} {TOP}V{TOP + SIZE}H{LEFT + SIZE}"/>',
        f'<text class="quiet" x="{LEFT + SIZE / 2}" y="{TOP + SIZE + 38}" text-anchor="middle">loss of the first task</text>',
        f'<text class="quiet" transform="translate(16 {TOP + SIZE / 2}) rotate(-90)" text-anchor="middle">loss of the second task</text>',
        f'<polyline class="front" points="{front}"/>',
    ]
    for tick in np.arange(1.0, 1.7, 0.2):
        x, y = LEFT + SIZE * (tick - LOW[0]) / (HIGH[0] - LOW[0]), TOP + SIZE * (1 - (tick - LOW[1]) / (HIGH[1] - LOW[1]))
        if tick < HIGH[0]:
            parts.append(f'<text class="quiet" x="{x:.1f}" y="{TOP + SIZE + 18}" text-anchor="middle">{tick:.1f}</text>')
        if tick > LOW[1]:
            parts.append(f'<text class="quiet" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:.1f}</text>')
    for share in np.arange(0.1, 0.95, 0.1):
        if inside[0] <= share <= inside[-1]:
            x, y = at(best(share))
            parts.append(f'<circle class="tick" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
            parts.append(f'<text class="quiet" x="{x - 8:.1f}" y="{y + 14:.1f}" text-anchor="end">{share:.0%}</text>')
    groups: list[list[str]] = []  # what ends within 0.3 % of the front has one label
    for name in sorted(ends, key=lambda n: -ends[n].share):
        if groups and ends[groups[-1][0]].share - ends[name].share < 0.003:
            groups[-1].append(name)
        else:
            groups.append([name])
    for number, names in enumerate(groups):
        x, y = at(ends[names[0]].theta)
        label = TOP + 12 + number * 24
        words = [BALANCING[name].label.rpartition("(")[2].removesuffix(")") for name in names]
        parts.append(f'<path class="lead" d="M{x:.1f} {y:.1f}L{LEFT + SIZE + 4:.1f} {label - 4:.1f}"/>')
        parts += [f'<circle class="end" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in (at(ends[name].theta) for name in names)]
        parts.append(f'<text x="{LEFT + SIZE + 8}" y="{label}">{escape(" · ".join(words))}</text>')
    return "\n".join(parts)


def table(ends: dict[str, End], raised: dict[str, End]) -> str:
    """Markdown: a row for each strategy."""
    rows = ["| strategy | should end at | ends at | weight 3 : 1 | what it does | source |", "|---|---|---|---|---|---|"]
    for name, strategy in BALANCING.items():
        wanted, says = predicted(name, np.ones(2)), LANDINGS.get(name, UNSAID).says
        paper, _, link = strategy.source.rpartition(", ")
        rows.append(
            f"| {strategy.label} (`{name}`) | {says}{'' if wanted is None else f': {wanted:.1%}'} | {ends[name].share:.1%} "
            f"| {raised[name].share:.1%} | {strategy.help} | [{paper}]({link}) |"
        )
    return "\n".join(rows)


def main() -> None:
    ends, raised = {name: run(name) for name in BALANCING}, {name: run(name, RAISED) for name in BALANCING}
    (ROOT / "docs" / "balancing.svg").write_text(draw(ends), encoding="utf-8")
    page = ROOT / "docs" / "balancing.md"
    before, start, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    page.write_text(f"{before}{start}\n{table(ends, raised)}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    print(f"{page} and its picture are drawn anew.")


BEGIN, END = "<!-- the table, by benchmarks/toy.py -->", "<!-- end of the table -->"

if __name__ == "__main__":
    main()
