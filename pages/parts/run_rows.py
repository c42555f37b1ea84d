"""A line of the table of runs, and how its columns are called."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mtl_core.base.messages import Translate
from mtl_core.tasks import KINDS
from mtl_core.tracking.runs import Run
from pages.parts import states


def row(one: Run, labels: Mapping[str, str], pinned: bool, place: int, _: Translate) -> dict[str, Any]:
    state = states.word(one.state, _)
    if one.state == "queued" and place:
        state = _("Queued, {n} ahead").format(n=place)
    elif one.state in ("running", "paused", "interrupted", "stopped") and one.status.get("n_steps"):
        state += f" · {one.status.get('step', 0)}/{one.status['n_steps']}"
    if pinned:
        state += " · " + _("in use")
    found: dict[str, Any] = {_("Name"): one.name, _("State"): state, _("Date"): one.created.astimezone().replace(tzinfo=None)}
    found[_("Loss weights")] = _weights(one.loss_weights, _)  # before the tasks, of which there may be many
    best, kinds = one.best_so_far, one.kinds
    for task, column in labels.items():
        kind = KINDS.get(kinds.get(task, ""))
        found[column] = best.get(task, {}).get(kind.primary) if kind else None
    return found | {_("Note"): one.noted.get("note", ""), _("ID"): one.id}


def _weights(of: Mapping[str, float], _: Translate) -> str:
    """Those that differ from what most tasks have, then that."""
    if not of:
        return ""
    usual = Counter(of.values()).most_common(1)[0][0]
    others = [f"{task} {weight:g}" for task, weight in of.items() if weight != usual]
    if not others:
        return _("all {weight}").format(weight=f"{usual:g}")
    return (
        _("{tasks}, others {weight}").format(tasks=", ".join(others), weight=f"{usual:g}") if len(others) < len(of) else ", ".join(others)
    )


def label(task: str, found: Sequence[Run], _: Translate) -> str:
    """A column of a task's main metric, or of its main metrics, where the runs have different kinds of it."""
    kinds = {kind.name: kind for one in found if (kind := KINDS.get(one.kinds.get(task, "")))}.values()
    measured = dict.fromkeys(_(kind.main.label) for kind in kinds)
    return f"{task} · {', '.join(measured)}"
