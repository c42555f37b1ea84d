"""Files that are parts of one table: those that a task reads so, and those whose names say so, until a person keeps them apart."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import streamlit as st

from mtl_core.api.looked import Proposal
from mtl_core.api.own_tables import OwnTable, own_tables
from mtl_core.base.messages import Translate
from mtl_core.config import drafts
from mtl_core.config.drafts import Draft
from mtl_core.data.part_files import part_files
from pages.parts.check import PARTS
from pages.parts.frame import workspace
from pages.parts.look import Chosen
from pages.parts.text import plain

Parts = dict[str, OwnTable]
"""Part of the split → the table that holds it, beside the training file's."""


def parts_of(tables: Sequence[OwnTable], draft: Draft) -> dict[str, Parts]:
    """File of the training rows → the other files of its table."""
    by_file, found = {table.file: table for table in tables}, {}
    for data in draft.data.values():
        split = data.get("split") or {}
        parts = {part: by_file[file] for part in ("validation", "test") if (file := split.get(f"{part}_file")) in by_file}
        if parts and data.get("file") in by_file:
            found[str(data["file"])] = parts
    apart = st.session_state.get("apart", set())
    free = {table.name: table for table in tables if not table.tasks and table.file not in apart}
    for names in part_files(free):
        first, *others = ((part, free[name]) for part, name in names.items())
        found[first[1].file] = dict(others)
    return found


def split_by(parts: Mapping[str, OwnTable], proposal: Proposal) -> Proposal:
    """The proposal, its rows divided as the files are."""
    files = {f"{part}_file": table.file for part, table in parts.items()}
    return replace(proposal, data={**proposal.data, "split": {"by": "files", **files}}) if parts else proposal


def proposed(chosen: Chosen, proposals: Sequence[Proposal]) -> Proposal:
    """The best proposal for a table that is not a task of the draft yet (if all are, the best), its rows divided as its files are."""
    draft = drafts.load(workspace())
    there = draft.on_file(chosen.file).tasks.values()
    new = (p for p in proposals if not any(drafts.alike(p.task, task) for task in there))
    return split_by(parts_of(own_tables(workspace()), draft).get(chosen.file, {}), next(new, proposals[0]))


def show(table: OwnTable, parts: Parts, _: Translate) -> None:
    """Which files make up the table, and the way to keep them apart while no task reads them together. Nothing for one file."""
    if not parts:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        files = " · ".join(f"{_(PARTS[part])}: {one.name}" for part, one in {"train": table, **parts}.items())
        st.markdown(":material/call_merge: " + plain(_("One table of several files") + " · " + files), width="stretch")
        if not table.tasks:
            key, files_of_it = f"apart_{table.path.name}", {table.file, *(one.file for one in parts.values())}
            st.button(_("Keep apart"), key=key, type="tertiary", on_click=_keep_apart, args=(files_of_it,))


def _keep_apart(files: set[str]) -> None:
    st.session_state["apart"] = st.session_state.get("apart", set()) | files
