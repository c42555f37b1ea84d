"""Runs that cannot be read: which, why, and the way to mend them."""

from collections.abc import Sequence

import streamlit as st

from mtl_core.base.messages import N_, Translate, plural
from mtl_core.tracking.doctor import mend
from mtl_core.tracking.runs import Damaged
from pages.parts.text import plain


def show(found: Sequence[Damaged], _: Translate) -> None:
    if not found:
        return
    with st.container(border=True, key="damaged_runs"):
        heading = plural(len(found), N_("1 run cannot be read"), N_("{n} runs cannot be read"))
        st.markdown(f":material/healing: **{_(heading).format(n=len(found))}**")
        for one in found:
            st.markdown(f"{plain(one.id)} · {plain(one.why)}")
        st.button(
            _("Mend from the journal"),
            icon=":material/build:",
            key="mend",
            on_click=_mend,
            args=(found,),
            help=_("Writes the state of these runs again from their journals. `python -m mtl_core doctor` examines the whole workspace."),
        )


def _mend(found: Sequence[Damaged]) -> None:
    for one in found:
        mend(one.folder)
