"""The commands that show what there is: suggestions, kinds, strategies, runs, report, conflicts, gates."""

import argparse
import json
import shlex
import shutil
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from mtl_core.base.messages import plural
from mtl_core.base.workspace import Workspace
from mtl_core.cli.text import FAILED, OK, CallError, pairs, print_json, print_metrics, print_panel, print_table, regular_file, whole_seconds
from mtl_core.config.experiment import Experiment
from mtl_core.data.problems import DataError, one_line
from mtl_core.studies.naive import naive, not_beaten
from mtl_core.studies.paired import known_tests, too_good
from mtl_core.tasks.base import Field, TaskKind
from mtl_core.tracking import keeping
from mtl_core.tracking.runs import Run, list_runs, run
from mtl_core.tracking.status import SPLITS


def estimate(experiment: Experiment, base: Path, workspace: Workspace, n_runs: int, as_json: bool) -> int:
    """What `train --estimate` prints. n_runs: one a seed."""
    from mtl_core.jobs import quiet_libraries
    from mtl_core.model.packaged import EncoderError
    from mtl_core.studies.estimates import BUSY, measure
    from mtl_core.training.estimate import estimate as reckoned

    quiet_libraries()
    try:
        found = reckoned(experiment, measure(experiment, workspace, base))
    except (DataError, EncoderError) as error:
        print(error, file=sys.stderr)
        return FAILED
    if as_json:
        print_json({**vars(found), "runs": n_runs})
        return OK
    minutes, seconds = divmod(round(found.seconds), 60)
    print(f"{found.steps:,} steps of {experiment.training.batch_size} rows: {found.examples:,} rows, {found.passes:.3g} passes.")
    busy = found.others >= BUSY
    while_ = f"with other programs on {found.others:.1f} cores, as now" if busy else "with nothing else running"
    print(f"About {minutes} min {seconds:02d} s on {found.device} {while_}, {found.memory_bytes / 2**30:.1f} GiB of memory.")
    free = shutil.disk_usage(workspace.folder()).free
    short = "" if free >= found.disk_bytes else ": not enough"
    print(f"About {found.disk_bytes / 1e6:,.0f} MB of disk for its checkpoints; {free / 1e6:,.0f} MB are free{short}.")
    if busy:
        print("On an idle machine it is faster.")
    if n_runs > 1:
        print(f"That is one of {n_runs} runs, one a seed.")
    return OK


def kinds(args: argparse.Namespace, workspace: Workspace) -> int:
    from mtl_core.tasks import KINDS

    def about(field: Field, kind: TaskKind) -> dict[str, Any]:
        return {k: v for k, v in vars(field).items() if k != "name"} | {"example": [row.get(field.name) for row in kind.example]}

    if args.json:
        print_json({name: {f.name: about(f, kind) for f in kind.fields} for name, kind in KINDS.items()})
        return OK
    for name, kind in KINDS.items():
        print(f"{name}: {kind.help}")
        for f in kind.fields:
            notes = [f.type, *(["optional"] if not f.required else []), *(["several columns"] if f.many else [])]
            print(f"  {f.name} ({', '.join(notes)}): {f.help}")
        columns = list(dict.fromkeys(column for row in kind.example for column in row))
        print()
        print_table(columns, [[_cell(row.get(column)) for column in columns] for row in kind.example])
        print()
    return OK


def suggest(args: argparse.Namespace, workspace: Workspace) -> int:
    from mtl_core.api import checking

    path = regular_file(args.file)
    try:
        found = checking.suggest(path)
    except DataError as error:
        for problem in error.problems:
            print(one_line(problem), file=sys.stderr)
        return FAILED
    for place, one in enumerate([] if args.json else found, 1):
        print(f"{place}. {one.kind}: {one.why}")
        print("   --map " + " ".join(f"{f}={shlex.quote(c)}" for f, names in one.columns.items() for c in names))
        print(f"   --split {one.split_text}")
        if one.transactions:
            print(f"   --transactions {one.transactions_text}")
    if args.json:
        print_json({"suggestions": [one.to_json() for one in found]})
    elif not found:
        for problem in (why := checking.why_none(path)):
            print(one_line(problem))
        if not why:
            print("The table suits no task kind: there are no texts, labels or transactions in it.")
    return OK if found else FAILED


