"""The same work without a browser: python -m mtl_core COMMAND; `--help` lists them.

Exit codes: 0; 1 for a run that failed or data with errors; 2 for a wrong call. What a program reads goes to standard output, what
a person reads while waiting to standard error. Runs are recorded as the browser's are: it shows them, live.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from mtl_core.base.faults import ExperimentError, pydantic_faults
from mtl_core.base.workspace import Workspace
from mtl_core.cli import alone as cli_alone
from mtl_core.cli import efficiency as cli_efficiency
from mtl_core.cli import show as cli_show
from mtl_core.cli.text import FAILED, OK, WRONG_CALL, CallError, print_json, print_metrics
from mtl_core.jobs import (
    Work,
    evaluable,
    evaluation,
    perform,
    perform_evaluation,
    quiet_libraries,
    replay_of,
    replaying,
    resumable,
    training,
)
from mtl_core.tracking.mlflow_mirror import MlflowMirror
from mtl_core.tracking.runs import Recorder, Run, RunError, RunState, Series, create_run, run
from mtl_core.training.control import Control
from mtl_core.training.events import Evaluated, Event, Failed, Predicted, RowsMade, StepDone

MIRROR_SECONDS = 30.0  # to wait for MLflow at the end; what is late comes with the next start
_ROWS_AT_ONCE = 256


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code; argparse itself exits with 2."""
    args = _parser().parse_args(arguments)
    workspace = Workspace(Path(args.workspace).resolve()) if args.workspace else Workspace.default()
    try:
        return int(args.command(args, workspace))
    except (CallError, RunError, ExperimentError) as error:
        print(error, file=sys.stderr)
        return WRONG_CALL
    except KeyboardInterrupt:
        print("Stopped at once.", file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # `… | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


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

    check = command("check", _check, "Say what is wrong with a table for a task kind.", as_json)
    check.add_argument("file", metavar="FILE")
    check.add_argument("--kind", required=True, help="see `kinds`")
    _pairs_option(check, "--map", "FIELD=COLUMN", "repeat a field for several columns; default: as suggested")
    _pairs_option(check, "--split", "KEY=VALUE", "as in an experiment file, such as by=column column=split")
    _pairs_option(check, "--options", "KEY=VALUE", "options of the task kind, as in an experiment file")
    _pairs_option(check, "--transactions", "KEY=VALUE", "the table is a transaction log: user=…, item=…, text=…, time=…")
    train = command("train", _train, "Train as an experiment file says.", as_json)
    train.add_argument("experiment", metavar="EXPERIMENT.yaml")
    _pairs_option(train, "--set", "PATH=VALUE", "change the experiment, such as tasks.search.weight=2")
    resume = command("resume", _resume, "Go on with a run from its last checkpoint.", as_json)
    resume.add_argument("run", metavar="RUN")
    replay = command("replay", _replay, "Train a run again as its events say, with all that was changed on the way.", as_json)
    replay.add_argument("run", metavar="RUN")
    evaluate = command("evaluate", _evaluate, "Evaluate the test split of a run that ended without, once.", as_json)
    evaluate.add_argument("run", metavar="RUN")
    evaluate.add_argument("--split", choices=["test"], default="test", help="the one that trainings may leave alone (training.test)")
    command("kinds", cli_show.kinds, "List the task kinds and their fields.", as_json)
    command("strategies", cli_show.strategies, "List how tasks can be balanced, sampled and shared.", as_json)
    command("runs", cli_show.runs, "List the runs, newest first.", as_json)
    report = command("report", cli_show.report, "Show the metrics and reports of a run.", as_json)
    report.add_argument("run", metavar="RUN")
    report.add_argument("--task", help="this task only")
    conflicts = command("conflicts", cli_show.conflicts, "Show how the gradients of a run's tasks agree.", as_json)
    conflicts.add_argument("run", metavar="RUN")
    cli_alone.options(command("alone", cli_alone.alone, cli_alone.HELP, as_json))
    cli_efficiency.options(command("efficiency", cli_efficiency.efficiency, cli_efficiency.HELP, as_json))
    gates = command("gates", cli_show.gates, "Show which experts a run's tasks listen to.", as_json)
    gates.add_argument("run", metavar="RUN")
    predict = command("predict", _predict, "Predict for JSON lines on standard input: field → value, one row a line.")
    predict.add_argument("run", metavar="RUN")
    predict.add_argument("--task", required=True)
    predict.add_argument("--device", default="auto")
    return parser


def _pairs_option(parser: argparse.ArgumentParser, name: str, metavar: str, text: str) -> None:
    parser.add_argument(name, nargs="+", action="extend", default=[], metavar=metavar, help=text)


def _check(args: argparse.Namespace, workspace: Workspace) -> int:
    from mtl_core.config.tables import map_fields
    from mtl_core.data.mapping import suggest
    from mtl_core.data.problems import DataError, Severity, has_errors
    from mtl_core.data.read import read_table
    from mtl_core.data.split import SplitConfig
    from mtl_core.data.store import divide
    from mtl_core.data.transactions import TransactionConfig
    from mtl_core.tasks import KINDS

    if args.kind not in KINDS:
        raise CallError(f"--kind: should be one of {', '.join(KINDS)}. Found {args.kind}.")
    kind, path = KINDS[args.kind], Path(args.file)
    fields = {f.name: f for f in kind.fields}
    mapping: dict[str, list[str]] = {}
    for field, column in _pairs(args.map, "--map"):
        if field not in fields:
            raise CallError(f"--map: {kind.name} has the fields {', '.join(fields)}. Found {field}.")
        mapping.setdefault(field, []).append(column)
    options = _typed(kind.Options, args.options, "--options")
    split_options = _typed(SplitConfig, args.split, "--split")
    transactions = _typed(TransactionConfig, args.transactions, "--transactions") if args.transactions else None
    if not path.is_file():
        raise CallError(f"There is no file {path}.")
    rows = 0
    try:
        read = read_table(path)
        table, split, more = divide(read.table, split_options, transactions, path.name)
        problems = [*read.problems, *more]
        if not mapping:
            mapping = {name: found.columns for name, found in suggest(table.slice(0, 1000), kind.fields).items() if found.columns}
            print("Columns as suggested: " + " ".join(f"{f}={c}" for f, columns in mapping.items() for c in columns), file=sys.stderr)
        rows = table.num_rows
        problems += map_fields(kind, table, split, mapping, options, path.name).problems
    except DataError as error:
        problems = error.problems
    problems.sort(key=lambda p: list(Severity).index(p.severity))
    for problem in problems:
        print(f"{problem.severity}: {' '.join(str(problem).split())}", file=sys.stderr if args.json else sys.stdout)
    failed = has_errors(problems)
    if args.json:
        found = [{**vars(p), "why": str(p.why), "remedy": str(p.remedy)} for p in problems]
        print_json({"file": str(path), "kind": kind.name, "rows": rows, "columns": mapping, "usable": not failed, "problems": found})
    else:
        print(f"{path.name}: {rows:,} rows; {'not usable as it is' if failed else 'usable'}.")
    return FAILED if failed else OK


def _train(args: argparse.Namespace, workspace: Workspace) -> int:
    from mtl_core.config.experiment import load_experiment

    path = Path(args.experiment)
    try:
        experiment = load_experiment(path, args.set)
    except OSError as error:
        raise CallError(f"{path}: {error.strerror or error}") from error
    created = create_run(experiment.to_yaml(), workspace, path.resolve().parent)
    return _execute(created, workspace, args.json, training(created, workspace, resume=False))


def _resume(args: argparse.Namespace, workspace: Workspace) -> int:
    found = resumable(run(workspace, args.run))
    return _execute(found, workspace, args.json, training(found, workspace, resume=found.checkpoint("last") is not None))


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
    found = evaluable(run(workspace, args.run))
    quiet_libraries()
    recorder = Recorder(found.folder)
    progress = Progress(recorder, sys.stderr, {name: task["kind"] for name, task in found.experiment.get("tasks", {}).items()})
    mirror = MlflowMirror(workspace, only=found.id).start()
    try:
        failed = perform_evaluation(recorder, evaluation(found, workspace), Control(), progress)
    finally:
        recorder.close()
    _flush(mirror, progress)
    if failed is not None:
        print(f"{failed.message}\n{failed.advice}", file=sys.stderr)
        return FAILED
    done = found.refreshed()
    tested = done.tested.isoformat() if done.tested else None
    if args.json:
        print_json({"run_id": done.id, "split": args.split, "tested": tested, "tasks": done.result()["tasks"]})
    else:
        print_metrics(done.result()["tasks"])
    return OK


def _flush(mirror: MlflowMirror, progress: "Progress") -> None:
    if not mirror.flush(MIRROR_SECONDS):
        progress.line(f"MLflow does not have all of it yet ({mirror.error or 'slow'}); the next start of the workbench goes on.")
    mirror.stop(timeout=1)


def _execute(target: Run, workspace: Workspace, as_json: bool, work: Work, quiet: bool = False) -> int:
    """Trains in the foreground. The first Ctrl-C (or SIGTERM) ends after the step with a checkpoint, the second at once."""
    control, recorder = Control(), Recorder(target.folder)
    progress = Progress(recorder, sys.stderr, {name: task["kind"] for name, task in target.experiment.get("tasks", {}).items()})

    def stop(number: int, frame: FrameType | None) -> None:
        if control.stopping:
            raise KeyboardInterrupt
        progress.line("Stopping after this step, with a checkpoint. Once more stops at once.")
        control.stop()

    steers = threading.current_thread() is threading.main_thread()
    before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)} if steers else {}
    progress.line(f"Run {target.id}: {target.name}")
    mirror = MlflowMirror(workspace, only=target.id).start()
    try:
        state = perform(recorder, work, control, progress)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        recorder.close()
    progress.line(f"{state}.")
    _flush(mirror, progress)
    done = target.refreshed()
    result = {"run_id": done.id, "state": state.value, "seconds": round(done.seconds or 0.0, 3), "tasks": done.result()["tasks"]}
    if done.error:
        print(f"{done.error.message}\n{done.error.advice}", file=sys.stderr)
        result["error"] = {"reason": done.error.reason, "message": done.error.message, "task": done.error.task, "step": done.error.step}
    if as_json:
        print_json(result)
    elif not quiet:
        print_metrics(result["tasks"])
    return FAILED if state is RunState.FAILED else OK


