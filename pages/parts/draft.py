"""A task of the draft in one line: what it is, change it, remove it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.config import drafts
from mtl_core.data.problems import Problem
from mtl_core.tasks import KINDS
from pages.parts import opening, problems
from pages.parts.frame import workspace
from pages.parts.look import Chosen
from pages.parts.splitting import WAYS
from pages.parts.text import plain


def line(name: str, draft: drafts.Draft, _: Translate, found_in: Sequence[Problem] = ()) -> None:
    """found_in: what the check of its table found."""
    found = draft.tasks[name]
    about = described(found, draft.data[found["data"]], _) + problems.badge(found_in, _)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/task_alt: **{plain(name)}** · {about}", width="stretch")
        st.button(_("Edit"), key=f"change_{name}", icon=":material/edit:", type="tertiary", on_click=opening.open_task, args=(name,))
        st.button(_("Remove"), key=f"remove_{name}", icon=":material/close:", type="tertiary", on_click=_remove, args=(name,))


def described(values: dict[str, Any], data: dict[str, Any], _: Translate) -> str:
    """Kind, columns and split of a task, as Markdown."""
    kind = KINDS.get(str(values.get("kind")))
    columns = [f"{field}: {c if isinstance(c, str) else ', '.join(c)}" for field, c in values.get("columns", {}).items()]
    if log := data.get("transactions"):
        columns = [f"{role}: {log[role]}" for role in ("user", "item", "text", "time") if log.get(role)]
    split = data.get("split", {})
    way = _(WAYS.get(split.get("by", "random"), "random")) + (f": {split['column']}" if split.get("column") else "")
    return f":blue-badge[{plain(_(kind.label) if kind else values.get('kind'))}] " + plain(" · ".join([*columns, _("Split") + f": {way}"]))


def add(chosen: Chosen, data: dict[str, Any], values: dict[str, Any]) -> None:
    """Under a name of its table's."""

    def added(draft: drafts.Draft) -> drafts.Draft:
        table = draft.table_of(data) or drafts.unused_name(Path(chosen.name).stem, draft.data)
        name = drafts.unused_name(table if table not in draft.tasks else f"{table} {values['kind']}", draft.tasks)
        return draft.with_task(name, values, table, data)

    drafts.update(workspace(), added)


def _remove(name: str) -> None:
    drafts.update(workspace(), lambda draft: draft.without_tasks([name]))
