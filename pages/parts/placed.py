"""What keeps its place from the first moment on. Until the browser has loaded the script that draws a kind of element, it shows 40
pixels for it, of the width that was given, else of none: what stands beside and below would move.
"""

from pathlib import Path
from typing import Any, Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

LINE = 40
"""Pixels of a row of buttons, and of what is not loaded yet."""


def labelled(label: str, width: int | Literal["stretch", "content"], help: str | None = None) -> DeltaGenerator:  # noqa: A002 - as Streamlit calls it
    """A place for one widget, whose own label is collapsed: `label` is text above it, which is there at once. width: as Streamlit's."""
    place = st.container(width=width, gap="xxsmall")
    place.markdown(f":small[{label}]", help=help)
    return place


def link(to: Path, label: str, icon: str, query_params: dict[str, Any], width: int = 112) -> None:
    """A link in a row of buttons."""
    with st.container(width=width, height=LINE, border=False, vertical_alignment="center"):
        st.page_link(to, label=label, icon=icon, query_params=query_params)
