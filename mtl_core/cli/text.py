"""What the commands print, and how they end."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mtl_core.api.runs import panel_rows
from mtl_core.data.problems import Problem
from mtl_core.tracking.status import PARTS

OK, FAILED, WRONG_CALL = 0, 1, 2
"""Exit codes."""


class CallError(Exception):
    """A call that cannot be served as it stands."""


def pairs(texts: Iterable[str], option: str) -> list[tuple[str, str]]:
    """KEY=VALUE. Raises CallError: no `=`, or nothing before or after it."""
    found = [(key.strip(), value.strip()) for key, _, value in (text.partition("=") for text in texts)]
    if wrong := [text for text, (key, value) in zip(texts, found, strict=True) if not key or not value]:
        raise CallError(f"{option}: should be KEY=VALUE. Found {', '.join(wrong)}.")
    return found


def regular_file(name: str) -> Path:
    """Raises CallError: there is none of that name."""
    path = Path(name)
    if not path.is_file():
        raise CallError(f"{path} is not a regular file." if path.exists() else f"There is no file {path}.")
    return path


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, default=str), flush=True)


def problem_json(problem: Problem) -> dict[str, Any]:
    return {**vars(problem), "why": str(problem.why), "remedy": str(problem.remedy)}


def print_metrics(tasks: dict[str, dict[str, dict[str, float]]]) -> None:
    parts = ["before", "best", "test", *(["peak"] if any("peak" in values for values in tasks.values()) else [])]
    rows = []
    for task, values in tasks.items():
        for metric in dict.fromkeys(m for part in parts for m in values.get(part, {})):
            numbers = [values.get(part, {}).get(metric) for part in parts]
            rows.append([task, metric, *("" if n is None else f"{n:.4f}" for n in numbers)])
    print_table(["task", "metric", *(PARTS[part] for part in parts)], rows)


def print_panel(data: dict[str, Any]) -> None:
    print_table(*panel_rows(data))


def print_table(columns: Sequence[Any], rows: Sequence[Sequence[Any]]) -> None:
    """Columns as wide as their widest cell; numbers to the right."""
    cells = [[f"{c:.4f}" if isinstance(c, float) else "" if c is None else str(c) for c in row] for row in [columns, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    right = [bool(rows) and all(_is_number(row[i]) for row in cells[1:]) for i in range(len(columns))]
    for row in cells:
        print("  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)).rstrip())


def _is_number(text: str) -> bool:
    return not text or text.replace(".", "", 1).replace("-", "", 1).replace(",", "").isdigit()


def whole_seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.0f}"
