"""The same work without a browser: python -m mtl_core COMMAND; `--help` lists them.

Exit codes: 0; 1 for a run that failed or data with errors; 2 for a wrong call. What a program reads goes to standard output, what
a person reads while waiting to standard error. Runs are recorded as the browser's are: it shows them, live.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mtl_core.api.answers import rows_of
from mtl_core.api.foreground import evaluate_test, execute
from mtl_core.api.runs import load
from mtl_core.base.faults import CheckpointError, ExperimentError
from mtl_core.base.program import SCREEN
from mtl_core.base.room import RoomError, try_out
from mtl_core.base.workspace import Workspace, keep_private
from mtl_core.cli import alone as cli_alone
from mtl_core.cli import compare as cli_compare
from mtl_core.cli import doctor as cli_doctor
from mtl_core.cli import efficiency as cli_efficiency
from mtl_core.cli import show as cli_show
from mtl_core.cli import tables as cli_tables
from mtl_core.cli.named import by_name
from mtl_core.cli.text import FAILED, OK, WRONG_CALL, CallError, pairs, print_json, problem_json, regular_file
from mtl_core.config.seeds import seeds_of, with_seeds
from mtl_core.data.problems import InputError, one_line
from mtl_core.jobs import Work, check_data, replay_of, replaying, resumable, training
from mtl_core.runtime.steps import places
from mtl_core.tracking.runs import BrokenRunError, Run, RunError, RunState, create_run, run

_ROWS_AT_ONCE = 256


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code; argparse itself exits with 2."""
    args = _parser().parse_args(arguments)
    keep_private()
    workspace = Workspace(Path(args.workspace).resolve()) if args.workspace else Workspace.default()
    try:
        by_name(args, workspace)
        return int(args.command(args, workspace))
    except BrokenRunError as error:
        print(error, file=sys.stderr)
        return FAILED
    except (CallError, RunError, ExperimentError, CheckpointError) as error:
        print(error, file=sys.stderr)
        return WRONG_CALL
    except KeyboardInterrupt:
        print("Stopped at once; `resume RUN` goes on from the last checkpoint.", file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # `… | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError:
        try:
            try_out(workspace.root)
        except RoomError as error:
            print(error, file=sys.stderr)
            return FAILED
        raise


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--workspace", metavar="DIR", help="where everything is written; default $MTL_WORKSPACE, else workspace/")
    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="the last line of standard output is one JSON object")
    parser = argparse.ArgumentParser(prog="python -m mtl_core", description="Train one shared transformer on several tasks.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, function: Callable[..., int], text: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, parents=[shared, *parents])
        sub.set_defaults(command=function)
        return sub

    app = command("app", _app, "Open the workbench in a browser.")
    app.add_argument("--port", type=int, default=8501)
    suggest = command("suggest", cli_show.suggest, "Say what a table is good for: task kinds, columns and split, the best first.", as_json)
    suggest.add_argument("file", metavar="FILE")
    check = command("check", _check, "Say what is wrong with a table for a task kind.", as_json)
    check.add_argument("file", metavar="FILE")
    check.add_argument("--kind", help="see `kinds`; default: the first of `suggest`, with its columns and split")
    _pairs_option(check, "--map", "FIELD=COLUMN", "repeat a field for several columns; default: as suggested")
    _pairs_option(check, "--split", "KEY=VALUE", "as in an experiment file, such as by=column column=split")
    _pairs_option(check, "--options", "KEY=VALUE", "options of the task kind, as in an experiment file")
    _pairs_option(check, "--transactions", "KEY=VALUE", "the table is a transaction log: user=…, item=…, text=…, time=…")
    check.add_argument("--validation", metavar="FILE", help="the validation rows, in a file of their own")
    check.add_argument("--test", metavar="FILE", help="the test rows, in a file of their own")
    check.add_argument("--encoding", help="of the files, such as gb18030 or cp1252; default: detected")
    check.add_argument("--sheet", help="of an Excel workbook; default: the first")
    check.add_argument("--dates", choices=["day_first", "month_first"], help="how 03/04/2024 is meant, where no other date says it")
    train = command("train", _train, "Train from an experiment file.", as_json)
    train.add_argument("experiment", metavar="EXPERIMENT.yaml")
    _pairs_option(train, "--set", "PATH=VALUE", "change the experiment, such as tasks.search.weight=2")
    train.add_argument("--estimate", action="store_true", help="say what it will take (steps, rows, time, memory), and do not train")
    train.add_argument("--seeds", metavar="N or A,B", help="one run a seed: how many, from 0, or which (at most five)")
    resume = command("resume", _resume, "Resume a run from its last checkpoint.", as_json)
    resume.add_argument("run", metavar="RUN")
    resume.add_argument("--back", type=int, metavar="STEP", help="from the checkpoint of this step; what came after it is discarded")
    replay = command(
        "replay", _replay, "Train a run again from its recorded events, with everything that was changed while it trained.", as_json
    )
    replay.add_argument("run", metavar="RUN")
    evaluate = command("evaluate", _evaluate, "Evaluate the test split of a run that has not been tested; once.", as_json)
    evaluate.add_argument("run", metavar="RUN")
    evaluate.add_argument(
        "--split", choices=["test"], default="test", help="the split that a training may leave alone (training.test=false)"
    )
    doctor = command("doctor", cli_doctor.doctor, cli_doctor.HELP, as_json)
    doctor.add_argument("--repair", action="store_true", help="mend what the journals allow; nothing that a person made is thrown away")
    command("kinds", cli_show.kinds, "List the task kinds and their fields.", as_json)
    command("strategies", cli_show.strategies, "List how tasks can be balanced, sampled and shared.", as_json)
    cli_tables.options(command("tables", cli_tables.tables, cli_tables.HELP, as_json))
    runs = command("runs", cli_show.runs, "List the runs, newest first; name, note, delete and restore them.", as_json)
    runs.add_argument("--all", action="store_true", help="also those that were only made to compare")
    runs.add_argument("--rename", nargs=2, metavar=("RUN", "NAME"))
    runs.add_argument("--note", nargs=2, metavar=("RUN", "TEXT"), help="an empty text removes the note")
    either = runs.add_mutually_exclusive_group()
    either.add_argument("--delete", metavar="RUN", help="move it to the workspace's trash")
    either.add_argument("--restore", metavar="RUN", help="bring it back from the trash")
    runs.add_argument("--in-use", metavar="RUN", help="the run that Predict opens on; none: no run")
    runs.add_argument("--name-classes", nargs="+", metavar=("RUN", "TASK"), help="RUN TASK CLASS=NAME …: what people call its classes")
    report = command("report", cli_show.report, "Show the metrics and reports of a run.", as_json)
    report.add_argument("run", metavar="RUN")
    report.add_argument("--task", help="this task only")
    report.add_argument("--naive", action="store_true", help="measure the naive baselines of the task kinds on the same validation rows")
    conflicts = command("conflicts", cli_show.conflicts, "Show the gradient conflicts of a run's tasks.", as_json)
    conflicts.add_argument("run", metavar="RUN")
    cli_compare.options(command("compare", cli_compare.compare, cli_compare.HELP, as_json))
    cli_alone.options(command("alone", cli_alone.alone, cli_alone.HELP, as_json))
    cli_efficiency.options(command("efficiency", cli_efficiency.efficiency, cli_efficiency.HELP, as_json))
    gates = command("gates", cli_show.gates, "Show the gate weights of a run's tasks.", as_json)
    gates.add_argument("run", metavar="RUN")
    predict = command("predict", _predict, "Predict for JSON lines on standard input: field or column → value, one row a line.")
    predict.epilog = (
        "A row names fields (see `kinds`) or the columns that the run was trained on, as the lines of its table do; columns of labels are "
        'left out. Columns: {"title": "red shoe", "brand": "Zentrik", "price": 3.5}. Fields: {"text": "red shoe", "categories": '
        '["Zentrik"], "numbers": [3.5]}, where several categories or numbers stand in a list, a value a column in the order of the '
        "experiment file. A number is one of JSON, or a text as in the table: “1.234” is read with the decimal sign that its column had "
        "in training. null is a missing value, an empty line or null in place of a row an error; a category that training did not know is "
        "marked in the answer as unseen, a number outside those that it saw as outside."
    )
    predict.add_argument("run", metavar="RUN")
    predict.add_argument("--task", required=True)
    predict.add_argument("--device", default="auto")
    return parser


def _pairs_option(parser: argparse.ArgumentParser, name: str, metavar: str, text: str) -> None:
    parser.add_argument(name, nargs="+", action="extend", default=[], metavar=metavar, help=text)


def _app(args: argparse.Namespace, workspace: Workspace) -> int:
    """In Streamlit's folder, where it looks for its configuration."""
    call = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(args.port)]
    return subprocess.run(call, cwd=SCREEN, env={**os.environ, "MTL_WORKSPACE": str(workspace.root)}, check=False).returncode