class Progress:
    """A bar on a terminal; elsewhere a line an evaluation, with the main metric of each task. kinds: task → its kind."""

    def __init__(self, recorder: Recorder, stream: TextIO, kinds: Mapping[str, str]):
        self.recorder = recorder
        self.stream = stream
        self.kinds = kinds
        self.terminal = stream.isatty()
        self._drawn = 0.0
        self._width = 0

    def __call__(self, event: Event) -> None:
        series = self.recorder.series
        if isinstance(event, Evaluated):
            from mtl_core.tasks import KINDS

            main = {task: KINDS[self.kinds[task]].primary for task in event.metrics}
            metrics = [f"{task} {main[task]} {v[main[task]]:.4f}" for task, v in event.metrics.items() if main[task] in v]
            self.line(f"step {event.step}, {event.split}: {', '.join(metrics)}{'  (best)' if event.is_best else ''}")
        elif isinstance(event, RowsMade):
            self.line(f"step {event.step}, rows {event.how}: {', '.join(f'{task} {n}' for task, n in event.rows.items())}")
        elif isinstance(event, Predicted) and not event.evaluated:
            self.line(f"predictions of {sum(event.rows.values()):,} rows that were not evaluated ({event.split}): {event.seconds:.1f} s")
        elif isinstance(event, Failed):
            self.line(f"step {event.step}: failed")
        elif isinstance(event, StepDone) and self.terminal and time.monotonic() - self._drawn > 0.1:
            self._drawn = time.monotonic()
            self._draw(progress_text(series, event))

    def line(self, text: str) -> None:
        self._draw("")
        print(text, file=self.stream, flush=True)

    def _draw(self, text: str) -> None:
        if self.terminal:
            self.stream.write("\r" + text.ljust(self._width) + ("" if text else "\r"))
            self.stream.flush()
            self._width = len(text)


