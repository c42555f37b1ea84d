from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_core.data.split import SplitConfig, split_rows
from mtl_core.data.values import as_times

NOON = datetime(2024, 5, 31, 12, 0)


@pytest.mark.parametrize(
    "text",
    ["2024-05-31 12:00:00", "2024-05-31T12:00:00Z", "2024-05-31 12:00:00+00", "2024-05-31T21:00:00.000+09:00", "2024-05-31 17:30:00+0530",
     "2024-05-31 08:00:00.250000-04", "2024-05-31 12:00:00 UTC", "2024/5/31 12:00", "2024.05.31 12:00:00", "2024年5月31日 12:00",
     "2024年05月31日 12时00分00秒", "31.05.2024 12:00", "31.5.2024, 12:00:00", "31-05-2024 12:00", "31/05/2024 12:00", "5/31/2024 12:00 PM",
     "05/31/2024 12:00:00 pm", "05/31/2024 12:00 p.m.", "5/31/2024T12:00"],
)  # fmt: skip
def test_one_moment_in_many_spellings(text: str) -> None:
    found = as_times(pa.array([text, None, ""]))
    moment = found.values[0].as_py()
    assert moment.replace(microsecond=0) == NOON and moment.microsecond == (250_000 if ".25" in text else 0)
    assert found.values.to_pylist()[1:] == [None, None] and not found.wrong.any() and found.remarks == []


@pytest.mark.parametrize(
    "text",
    ["soon", "2024-02-30 10:00", "2024-13-01", "31/04/2024", "2024-05-31 25:00", "2024-05-31 13:00 PM", "12:00", "2024-W22", "31.05.24",
     "5/31/2024 12:00:00+9", "2024-05-31 12:60"],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    found = as_times(pa.array(["2024-05-31T12:00", text]))
    assert (found.values.to_pylist(), found.wrong.tolist()) == ([NOON, None], [False, True])


@pytest.mark.parametrize("clock", ["", " 10:00:00"])
@pytest.mark.parametrize("day", ["2024-02-30", "2023-02-29", "2024-04-31"])
def test_a_day_that_does_not_exist_is_no_other_day(day: str, clock: str) -> None:
    """Also where all values of a column are written in the usual way, which is read at once."""
    found = as_times(pa.array([f"2024-02-29{clock}", None, f"{day}{clock}"]))
    hour = 10 if clock else 0
    assert (found.values.to_pylist(), found.wrong.tolist()) == ([datetime(2024, 2, 29, hour), None, None], [False, False, True])


@given(st.lists(st.datetimes(datetime(1000, 1, 1), datetime(9999, 1, 1)), min_size=1), st.booleans())
def test_plain_times_are_read_as_python_does(moments: list[datetime], with_clock: bool) -> None:
    form = "%Y-%m-%d %H:%M:%S" if with_clock else "%Y-%m-%d"
    found = as_times(pa.array([m.strftime(form) for m in moments]))
    assert found.values.to_pylist() == [datetime.strptime(m.strftime(form), form) for m in moments] and not found.wrong.any()


def test_twelve_oclock() -> None:
    found = as_times(pa.array(["1/13/2024 12:30 AM", "1/13/2024 1:30 AM", "1/13/2024 12:30 PM", "1/13/2024 11:30 PM"]))
    assert [t.hour for t in found.values.to_pylist()] == [0, 1, 12, 23]


@given(
    st.lists(st.tuples(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)), st.integers(-14 * 60, 14 * 60)), min_size=1, max_size=20)
)
def test_offsets_are_brought_to_utc_as_python_does(moments: list[tuple[datetime, int]]) -> None:
    zones = [f"{'-' if o < 0 else '+'}{abs(o) // 60:02}:{abs(o) % 60:02}" for _, o in moments]
    texts = [moment.isoformat(sep=" ", timespec="microseconds") + zone for (moment, _), zone in zip(moments, zones, strict=True)]
    wanted = [datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None) for text in texts]
    found = as_times(pa.chunked_array([pa.array(texts)]))
    assert found.values.to_pylist() == wanted and found.remarks == []


DAYS = [datetime(2024, 1, 1) + timedelta(days=i) for i in range(60)]


@pytest.mark.parametrize(("form", "sign"), [("%d/%m/%Y", "/"), ("%m/%d/%Y", "/"), ("%d-%m-%Y", "-"), ("%m-%d-%Y", "-"), ("%d.%m.%Y", ".")])
def test_one_date_above_twelve_says_the_order_of_all(form: str, sign: str) -> None:
    found = as_times(pa.array([day.strftime(form) for day in DAYS]))
    assert found.values.to_pylist() == DAYS and found.remarks == []


