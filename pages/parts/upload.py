"""New tables come into the workspace: several at once; a name that is in use is asked about."""

from collections.abc import Sequence

import streamlit as st

from mtl_core.api.own_tables import OwnTable, own_tables
from mtl_core.base.messages import Translate
from mtl_core.data.problems import DataError, Problem
from mtl_core.data.read import FORMATS
from mtl_core.data.upload import name_upload, shown_name
from pages.parts import opening, problems, received, replace
from pages.parts.frame import workspace
from pages.parts.text import plain

TYPES = [suffix.lstrip(".") for suffix in (*FORMATS, ".gz", ".zip")]


def show(own: Sequence[OwnTable], _: Translate) -> None:
    """The uploader, what was wrong with the last upload, and the names to decide on."""
    number = st.session_state.setdefault("uploads", 0)
    files = st.file_uploader(
        _("Upload tables"),
        type=TYPES,
        accept_multiple_files=True,
        key=f"upload_{number}",
        help=_(
            "CSV, TSV, JSON, JSON Lines, Parquet or Excel; CSV and JSON Lines may be gzipped or zipped. The files stay on this machine."
        ),
    )
    if files:
        _save(files, _)
        st.session_state.uploads = number + 1  # an empty uploader: the tables are in the list from now on
        st.rerun()
    problems.show(st.session_state.get("upload_problems", []), _)
    for new, old in asked(own):
        _ask(new, old, _)


def asked(own: Sequence[OwnTable]) -> list[tuple[OwnTable, OwnTable]]:
    """(new, old): tables that came under a name that was in use, and nothing was decided yet."""
    found = {table.path.name: table for table in own}
    pairs = [(found.get(new), found.get(old)) for new, old in st.session_state.get("name_in_use", {}).items()]
    return [(new, old) for new, old in pairs if new and old]


def _save(files: list, _: Translate) -> None:
    """Each file on its own: one that is refused does not keep the others out."""
    refused: list[Problem] = []
    saved = []
    for file in files:
        before = {table.name: table for table in own_tables(workspace())}
        try:
            with st.spinner(_("Saving the file …")):
                path = received.keep(file, f"upload_{st.session_state.uploads}")
        except DataError as error:
            refused += error.problems
            continue
        saved.append(path)
        name = shown_name(file.name)
        if (old := before.get(name)) and old.path != path:
            stem, dot, suffix = name.partition(".")
            name_upload(path, next(n for i in range(2, len(before) + 3) if (n := f"{stem} ({i}){dot}{suffix}") not in before))
            st.session_state.setdefault("name_in_use", {})[path.name] = old.path.name
    st.session_state.upload_problems = refused
    if len(saved) == 1 and not refused and saved[0].name not in st.session_state.get("name_in_use", {}):
        opening.open_table(saved[0].name)


def _ask(new: OwnTable, old: OwnTable, _: Translate) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"in_use_{new.path.name}"):
        text = _("There was a table {old} already. The new one is called {new} for now.")
        st.markdown(":material/help: " + text.format(old=f"**{plain(old.name)}**", new=f"**{plain(new.name)}**"), width="stretch")
        st.button(_("Keep both"), key=f"both_{new.path.name}", on_click=_keep, args=(new,))
        if st.button(_("Replace …"), key=f"instead_{new.path.name}", icon=":material/swap_horiz:"):
            replace.ask(old, new, _)


def _keep(new: OwnTable) -> None:
    st.session_state.get("name_in_use", {}).pop(new.path.name, None)
