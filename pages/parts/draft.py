"""The tasks that were put together so far: what is in them, remove one, go on to training."""

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.config import drafts
from mtl_core.tasks import KINDS
from pages.parts.frame import page, workspace
from pages.parts.text import plain


def show(_: Translate) -> None:
    draft = drafts.load(workspace())
    st.subheader(_("Your tasks"), anchor=False)
    if not draft.tasks:
        st.caption(_("None yet. Tasks that you add are listed here and trained together on the page Train."))
        return
    for name, task in draft.tasks.items():
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            with st.container(gap="xxsmall"):
                st.markdown(f"**{plain(name)}**")
                columns = [f"{field}: {c if isinstance(c, str) else ', '.join(c)}" for field, c in task.get("columns", {}).items()]
                kind = KINDS.get(str(task.get("kind")))
                st.caption(plain(" · ".join([_(kind.label) if kind else str(task.get("kind")), str(task["data"]), *columns])))
            st.button(
                _("Remove"),
                key=f"remove_{name}",
                icon=":material/delete:",
                type="tertiary",
                on_click=_remove,
                args=(name,),
            )
    st.page_link(page("train"), label=_("Train these tasks"), icon=":material/model_training:", query_params={"from": "draft"})


def _remove(name: str) -> None:
    drafts.remove_task(workspace(), name)