@pytest.mark.parametrize(("sign", "day_first"), [("/", False), ("-", True)])
def test_where_nothing_says_the_order_it_is_asked_for(sign: str, day_first: bool) -> None:
    column = pa.array([sign.join(("01", "01", "2024")), sign.join(("02", "03", "2024")), sign.join(("04", "05", "2024"))])
    assert {c: as_times(column, c).remarks for c in ("day_first", "month_first")} == {"day_first": [], "month_first": []}
    assert as_times(column, "day_first").values[1].as_py() == datetime(2024, 3, 2)
    assert as_times(column, "month_first").values[1].as_py() == datetime(2024, 2, 3)
    found = as_times(column)
    ((code, severity, rows, why, remedy),) = found.remarks
    assert (code, severity, rows.tolist()) == ("ambiguous_dates", "warning", [False, True, True])
    assert found.values.equals(as_times(column, "day_first" if day_first else "month_first").values)
    assert ("day first." if day_first else "month first.") in str(why) and "month_first" in str(remedy)


def test_a_choice_that_does_not_fit_leaves_times_unread() -> None:
    assert as_times(pa.array(["31/01/2024", "01/02/2024"]), "month_first").wrong.tolist() == [True, False]


def test_dates_of_both_orders_in_one_column() -> None:
    found = as_times(pa.array(["31/01/2024", "01/31/2024", "01/02/2024"]))
    assert found.values.to_pylist()[:2] == [datetime(2024, 1, 31)] * 2
    assert [(code, rows.tolist()) for code, _, rows, _, _ in found.remarks] == [("ambiguous_dates", [False, False, True])]


def test_times_with_and_without_an_offset() -> None:
    found = as_times(pa.array(["2024-05-31 12:00:00", "2024-05-31 12:00:00+02:00"]))
    assert [(code, rows.tolist()) for code, _, rows, _, _ in found.remarks] == [("times_without_offset", [True, False])]
    assert np.diff(found.values.cast(pa.int64()).to_numpy()).tolist() == [-7_200_000_000]


def test_numbers_that_grow_with_time() -> None:
    assert as_times(pa.array(["1717156800", "1717156801"])).values.to_pylist() == [1717156800, 1717156801]
    assert as_times(pa.array(["20240531", "20240601"])).values.to_pylist() == [datetime(2024, 5, 31), datetime(2024, 6, 1)]
    assert as_times(pa.array(["20240531", "20249901"])).values.to_pylist() == [20240531, 20249901]


def test_a_split_by_time_reads_as_a_log_does() -> None:
    table = pa.table({"when": ["03/01/2024", "04/01/2024", "01/05/2024"], "_line": [2, 3, 4]})
    split, problems = split_rows(table, SplitConfig(by="time", column="when", test=0.3, validation=0), "a.csv", "month_first")
    assert split.tolist() == ["train", "test", "train"] and problems == []
    split, problems = split_rows(table, SplitConfig(by="time", column="when", test=0.3, validation=0), "a.csv", "day_first")
    assert split.tolist() == ["train", "train", "test"] and problems == []
    _, (problem,) = split_rows(table, SplitConfig(by="time", column="when", test=0.3, validation=0), "a.csv")
    assert (problem.code, problem.line, problem.column, problem.count) == ("ambiguous_dates", 2, "when", 3)


SECONDS = [1_700_000_000 + 1000 * i for i in range(20)]


@pytest.mark.parametrize(
    ("other", "called"),
    [([s * 1000 for s in SECONDS[:4]], "milliseconds"), ([20240101, 20240102], "days"), ([s * 10**9 for s in SECONDS[:3]], "nanoseconds")],
)
def test_numbers_in_two_units_are_said(other: list[int], called: str) -> None:
    mixed = pa.table({"t": SECONDS + other, "_line": range(2, len(SECONDS + other) + 2)})
    for table in (mixed, mixed.set_column(0, "t", mixed["t"].cast(pa.string()))):
        (problem,) = split_rows(table, SplitConfig(by="time", column="t"))[1]
        assert (problem.code, problem.line, problem.count) == ("mixed_time_units", 22, len(other)) and called in str(problem.why)


@pytest.mark.parametrize("numbers", [SECONDS, [20240101, 20240215, 20251231], list(range(1, 10**10, 10**8)), [0, *SECONDS], [1e9, None]])
def test_numbers_of_one_unit_or_none_need_no_word(numbers: list[float]) -> None:
    assert as_times(pa.array(numbers, pa.float64())).remarks == []


def test_rows_are_counted_where_a_moment_comes_again() -> None:
    column = pa.chunked_array([["03/04/2024", "05/04/2024", None], ["03/04/2024", "soon", "03/04/2024", "soon"]])
    found = as_times(column)
    assert found.wrong.tolist() == [False, False, False, False, True, False, True] and found.values.null_count == 3
    ((code, _, rows, why, _),) = found.remarks
    assert (code, rows.sum(), why.values["count"]) == ("ambiguous_dates", 4, 4)