def _check(args: argparse.Namespace, workspace: Workspace) -> int:
    from mtl_core.api.checking import check

    path, *_others = [regular_file(file) for file in (args.file, args.validation, args.test) if file]
    mapping: dict[str, list[str]] = {}
    for field, column in pairs(args.map, "--map"):
        mapping.setdefault(field, []).append(column)
    log = _values(args.transactions, "--transactions") if args.transactions else None
    result = check(path, args.kind, mapping, _values(args.split, "--split"), _values(args.options, "--options"), log,
                   validation=args.validation, test=args.test, encoding=args.encoding, sheet=args.sheet, dates=args.dates)  # fmt: skip
    if result.suggestion:
        print(f"{'Taken' if args.kind else 'Kind'} as suggested: {result.kind}. {result.suggestion.why}", file=sys.stderr)
        if result.suggestion.transactions and not log and not mapping:
            print(f"Transactions as suggested: {result.suggestion.transactions_text}", file=sys.stderr)
        print(f"Split as suggested: {result.suggestion.split_text}", file=sys.stderr)
    if result.suggested and result.columns:
        print("Columns as suggested: " + " ".join(f"{f}={c}" for f, columns in result.columns.items() for c in columns), file=sys.stderr)
    for problem in result.found:
        print(one_line(problem), file=sys.stderr if args.json else sys.stdout)
    if args.json:
        about = {"file": str(path), "kind": result.kind, "rows": result.rows, "columns": result.columns, "usable": result.usable}
        problems = [problem_json(p) for p in result.found]
        learned = {name: one.to_json() for name, one in result.understood.items()}
        print_json({**about, "encoding": result.encoding, "problems": problems, "understood": learned})
    else:
        print(f"{path.name}: {result.rows:,} rows; {'usable' if result.usable else 'not usable as it is'}.")
    return OK if result.usable else FAILED


