import io

import pandas as pd
import pyarrow as pa
import pytest

from mtl_core.data.export import safe_cells, safe_for_spreadsheet, safe_text, to_csv

FORMULAS = ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", " =1", "＝1", '=HYPERLINK("http://x","y")']
HARMLESS = ["red", "a=b", "-1", "+2.5", "-3e5", "1,000", "-10%", "", "3-4", None, 5]


@pytest.mark.parametrize("value", FORMULAS)
def test_formulas_are_marked_as_text(value: str) -> None:
    assert safe_text(value) == "'" + value


@pytest.mark.parametrize("value", HARMLESS)
def test_the_rest_stays(value: object) -> None:
    assert safe_text(value) == value


def test_arrow_tables() -> None:
    table = pa.table(
        {
            "=name": FORMULAS,
            "n": range(len(FORMULAS)),
            "d": pa.array(FORMULAS).dictionary_encode(),
            "l": [["=1", "b"]] * len(FORMULAS),
        }
    )
    safe = safe_for_spreadsheet(table)
    assert safe.column_names == ["'=name", "n", "d", "l"]
    assert safe.column(0).to_pylist() == safe.column("d").to_pylist() == ["'" + f for f in FORMULAS]
    assert safe.column("n").to_pylist() == list(range(len(FORMULAS)))
    assert safe.column("l")[0].as_py() == "'=1 b"
    assert table.column("=name").to_pylist() == FORMULAS


def test_pandas_frames() -> None:
    frame = pd.DataFrame({"=a": FORMULAS, "n": -1.5}, index=[f"=i{n}" for n in range(len(FORMULAS))])
    safe = safe_for_spreadsheet(frame)
    assert safe["'=a"].tolist() == ["'" + f for f in FORMULAS]
    assert safe["n"].tolist() == [-1.5] * len(FORMULAS)
    assert safe.index[0] == "'=i0"
    assert frame["=a"].tolist() == FORMULAS


def test_csv_is_read_by_spreadsheets_and_by_pandas() -> None:
    data = to_csv(pa.table({"text": ['红,"x"\n', "=1"], "n": [1, None], "h": [["a", "b"], None]}))
    assert data.startswith(b"\xef\xbb\xbf")
    assert pd.read_csv(io.BytesIO(data), encoding="utf-8-sig")["text"].tolist() == ['红,"x"\n', "'=1"]


@pytest.mark.parametrize("value", ["+0.0123 ± 0.0040", "-1.2% ± 0.3%", "+0.0123  [+0.0040, -0.0200]", "-3 ", "-0.0123 (worse)"])
def test_a_number_with_its_interval_stays(value: str) -> None:
    assert safe_text(value) == value


@pytest.mark.parametrize("value", ["-2 ± cmd|' /C calc'!A0", "+1 [=1, 2]", "-1+1 ± 2"])
def test_what_only_begins_like_one_does_not(value: str) -> None:
    assert safe_text(value) == "'" + value


def test_cells_of_whatever_a_page_shows() -> None:
    values, safe = ["=1", "a", None, 2], ["'=1", "a", None, 2]
    assert safe_cells({"@a": values, "n": [1, 2]}) == {"'@a": safe, "n": [1, 2]}
    assert safe_cells([{"a": "=1", "b": ["+x", 1]}]) == [{"a": "'=1", "b": ["'+x", 1]}]
    arrow = safe_cells(pa.table({"a": ["=1", "b"], "l": [["=1", "b"], None], "n": [[1], [2]]}))
    assert arrow.to_pydict() == {"a": ["'=1", "b"], "l": [["'=1", "b"], None], "n": [[1], [2]]}
    frame = pd.DataFrame({"@a": ["=1", "b"], "n": [1.0, -2.0]})
    assert safe_cells(frame).to_dict("list") == {"'@a": ["'=1", "b"], "n": [1.0, -2.0]}
    styled = safe_cells(frame.style.set_properties(subset=(0, "n"), color="red"))
    assert "&#x27;=1" in styled.to_html() or "'=1" in styled.to_html()
    assert "color: red" in styled.to_html()
