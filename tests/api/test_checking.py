"""`mtl_core.check`: the same as `python -m mtl_core check`, which stands on it."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import mtl_core as mtl
from tests.opens import opens

COLUMNS = {"text": "message", "label": "topic"}


def test_a_good_table_as_frame_arrow_and_file(messages: pd.DataFrame, tmp_path: Path, workspace: mtl.Workspace) -> None:
    messages.to_csv(tmp_path / "messages.csv", index=False)
    for table in (messages, pa.Table.from_pandas(messages), str(tmp_path / "messages.csv"), tmp_path / "messages.csv"):
        result = mtl.check(table, kind="classification", columns=COLUMNS, split={"by": "stratified", "column": "topic"})
        assert result.usable and result.rows == 60 and result.columns == {"text": ["message"], "label": ["topic"]}
        assert result.problems.query("severity == 'error'").empty
    assert not workspace.root.exists(), "nothing is stored"


def test_a_file_is_opened_once(messages: pd.DataFrame, tmp_path: Path) -> None:
    messages.to_csv(tmp_path / "messages.csv", index=False)
    with opens(tmp_path / "messages.csv") as n:
        assert mtl.check(tmp_path / "messages.csv", kind="classification").usable
    assert n == [1]
    with opens(tmp_path / "messages.csv") as n:
        assert mtl.check(tmp_path / "messages.csv").usable, "also where the kind is suggested first"
    assert n == [1]


def test_columns_are_suggested(messages: pd.DataFrame) -> None:
    result = mtl.check(messages, kind="classification")
    assert result.suggested and result.columns["text"] == ["message"]


def test_problems_say_where_why_and_what_to_do(messages: pd.DataFrame, tmp_path: Path) -> None:
    result = mtl.check(messages.assign(topic="one"), kind="classification", columns={**COLUMNS, "label": "nothing"})
    (problem,) = result.problems.query("severity == 'error'").to_dict("records")
    assert not result.usable and problem["column"] == "nothing" and problem["file"] == "table" and problem["remedy"]
    broken = tmp_path / "broken.csv"
    broken.write_text('text,label\n"open,1\n')
    result = mtl.check(broken, kind="classification", columns={"text": "text", "label": "label"})
    assert not result.usable and result.rows == 0 and result.problems.line.notna().any()
    assert mtl.check(tmp_path / "none.csv", kind="search").problems.code.tolist() == ["file_missing"]


def test_a_transaction_log(tmp_path: Path) -> None:
    log = pd.DataFrame([(f"u{u}", f"i{(u + t) % 5}", f"item {(u + t) % 5}", f"2024-01-{t + 1:02d}") for u in range(12) for t in range(5)])
    log.columns = ["who", "what", "title", "when"]
    result = mtl.check(
        log,
        kind="recommendation",
        columns={"user": "user", "history": "history", "item": "item", "label": "label"},
        transactions={"user": "who", "item": "what", "text": "title", "time": "when"},
        split={"by": "group", "column": "user"},
    )
    assert result.rows > 0 and "label" in result.columns, result.problems


def test_a_wrong_call_lists_all_that_is_wrong(messages: pd.DataFrame) -> None:
    with pytest.raises(mtl.ExperimentError) as error:
        mtl.check(messages, kind="classification", columns={"txet": "message"}, split={"validation": 7}, options={"nothing": 1})
    assert {fault.path for fault in error.value.faults} == {"columns.txet", "split.validation", "options.nothing"}
    with pytest.raises(mtl.ExperimentError, match='kind: Found "clasification", expected a known name, such as classification'):
        mtl.check(messages, kind="clasification")


def test_without_a_kind_the_first_suggestion_is_checked() -> None:
    log = pd.read_csv(mtl.SAMPLE_SHOP / "transactions.csv")
    found = mtl.suggest(log)
    assert found[0].kind == "recommendation" and found[0].split.by == "time"
    result = mtl.check(log)
    assert result.suggestion == found[0] and result.usable and result.rows > 2 * len(log), "rows of histories, not of the log"
    asked = mtl.check(log, "recommendation")
    assert (asked.found, asked.columns, asked.rows, asked.suggestion) == (result.found, result.columns, result.rows, result.suggestion)
    with pytest.raises(mtl.ExperimentError, match="a table that suits no kind"):
        mtl.check(pd.DataFrame({"n": [1.5, 2.25, 3.75]}))


def test_columns_without_names_are_named_by_their_place() -> None:
    result = mtl.check(pa.table({"": ["a"] * 9, " ": ["b"] * 9, "text": ["c"] * 9}), "classification")
    assert [(p.code, p.column) for p in result.found] == [("empty_column_name", "1"), ("empty_column_name", "2")]
