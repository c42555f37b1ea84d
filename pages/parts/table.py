"""Which table or task the page Data has open, by its URL."""

import streamlit as st

from mtl_core.api.looked import Proposal
from mtl_core.base.messages import N_, Translate
from mtl_core.base.program import SAMPLE_SHOP
from mtl_core.base.workspace import OutsideWorkspaceError
from mtl_core.config import drafts
from mtl_core.data.upload import upload_name
from pages.parts import opening, sample
from pages.parts.frame import workspace
from pages.parts.look import Chosen
from pages.parts.text import plain
from pages.parts.url import keep

SOURCES = {"upload": N_("Your own"), "sample": N_("Sample shop")}


def source(_: Translate) -> str | None:
    keep("source", "upload", list(SOURCES))
    return st.segmented_control(
        _("Table"), list(SOURCES), key="source", required=True, format_func=lambda s: _(SOURCES[s]), label_visibility="collapsed"
    )


def of_the_shop(_: Translate) -> Chosen | None:
    tables = {path.name: path for path in sample.tables()}
    keep("sample", next(iter(tables), None), list(tables))
    name = st.selectbox(_("Table of the sample shop"), list(tables), key="sample")
    return Chosen(tables[name], name, name) if name else None


def opened(_: Translate) -> Chosen | None:
    """The table of the workspace that the URL names; None: none, or there is no such table (any more)."""
    name = opening.asked("table")
    try:
        path = workspace().inside("uploads", name) if name else None
    except OutsideWorkspaceError:
        path = None
    if path is None or not path.is_file():
        if name:
            st.warning(_("There is no table “{name}” in this workspace.").format(name=plain(name)), icon=":material/link_off:")
        return None
    return Chosen(path, upload_name(path), f"uploads/{name}")


def opened_task(_: Translate) -> tuple[str, Chosen, Proposal] | None:
    """(name, its table, how it stands) of the task of the draft that the URL names."""
    name, draft = opening.asked("task"), drafts.load(workspace())
    if name not in draft.tasks:
        if name:
            st.warning(_("There is no task “{name}” among your tasks.").format(name=plain(name)), icon=":material/link_off:")
        return None
    task = draft.tasks[name]
    data = draft.data[task["data"]]
    file = str(data.get("file"))
    path = next((p for p in (workspace().root / file, SAMPLE_SHOP / file) if p.is_file()), None)
    if path is None:
        return None
    start = Proposal(
        {k: v for k, v in data.items() if k != "file"} | {"split": data.get("split", {})}, {k: v for k, v in task.items() if k != "data"}
    )
    return name, Chosen(path, upload_name(path), file), start