def _cell(value: Any) -> str:
    """As it stands in a file."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def strategies(args: argparse.Namespace, workspace: Workspace) -> int:
    from mtl_core.balancing import BALANCING, GradientBalancing
    from mtl_core.base.settings import widgets
    from mtl_core.data.shares import SAMPLING
    from mtl_core.model.sharing import SHARING

    def about(named: Any) -> dict[str, Any]:
        parameters = {s.path: {"type": s.type, "default": s.default, "bounds": s.bounds, "help": s.help} for s in widgets(named.Options)}
        return {"help": named.help, "source": named.source, "parameters": parameters}

    groups: dict[str, dict[str, Any]] = {"losses": {}, "gradients": {}}
    for name, strategy in BALANCING.items():
        group = "gradients" if issubclass(strategy, GradientBalancing) else "losses"
        groups[group][name] = about(strategy) | {"loss_weight": strategy.slider}
    groups["sampling"] = {name: about(way) for name, way in SAMPLING.items()}
    groups["sharing"] = {name: about(way) for name, way in SHARING.items()}
    if args.json:
        print_json(groups)
        return OK
    for group, found in groups.items():
        print(f"{group}:")
        for name, described in found.items():
            print(f"  {name}: {described['help']}")
            for key, parameter in described["parameters"].items():
                print(f"    {key}={parameter['default']}  {parameter['help']}")
    return OK


def runs(args: argparse.Namespace, workspace: Workspace) -> int:
    """Lists the runs, after doing what was asked with one of them."""
    if args.restore:
        keeping.restore(workspace, args.restore)
    for asked, do in ((args.rename, keeping.rename), (args.note, keeping.note)):
        if asked:
            do(run(workspace, asked[0]), asked[1])
    if args.name_classes:
        target, task, *names = args.name_classes if len(args.name_classes) > 1 else (args.name_classes[0], "")
        keeping.name_classes(run(workspace, target), task, dict(pairs(names, "--name-classes")))
    if args.in_use:
        keeping.use(workspace, None if args.in_use == "none" else run(workspace, args.in_use))
    if args.delete:
        target = run(workspace, args.delete)
        for said in keeping.uses_of(workspace, target).sentences:
            print(said, file=sys.stderr)
        gone = keeping.delete(workspace, target)
        print(f"Moved to the trash: {gone.name}, {gone.n_bytes:,} bytes. Bring it back with --restore {target.id}.", file=sys.stderr)
    found = [one for one in list_runs(workspace) if args.all or not one.purpose]
    pinned = keeping.in_use(workspace)
    if args.json:
        print_json({"runs": [_about_run(one, pinned) for one in found]})
    else:
        cells = [
            [
                ("* " if r.id == pinned else "") + r.id,
                r.state.value,
                f"{r.created.astimezone():%Y-%m-%d %H:%M}",
                whole_seconds(r.seconds),
                r.name,
            ]
            for r in found
        ]
        print_table(["run", "state", "created", "seconds", "name"], cells)
    return OK


def _about_run(one: Run, pinned: str | None) -> dict[str, Any]:
    about: dict[str, Any] = {
        "run_id": one.id,
        "name": one.name,
        "state": one.state,
        "created": one.created.isoformat(),
        "seconds": one.seconds,
    }
    about |= {"note": one.noted.get("note", ""), "in_use": one.id == pinned, "weights": one.loss_weights, "best": one.best_so_far}
    return about | ({"purpose": one.purpose} if one.purpose else {})


def print_outcome(of: Run, tasks: dict[str, dict[str, dict[str, float]]], workspace: Workspace) -> None:
    """The metrics of a run's `tasks`, and how well those on the test split are known."""
    print_metrics(tasks)
    known = known_tests(of, workspace, tasks)
    if known:
        main = of.experiment.main_metrics
        print(
            "95 % intervals of the test values: "
            + ", ".join(f"{task} {main[task]} {low:.4f} to {high:.4f}" for task, (low, high) in known.items())
        )
    for remark in filter(None, (too_good(of, task, bounds) for task, bounds in known.items())):
        print(remark)


def _baselines(of: Run, tasks: Collection[str], workspace: Workspace) -> dict[str, float]:
    return {task: figure for task in of.tasks if task in tasks and (figure := naive(of, task, workspace)) is not None}


