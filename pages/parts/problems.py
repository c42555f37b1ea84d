"""Problems of a table, all of them: how severe, where, why, what to do."""

from collections.abc import Sequence

import streamlit as st

from mtl_core.base.messages import N_, Translate
from mtl_core.data.problems import Problem, Severity
from pages.parts.text import plain

WORDS = {Severity.ERROR: N_("Error"), Severity.WARNING: N_("Warning"), Severity.INFO: N_("Note")}
COLORS = {Severity.ERROR: "red", Severity.WARNING: "orange", Severity.INFO: "gray"}
MOST = 100
"""Rows that are shown; a table that is wrong in more ways has the worst of them there."""


def show(problems: Sequence[Problem], _: Translate) -> None:
    """A line that says how it stands, and a table with every finding. Nothing when there is none."""
    summary(problems, _)
    table(problems, _)


def summary(problems: Sequence[Problem], _: Translate, where: str = "") -> None:
    """How it stands, in a line. where: a sentence that says where the table of them is, if not right below."""
    if n := _count(problems, Severity.ERROR):
        st.error(_("Errors: {n}. Fix them in the file, or change the settings.").format(n=n) + where, icon=":material/error:")
    elif n := _count(problems, Severity.WARNING):
        st.warning(_("Warnings: {n}. The table can be used; please read them.").format(n=n) + where, icon=":material/warning:")


def peek(problems: Sequence[Problem], key: str, _: Translate) -> None:
    """How it stands, as a button that opens the table of them; nothing when there is no error and no warning."""
    if n := _count(problems, Severity.ERROR):
        label, icon = _("Errors: {n}").format(n=n), ":material/error:"
    elif n := _count(problems, Severity.WARNING):
        label, icon = _("Warnings: {n}").format(n=n), ":material/warning:"
    else:
        return
    with st.popover(label, icon=icon, type="tertiary", key=key):
        table(problems, _)


def _count(problems: Sequence[Problem], severity: Severity) -> int:
    return sum(p.severity is severity for p in problems)


def table(problems: Sequence[Problem], _: Translate) -> None:
    """Every finding, the worst first."""
    if not problems:
        return
    rows = sorted(problems, key=lambda p: (list(Severity).index(p.severity), not p.leave_out))
    st.table(
        {
            _("Location"): [f":{COLORS[p.severity]}-badge[{_(WORDS[p.severity])}] {plain(p.where(_))}" for p in rows[:MOST]],
            _("Reason"): [plain(p.why.text(_)) for p in rows[:MOST]],
            _("What to do"): [plain(p.remedy.text(_)) for p in rows[:MOST]],
        },
        border="horizontal",
        hide_index=True,
        alt=_("Problems in the table: severity, location, reason, what to do"),
    )
    if len(rows) > MOST:
        st.caption(_("And {n} more.").format(n=len(rows) - MOST))