def _train(args: argparse.Namespace, workspace: Workspace) -> int:
    from mtl_core.api.training import described_by

    path = Path(args.experiment)
    try:
        described, base = described_by(path, workspace, settings=args.set)
    except OSError as error:
        raise CallError(f"{path}: {error.strerror or error}") from error
    try:
        experiments = with_seeds(described, seeds_of(args.seeds)) if args.seeds else [described]
    except ValueError as error:  # what is wrong with the seeds themselves is an ExperimentError
        raise CallError(f"--seeds: should be how many, from 1, or which, with commas between. Found {args.seeds}.") from error
    if args.estimate:
        return cli_show.estimate(described, base, workspace, len(experiments), args.json)
    made = [create_run(experiment, workspace, base) for experiment in experiments]
    return max(_execute(one, workspace, args.json, training(one, workspace, resume=False)) for one in made)


def _resume(args: argparse.Namespace, workspace: Workspace) -> int:
    found = resumable(run(workspace, args.run))
    if again := found.checkpoint("last") is not None:
        check_data(found, workspace)
    if args.back is not None:
        there = places(found.folder)
        if args.back not in there:
            steps = ", ".join(f"{step:,}" for step in sorted(there)) or "none"
            raise CallError(f"--back: the run has no checkpoint of step {args.back:,} to go back to. Its checkpoints: {steps}.")
    return _execute(found, workspace, args.json, training(found, workspace, resume=again), back=args.back)