def report(args: argparse.Namespace, workspace: Workspace) -> int:
    found = run(workspace, args.run)
    tasks = found.result()["tasks"]
    split, reports = found.latest_reports()
    series = found.series()
    seen, guessed = series.seen, {task: curve for task, curve in series.pseudo_labels.items() if curve.last}
    if args.task is not None:
        known = list(found.tasks or tasks)
        if args.task not in known:
            raise CallError(f"--task: should be one of {', '.join(known)}. Found {args.task}.")
        tasks = {k: v for k, v in tasks.items() if k == args.task}
        reports = {k: v for k, v in reports.items() if k == args.task}
        seen = {k: v for k, v in seen.items() if k == args.task}
        guessed = {k: v for k, v in guessed.items() if k == args.task}
    if args.json:
        result = {"run_id": found.id, "name": found.name, "state": found.state, "seconds": found.seconds}
        rows = {task: {"training_rows": s.rows, "drawn": s.drawn, "times": s.times} for task, s in seen.items()}
        tests = known_tests(found, workspace, tasks)
        simple = {"naive": _baselines(found, tasks, workspace)} if args.naive else {}
        made = {task: [{"step": step, "rows": int(n)} for step, n in curve.points] for task, curve in guessed.items()}
        print_json(
            {
                **result,
                "tasks": tasks,
                "seen": rows,
                "pseudo_labels": made,
                "test_intervals": tests,
                **simple,
                "reports": reports,
                "reports_split": split,
            }
        )
        return OK
    print(f"{found.name} ({found.id}): {found.state}")
    if found.error:
        print(f"{found.error.message}\n{found.error.advice}")
    print_outcome(found, tasks, workspace)
    if args.naive:
        figures = _baselines(found, tasks, workspace)
        said = ", ".join(f"{task} {found.experiment.main_metrics[task]} {figure:.4f}" for task, figure in figures.items())
        print(f"Naive baselines on the same validation rows: {said or 'not known'}")
        for remark in filter(None, (not_beaten(found, task, figure) for task, figure in figures.items())):
            print(remark)
    if seen:
        print()
        columns = ["task", "training rows", "examples drawn", "times each row was seen"]
        print_table(columns, [[task, s.rows, s.drawn, f"{s.times:.1f}"] for task, s in seen.items()])
    if guessed:
        print()
        last = [[task, int(curve.last[1]), curve.last[0], curve.steps[0]] for task, curve in guessed.items() if curve.last]
        print_table(["task", "pseudo-labels", "since step", "the first at step"], last)
    for task, panels in reports.items():
        for panel in panels:
            print(f"\n{task}: {panel['title']} · {SPLITS[split]}")
            print_panel(panel["data"])
    return OK


def conflicts(args: argparse.Namespace, workspace: Workspace) -> int:
    import numpy as np

    from mtl_core.evaluation.conflicts import LEAST_MEASUREMENTS, affinity, agreement, sentence

    found = run(workspace, args.run)
    measurements = list(found.series().conflicts)
    now, said = agreement(measurements), sentence(measurements)
    if now is None:
        raise CallError(f"No gradient conflicts were measured in the run {found.id}; see diagnostics.conflicts_every.")
    n = len(now.tasks)
    pairs = [
        [now.tasks[i], now.tasks[j], *(float(m[i, j]) for m in (now.cosine, now.low, now.high))] for i in range(n) for j in range(i + 1, n)
    ]
    shares = dict(zip(now.tasks, now.share.tolist(), strict=True))
    columns = ["task", "and", "cosine", "low", "high"]
    ahead = affinity(measurements)
    steps: list[list[Any]] = (
        []
        if ahead is None
        else [
            [source, task, *(float(m[i, j]) for m in (ahead.change, ahead.low, ahead.high))]
            for i, source in enumerate(ahead.tasks)
            for j, task in enumerate(ahead.tasks)
            if np.isfinite(ahead.change[i, j])
        ]
    )
    step_columns = ["step of", "loss of", "loss reduction (%)", "low", "high"]
    if args.json:
        records = [dict(zip(columns, pair, strict=True)) for pair in pairs]
        affinities = [dict(zip(("step_of", "loss_of", "change", "low", "high"), row, strict=True)) for row in steps]
        result = {
            "run_id": found.id,
            "step": now.step,
            "measurements": now.measurements,
            "pairs": records,
            "affinity": affinities,
            "shares": shares,
        }
        print_json({**result, "summary": str(said or "")})
        return OK
    print(f"{found.name} ({found.id}), step {now.step}, over {now.measurements} {plural(now.measurements, 'measurement', 'measurements')}")
    print_table(columns, pairs)
    print()
    print_table(["task", "gradient norm share"], [list(item) for item in shares.items()])
    print()
    if not steps:
        print("The effect of one task's step on the others was not measured: that takes two measurements of a task's step.")
        print("For more, train with a smaller diagnostics.conflicts_every.")
    else:
        print_table(step_columns, [[*row[:2], *(100 * float(value) for value in row[2:])] for row in steps])
    print(f"\n{said or f'Nothing can be said of a pair from {now.measurements}: that takes {LEAST_MEASUREMENTS} measurements.'}")
    return OK


def gates(args: argparse.Namespace, workspace: Workspace) -> int:
    from mtl_core.evaluation.gates import collapse, expert_name, sentence

    found = run(workspace, args.run)
    measurements = found.series().gates
    if not measurements:
        raise CallError(f"The run {found.id} has no experts and so no gate weights; see sharing.name.")
    now = measurements[-1]
    if args.json:
        collapsed = [str(said) for said in collapse(now.weights)]
        print_json({"run_id": found.id, "step": now.step, "weights": now.weights, "collapse": collapsed})
        return OK
    experts = list(dict.fromkeys(key for row in now.weights.values() for key in row))
    print(f"{found.name} ({found.id}), step {now.step}: gate weights by task")
    rows = [[task, *(row.get(key, "") for key in experts)] for task, row in now.weights.items()]
    print_table(["task", *(str(expert_name(key)) for key in experts)], rows)
    print(f"\n{sentence(now.weights)}")
    return OK