def progress_text(series: Series, event: StepDone, width: int = 20) -> str:
    """`[#####     ] 25/100  0:42 left  1,200 tokens/s  search 0.312  ads 0.410`."""
    done = round(width * (series.progress or 0.0))
    parts = [f"[{'#' * done}{' ' * (width - done)}] {event.step}/{series.n_steps or '?'}"]
    if (left := series.seconds_left) is not None:
        minutes, seconds = divmod(round(left), 60)
        parts.append(f"{minutes // 60}:{minutes % 60:02}:{seconds:02} left" if minutes >= 60 else f"{minutes}:{seconds:02} left")
    if event.seconds > 0:
        parts.append(f"{event.tokens / event.seconds:,.0f} tokens/s")
    return "  ".join([*parts, *(f"{task} {loss:.3f}" for task, loss in event.losses.items())])


def _predict(args: argparse.Namespace, workspace: Workspace) -> int:
    found = run(workspace, args.run)
    tasks = found.experiment.get("tasks") or {}
    if args.task not in tasks:
        raise CallError(f"--task: should be one of {', '.join(tasks)}. Found {args.task}.")
    checkpoint = found.checkpoint("best") or found.checkpoint("last")
    if checkpoint is None:
        raise CallError(f"The run {found.id} has no checkpoint yet.")
    from mtl_core.inference.predictor import InputError, Predictor

    quiet_libraries()
    predictor = Predictor(checkpoint, device=args.device)
    rows: list[tuple[int, dict[str, Any]]] = []  # line number, row

    def answer() -> None:
        try:
            predictions = predictor.predict(args.task, [row for _, row in rows]) if rows else []
        except InputError:
            for number, row in rows:  # one by one, up to the line that is wrong
                try:
                    print_json(predictor.predict(args.task, [row])[0])
                except InputError as error:
                    raise InputLineError(number, str(error)) from error
        else:
            for prediction in predictions:
                print_json(prediction)
        rows.clear()

    try:
        for number, line in enumerate(sys.stdin.buffer, 1):
            try:
                row = json.loads(line.decode("utf-8-sig")) if line.strip() else None
                if row is not None and not isinstance(row, dict):
                    raise ValueError("not an object of field → value")
            except ValueError as error:
                answer()
                raise InputLineError(number, str(error)) from error
            if row is not None:
                rows.append((number, row))
            if len(rows) >= _ROWS_AT_ONCE:
                answer()
        answer()
    except InputLineError as error:
        print(error, file=sys.stderr)
        return FAILED
    return OK


class InputLineError(Exception):
    def __init__(self, line: int, text: str):
        super().__init__(f"standard input, line {line}: {text}")


def _pairs(texts: Iterable[str], option: str) -> list[tuple[str, str]]:
    """KEY=VALUE. Raises CallError: no `=`, or nothing before or after it."""
    pairs = [(key.strip(), value.strip()) for key, _, value in (text.partition("=") for text in texts)]
    if wrong := [text for text, (key, value) in zip(texts, pairs, strict=True) if not key or not value]:
        raise CallError(f"{option}: should be KEY=VALUE. Found {', '.join(wrong)}.")
    return pairs


def _typed(model: Any, texts: list[str], option: str) -> Any:
    """An options model from KEY=VALUE, values read as YAML. Raises CallError: all that does not fit."""
    import yaml
    from pydantic import ValidationError

    try:
        return model.model_validate({key: yaml.safe_load(value) for key, value in _pairs(texts, option)})
    except yaml.YAMLError as error:
        raise CallError(f"{option}: {error}") from error
    except ValidationError as error:
        faults = pydantic_faults(error, lambda path: model.model_fields, {})
        raise CallError("\n".join(f"{option}: {fault}" for fault in faults)) from error
