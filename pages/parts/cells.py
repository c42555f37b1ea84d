"""Tables of values, in which nothing is called None."""

from typing import Any

import streamlit as st

EMPTY = "–"


def table(rows: Any, empty: str = EMPTY, **options: Any) -> Any:
    """`st.dataframe` without its index; `empty` stands where there is no value: nothing in a person's own table, a dash in ours."""
    return st.dataframe(rows, hide_index=True, placeholder=empty, **options)
