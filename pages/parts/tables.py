"""The tables and tasks of a person, together: what each table holds, the task that it is probably for, the tasks on it."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from mtl_core.api.checked import Checked
from mtl_core.api.looked import Looked
from mtl_core.api.own_tables import OwnTable
from mtl_core.base.messages import N_, Translate, plural
from mtl_core.config import drafts
from mtl_core.data.problems import Severity
from pages.parts import check, draft, look, opening, owned, problems, together, upload
from pages.parts.background import follow, ready, settle
from pages.parts.frame import workspace
from pages.parts.look import Chosen
from pages.parts.text import counted, plain, size
from pages.parts.together import Parts


@dataclass
class Row:
    """parts: that lie in files of their own; looked: None while that is on its way; checks: task of the draft on the table, or "" for
    the suggestion, → what its check found, as far as that is known."""

    table: OwnTable
    chosen: Chosen
    parts: Parts
    looked: Looked | None = None
    checks: dict[str, Checked] = field(default_factory=dict)

    @property
    def proposed(self) -> bool:
        """Whether the suggestion stands to be accepted as it is."""
        return "" in self.checks and self.checks[""].usable


def show(tables: Sequence[OwnTable], _: Translate) -> None:
    in_use, found = {new.path.name for new, _old in upload.asked(tables)}, drafts.load(workspace())
    gone = draft.gone(_)
    parts = together.parts_of(tables, found)
    hidden = {part.file for others in parts.values() for part in others.values()} - parts.keys()
    rows = [Row(t, Chosen(t.path, t.name, t.file), parts.get(t.file, {})) for t in tables if t.file not in hidden]
    pending = _look([row for row in rows if row.table.path.name not in in_use], found)
    elsewhere = [name for name, t in found.tasks.items() if not any(name in table.tasks for table in tables)]
    st.subheader(_("Your tables and tasks"), anchor=False)
    if not rows and not elsewhere:
        st.caption(_("None yet. Upload one table or several: each gets a suggested task that you accept, change or leave."))
        return
    _together([row for row in rows if row.proposed], list(found.tasks), gone, rows, _)
    follow(pending, _("Looking at the tables … {seconds} s"), _)
    for row in rows:
        _row(row, found, _)
    if elsewhere:
        with st.container(border=True):
            st.caption(_("On other tables, of the sample shop or from elsewhere"))
            for name in elsewhere:
                draft.line(name, found, _)


def _look(rows: list[Row], found: drafts.Draft) -> list["Future[Any]"]:
    """Fills in what is known of each table. Returns what is still on its way."""
    looks = [look.ask(row.chosen) for row in rows]
    pending: list[Future[Any]] = settle(looks)
    checks: list[tuple[Row, str, Future[Checked]]] = []
    for row, look_work in zip(rows, looks, strict=True):
        row.looked = ready(look_work)
        if row.looked and (proposal := row.looked.proposal) and proposal.complete and not row.table.tasks:
            data = {"file": row.table.file, **together.split_by(row.parts, proposal).data}
            checks.append((row, "", check.ask(row.chosen, data, proposal.task)))
        for name in row.table.tasks if row.looked else ():
            data = found.data[found.tasks[name]["data"]]
            if data.get("file") == row.table.file:  # else it reads another table, and this one's rows for its validation or test
                checks.append((row, name, check.ask(row.chosen, data, found.tasks[name])))
    pending += settle(work for _row, _name, work in checks)
    for row, name, work in checks:
        if checked := ready(work):
            row.checks[name] = checked
    return pending


def _together(proposed: list[Row], tasks: list[str], gone: bool, rows: list[Row], _: Translate) -> None:
    """What is done to several at once, and the way on."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if proposed:
            text = _(plural(len(proposed), N_("Add the suggested task"), N_("Add {n} suggested tasks"))).format(n=len(proposed))
            st.button(text, key="add_all", type="primary", icon=":material/playlist_add:", on_click=_accept, args=(proposed, _))
        if tasks:
            draft.train(tasks, "secondary" if proposed else "primary", gone, _)
        selected = [row for row in rows if st.session_state.get(f"select_{row.table.path.name}")]
        owned.several([table for row in selected for table in (row.table, *row.parts.values())], _)


def _row(row: Row, found: drafts.Draft, _: Translate) -> None:
    table, stored = row.table, row.table.path.name
    with st.container(border=True, key=f"row_{stored}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            select = _("Select {table}").format(table=table.name)  # read aloud as it stands, not as Markdown
            st.checkbox(select, key=f"select_{stored}", label_visibility="collapsed", width="content")
            lines = [f"**{plain(table.name)}**  :small[{_facts(row, _)}]", *([] if table.tasks else _suggestion(row, _))]
            st.markdown("  \n".join(lines), width="stretch")
            if not table.tasks and "" in row.checks:
                problems.peek(row.checks[""].problems, f"problems_{stored}", _)
            if row.proposed:
                st.button(_("Add task"), key=f"add_{stored}", icon=":material/add:", on_click=_accept, args=([row], _))
            label = _("New task") if table.tasks else _("Open")
            st.button(label, key=f"open_{stored}", type="tertiary", on_click=opening.open_table, args=(stored,))
            owned.menu([table, *row.parts.values()], _)
        together.show(table, row.parts, _)
        look.again(row.chosen, row.looked.problems if row.looked else (), _)
        for name in table.tasks:
            draft.line(name, found, _, row.checks[name].problems if name in row.checks else ())


def _facts(row: Row, _: Translate) -> str:
    facts = [size(row.table.n_bytes)]
    if row.looked and row.looked.rows:
        facts = [*counted(row.looked.rows, len(row.looked.columns), _), *facts]
    if row.table.runs:
        facts.append(_("runs: {n}").format(n=len(row.table.runs)))
    return plain(" · ".join(facts))


def _suggestion(row: Row, _: Translate) -> list[str]:
    """The task that the table is probably for, or what is in its way, as lines of Markdown."""
    if row.looked is None:
        return []
    proposal = together.split_by(row.parts, row.looked.proposal) if row.looked.proposal else None
    found = row.checks[""].problems if "" in row.checks else row.looked.problems  # the check finds again what was seen at the first look
    lines = []
    if proposal and proposal.complete:
        lines.append(":material/lightbulb: " + draft.described(proposal.task, proposal.data, _))
    elif proposal:
        lines.append(":material/help: " + _("No task is obvious for these columns: open the table and choose."))
    if errors := [p for p in found if p.severity is Severity.ERROR]:
        more = " " + _("And {n} more.").format(n=len(errors) - 1) if len(errors) > 1 else ""
        lines.append(f":red[:material/error:] {plain(errors[0].why.text(_))}{more}")
    return lines


def _accept(rows: list[Row], _: Translate) -> None:
    """The suggestions become tasks as they stand."""
    for row in rows:
        assert row.looked is not None and row.looked.proposal is not None
        proposal = together.split_by(row.parts, row.looked.proposal)
        draft.add(row.chosen, {"file": row.table.file, **proposal.data}, {**proposal.task, "weight": 1.0})
    st.toast(_("Tasks added: {n}").format(n=len(rows)), icon=":material/check:")
