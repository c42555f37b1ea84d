"""A task of the draft in one line: what it is, change it, remove it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.config import drafts
from mtl_core.data.problems import Problem
from mtl_core.tasks import KINDS
from pages.parts import opening, problems
from pages.parts.frame import page, workspace
from pages.parts.look import Chosen
from pages.parts.splitting import WAYS
from pages.parts.text import plain


def line(name: str, draft: drafts.Draft, _: Translate, found_in: Sequence[Problem] = ()) -> None:
    """found_in: what the check of its table found."""
    found = draft.tasks[name]
    about = described(found, draft.data[found["data"]], _)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/task_alt: **{plain(name)}** · {about}", width="stretch")
        problems.peek(found_in, f"problems_{name}", _)
        st.button(_("Edit"), key=f"change_{name}", icon=":material/edit:", type="tertiary", on_click=opening.open_task, args=(name,))
        st.button(_("Remove"), key=f"remove_{name}", icon=":material/close:", type="tertiary", on_click=_remove, args=(name,))


def train(tasks: Sequence[str], weight: Literal["primary", "secondary"], gone: bool, _: Translate) -> None:
    """The way on. gone: stays here, where that is said."""
    icon = ":material/model_training:"
    if st.button(_("Train these tasks"), key="train", type=weight, icon=icon, on_click=_asked, args=(tasks,)) and not gone:
        st.switch_page(page("train"), query_params={"from": "draft"})


def _asked(tasks: Sequence[str]) -> None:
    """tasks: those that the page showed when they were to be trained; another window may have removed some since."""
    there = drafts.load(workspace()).tasks
    st.session_state.gone = [task for task in tasks if task not in there]


def gone(_: Translate) -> bool:
    """Says which tasks that were to be trained are not there any more."""
    tasks = st.session_state.pop("gone", [])
    if tasks:
        text = _("Removed meanwhile, in another window: {tasks}. Nothing was started; these are the tasks that there are now.")
        st.warning(text.format(tasks=plain(", ".join(tasks))), icon=":material/group:")
    return bool(tasks)


def described(values: dict[str, Any], data: dict[str, Any], _: Translate) -> str:
    """Kind, columns and split of a task, as Markdown."""
    kind = KINDS.get(str(values.get("kind")))
    called = {field.name: _(field.label or field.name) for field in kind.fields} if kind else {}  # as the form calls them
    given = values.get("columns", {}).items()
    columns = [f"{called.get(field, field)}: {c if isinstance(c, str) else ', '.join(c)}" for field, c in given]
    if log := data.get("transactions"):
        columns = [f"{role}: {log[role]}" for role in ("user", "item", "text", "time") if log.get(role)]
    split = data.get("split", {})
    way = _(WAYS.get(split.get("by", "random"), "random")) + (f": {split['column']}" if split.get("column") else "")
    return f":blue-badge[{plain(_(kind.label) if kind else values.get('kind'))}] " + plain(" · ".join([*columns, _("Split") + f": {way}"]))


def add(chosen: Chosen, data: dict[str, Any], values: dict[str, Any]) -> None:
    """Under a name of its table's."""

    def added(draft: drafts.Draft) -> drafts.Draft:
        if any(drafts.alike(values, task) for task in draft.on_file(str(data.get("file"))).tasks.values()):
            return draft  # another window has added it
        table = draft.table_of(data) or drafts.unused_name(Path(chosen.name).stem, draft.data)
        name = drafts.unused_name(table if table not in draft.tasks else f"{table} {values['kind']}", draft.tasks)
        return draft.with_task(name, values, table, data)

    drafts.update(workspace(), added)


def _remove(name: str) -> None:
    drafts.update(workspace(), lambda draft: draft.without_tasks([name]))
