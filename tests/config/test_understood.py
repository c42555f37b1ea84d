"""What a check shows of the values that a task reads."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from mtl_core.api.checking import check
from mtl_core.cli.main import main
from mtl_core.config.tables import map_fields
from mtl_core.config.understood import LONGEST, MOST, Understood, understood
from mtl_core.tasks import KINDS


def of(kind: str, table: dict, columns: dict | None = None) -> dict[str, Understood]:
    columns = columns or {name: name for name in table}
    n = len(next(iter(table.values())))
    mapped = map_fields(KINDS[kind], pa.table(table), np.array(["train"] * n), columns, KINDS[kind].Options(), "table")
    return understood(mapped, columns, KINDS[kind].Options())


def test_values_by_frequency_and_the_first_rows() -> None:
    found = of("classification", {"text": ["a", "b", "c", "d", "x" * 1000], "label": ["late", "late", None, "broken", "late"]})
    assert found["label"] == Understood(2, 1, ["late", "broken"], ["late", "late", None])
    assert found["text"].distinct == 5
    assert found["text"].values[-1] == "x" * (LONGEST - 1) + "…"
    assert len(of("classification", {"text": list("ab"), "label": ["1", "2"]})["text"].values) == 2
    assert len(of("classification", {"text": list(map(str, range(99))), "label": ["1"] * 99})["text"].values) == MOST


def test_things_of_a_list_count_one_by_one() -> None:
    found = of("multilabel", {"text": list("abc"), "label": [["late", "size"], ["late"], []]})
    assert found["label"] == Understood(2, 0, ["late", "size"], [["late", "size"], ["late"], []])


def test_columns_side_by_side_are_shown_one_by_one() -> None:
    table = {"site": ["a", "a", "b"], "day": ["1", "2", "2"], "price": ["1,5", "2,25", "3,0"], "label": ["1", "0", "1"]}
    found = of("click_through", table, {"categories": ["site", "day"], "numbers": "price", "label": "label"})
    assert found["categories.site"].values == ["a", "b"]
    assert found["categories.day"].values == ["2", "1"]
    assert found["numbers"].examples == [1.5, 2.25, 3]


def test_spans_are_shown_with_their_text() -> None:
    found = of("extraction", {"text": ["red hat", "blue hat"], "label": ['{"colour": "red"}', None]})
    assert found["label"] == Understood(1, 1, ["colour: red"], [["colour: red"], None])


def test_json_of_the_command_line_and_of_python(tmp_path: Path, capsys) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,label\n" + "".join(f"text {i},{'late' if i % 3 else 'size'}\n" for i in range(60)), encoding="utf-8")
    assert main(["check", str(path), "--kind", "classification", "--map", "text=text", "label=label", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["rows"], found["usable"], found["encoding"]) == (60, True, "utf-8")
    assert found["understood"]["label"] == {"distinct": 2, "missing": 0, "values": ["late", "size"], "examples": ["size", "late", "late"]}
    assert check(path, "classification").understood["label"].to_json() == found["understood"]["label"]


def test_an_unusable_table_shows_what_can_be_read() -> None:
    assert of("matching", {"first": ["a"], "label": ["maybe"]})["label"].values == ["maybe"]
    assert check("no_such_file.csv", "matching").understood == {}


def test_times_say_whether_offsets_were_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,label,at\n" + "".join(f"text {i},{i % 2},2024-05-{i + 1:02} 10:00:00Z\n" for i in range(20)), encoding="utf-8")
    found = check(path, "classification", {"text": "text", "label": "label"}, split={"by": "time", "column": "at"}).understood
    assert found["time"].utc
    assert found["time"].distinct == 20
