"""Tables of values, in which nothing is called None."""

from typing import Any

import streamlit as st

from mtl_core.data.export import safe_cells

EMPTY = "–"


def table(rows: Any, empty: str = EMPTY, **options: Any) -> Any:
    """`st.dataframe` without its index; `empty` stands where there is no value: nothing in a person's own table, a dash in ours.

    The person can save it as CSV, so a formula in a cell is text (`safe_cells`)."""
    return st.dataframe(safe_cells(rows), hide_index=True, placeholder=empty, **options)
