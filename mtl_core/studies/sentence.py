"""What was bought with what, in one sentence: the settings that were changed, and the tasks that it did good or harm."""

from collections.abc import Sequence

from mtl_core.base.messages import N_, Message, listed, message, plural
from mtl_core.config.experiment import Experiment
from mtl_core.studies.compare import at_the_end
from mtl_core.studies.differences import described
from mtl_core.studies.paired import Change, Verdict

MOST = 3
"""Settings, and tasks without a significant change, that are named; the others are counted."""


def bought(found: Sequence[Change], split: str) -> Message:
    """found: the changes of all tasks of one group of runs beside the baseline, at least one; split: where they were measured."""
    pair = found[0].pair
    rows = message("test rows") if split == "test" else message("validation rows")
    base, other = pair.baseline.runs[0], pair.other.runs[0]
    changed = changed_settings(at_the_end(base), at_the_end(other))
    if base.steered or other.steered:
        changed = message("at the end of the training: {changed}", changed=changed)
    return message(
        "“{run}” against “{baseline}” ({changed}), on {rows}: {said}",
        run=pair.other.name,
        baseline=pair.baseline.name,
        changed=changed,
        rows=rows,
        said=_said(found),
    )


def _said(found: Sequence[Change]) -> Message:
    said, alone = _verdicts(found), [change for change in found if change.alone]
    if not alone:
        return said
    return message(
        "{said} Significant alone, but not after Holm's correction ({n} tasks): {tasks}.",
        said=said,
        n=alone[0].n_tasks,
        tasks=listed([change.pair.task for change in alone]),
    )


def _verdicts(found: Sequence[Change]) -> Message:
    known = [change for change in found if change.found is not None and change.found.known]
    if not known:
        return message("it cannot be said whether anything changed.")
    ordered = sorted(known, key=lambda change: -abs(change.found.value if change.found else 0))
    better, worse, rest = (
        [c for c in ordered if c.verdict is verdict] for verdict in (Verdict.BETTER, Verdict.WORSE, Verdict.NOT_SIGNIFICANT)
    )
    if not better and not worse:
        return message("nothing changed significantly: {tasks}.", tasks=_tasks(rest, MOST))
    if better and worse:
        said = message("{better} were bought with {worse}.", better=_tasks(better), worse=_tasks(worse))
    elif better:
        said = message("{better}; no task is significantly worse.", better=_tasks(better))
    else:
        said = message("{worse}; no task is significantly better.", worse=_tasks(worse))
    return message("{said} Not significant: {tasks}.", said=said, tasks=_tasks(rest, MOST)) if rest else said


def changed_settings(base: Experiment, other: Experiment) -> Message:
    """What the other experiment has changed: weights by their factor, settings by their titles."""
    found = described({"base": base, "other": other})
    seeds = found.pop("seed", None)
    parts: list[Message] = []
    for path, setting in found.items():
        before, now = setting.words["base"], setting.words["other"]
        if path.startswith("tasks.") and path.endswith(".weight"):
            weights = [experiment.tasks[setting.of].weight for experiment in (base, other)]
            if weights[0] > 0 and weights[1] > 0:
                parts.insert(0, message("{task} ×{factor:.3g}", task=setting.of, factor=weights[1] / weights[0]))
                continue
        values = {
            "before": message(before) if before else "–",
            "now": message(now) if now else "–",
            "setting": message(setting.label),
        }
        if path.count(".") == 1 and path.startswith("tasks."):
            parts.append(message("with {task}", task=setting.of) if now else message("without {task}", task=setting.of))
        elif not path.startswith("data.") or path.count(".") > 1:
            if setting.of:
                parts.append(message("{task}: {setting} {before} → {now}", task=setting.of, **values))
            else:
                parts.append(message("{setting} {before} → {now}", **values))
    if seeds:
        parts.append(message("another seed") if parts else message("only another seed"))
    if not parts:
        return message("the same settings")
    if len(parts) > MOST:
        parts = [*parts[:MOST], message(plural(len(parts) - MOST, N_("1 more setting"), N_("{n} more settings")), n=len(parts) - MOST)]
    return listed(parts)


def _tasks(found: Sequence[Change], most: int | None = None) -> Message:
    parts = [one for change in found[:most] if (one := _task(change))]
    if most is not None and len(found) > most:
        parts.append(message(plural(len(found) - most, N_("1 more task"), N_("{n} more tasks")), n=len(found) - most))
    return listed(parts)


def _task(change: Change) -> Message | None:
    if change.found is None:
        return None
    if change.found.alike and change.found.value == 0:
        return message("{task} the same on all rows", task=change.pair.task)
    value, low, high = change.found.value, change.found.low, change.found.high
    if not change.pair.kind.main.share:
        if change.found.alike:
            return message("{task} {value:+.3f} on every row", task=change.pair.task, value=value)
        return message("{task} {value:+.3f} ({low:+.3f} to {high:+.3f})", task=change.pair.task, value=value, low=low, high=high)
    value, low, high = 100 * value, 100 * low, 100 * high
    if change.found.alike:
        return message("{task} {value:+.1f} points", task=change.pair.task, value=value)
    return message("{task} {value:+.1f} points ({low:+.1f} to {high:+.1f})", task=change.pair.task, value=value, low=low, high=high)