def _replay(args: argparse.Namespace, workspace: Workspace) -> int:
    from mtl_core.training.replay import compare_replay

    original = run(workspace, args.run)
    created = replay_of(original, workspace)
    code = _execute(created, workspace, False, replaying(created, original, workspace), quiet=args.json)
    if code != OK:
        return code
    found = compare_replay(original.events(), created.events())
    if args.json:
        print_json({"run_id": created.id, "replays": original.id, "equal": found.difference is None, **vars(found)})
    elif found.difference is None:
        print(f"{found.steps:,} steps and {found.evaluations:,} evaluations: every number is that of {original.id}.")
    else:
        print(f"Not the same numbers. First difference: {found.difference}")
    return OK if found.difference is None else FAILED


def _evaluate(args: argparse.Namespace, workspace: Workspace) -> int:
    done, failed = evaluate_test(run(workspace, args.run), workspace, sys.stderr)
    if failed is not None:
        print(f"{failed.message}\n{failed.advice}", file=sys.stderr)
        return FAILED
    if args.json:
        tested = done.tested.isoformat() if done.tested else None
        print_json({"run_id": done.id, "split": args.split, "tested": tested, "tasks": done.result()["tasks"]})
    else:
        cli_show.print_outcome(done, done.result()["tasks"], workspace)
    return OK


def _execute(target: Run, workspace: Workspace, as_json: bool, work: Work, quiet: bool = False, back: int | None = None) -> int:
    done = execute(target, workspace, work, sys.stderr, back)
    result = {"run_id": done.id, "state": done.state.value, "seconds": round(done.seconds or 0.0, 3), "tasks": done.result()["tasks"]}
    result["problems"] = [problem_json(p) for p in done.problems]
    if done.error:
        print(f"{done.error.message}\n{done.error.advice}", file=sys.stderr)
        result["error"] = {"reason": done.error.reason, "message": done.error.message, "task": done.error.task, "step": done.error.step}
    if as_json:
        print_json(result)
    elif not quiet:
        cli_show.print_outcome(done, result["tasks"], workspace)
    return FAILED if done.state is RunState.FAILED or done.refused else OK


def _predict(args: argparse.Namespace, workspace: Workspace) -> int:
    found = load(args.run, workspace)
    found.known(args.task)
    predictor, names = found.predictor(device=args.device), found.class_names(args.task)
    rows: list[tuple[int, dict[str, Any]]] = []  # line number, row

    def answer() -> None:
        try:
            predictions = predictor.predict(args.task, [row for _, row in rows], names) if rows else []
        except InputError as error:
            if error.row is None:
                raise
            number, before = rows[error.row - 1][0], rows[: error.row - 1]
            rows[:] = before
            answer()  # up to the line that is wrong
            raise InputLineError(number, str(error.message)) from error
        for prediction in predictions:
            print_json(prediction)
        rows.clear()

    try:
        blank = 0  # a line between rows without one of its own: each line has its answer
        for number, line in enumerate(sys.stdin.buffer, 1):
            if not line.strip():
                blank = blank or number
                continue
            try:
                if blank:
                    number = blank
                    raise ValueError("empty; every line should be a row, so that each has its answer")
                row = json.loads(line.decode("utf-8-sig"), object_pairs_hook=_once)
                if not isinstance(row, dict):
                    raise ValueError(f"should be an object of field → value. Found {line.decode('utf-8-sig').strip()[:80]}")
            except ValueError as error:
                answer()
                raise InputLineError(number, str(error)) from error
            rows.append((number, rows_of(predictor, args.task, row)[0][0]))
            if len(rows) >= _ROWS_AT_ONCE:
                answer()
        answer()
    except InputLineError as error:
        print(error, file=sys.stderr)
        return FAILED
    return OK


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises ValueError: which of two values is meant is not known."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _value in pairs]
        raise ValueError(f"the key “{next(key for key in keys if keys.count(key) > 1)}” stands twice")
    return found


class InputLineError(Exception):
    def __init__(self, line: int, text: str):
        super().__init__(f"standard input, line {line}: {text}")


def _values(texts: list[str], option: str) -> dict[str, Any]:
    """KEY=VALUE, values read as YAML. Raises CallError."""
    import yaml

    try:
        return {key: yaml.safe_load(value) for key, value in pairs(texts, option)}
    except yaml.YAMLError as error:
        raise CallError(f"{option}: {error}") from error
