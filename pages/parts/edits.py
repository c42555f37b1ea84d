"""What was changed of the experiment that one began with: setting, before, now, and the way back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from mtl_core.base.messages import N_, Translate
from mtl_core.base.settings import set_path, widgets
from mtl_core.config.experiment import Experiment
from mtl_core.studies import differences
from pages.parts.text import plain

_BY_NAME = ("balancing", "sampling", "sharing")  # with options of their own, which go with the name


@dataclass(frozen=True)
class Edit:
    """label: for people; before, now: as values and, to be translated, as words."""

    path: str
    label: tuple[str, str]
    before: Any
    words: tuple[str, str]


def edits(old: Experiment, new: Experiment) -> list[Edit]:
    """In the order of the experiment, without its name. A task that no longer takes part is one edit, whatever was set of it, and so is
    a new strategy."""
    found = {s.path: s for experiment in (new, old) for s in widgets(experiment)}
    gone = [name for name in old.tasks if name not in new.tasks]
    values = differences.settings({"old": old.model_dump(mode="json"), "new": new.model_dump(mode="json")})
    renamed = {part for part in _BY_NAME if f"{part}.name" in values}
    made = [Edit(f"tasks.{name}", (name, ""), True, (N_("takes part"), N_("left out"))) for name in gone]
    for path, row in values.items():
        part, *rest = path.split(".")
        if part in ("data", "name") or (part == "tasks" and rest[0] in gone) or (part in renamed and rest[0] == "options"):
            continue
        setting = found.get(path)
        words = [setting.word(value) if setting else str(value) for value in (row["old"], row["new"])]
        made.append(Edit(path, (rest[0] if part == "tasks" else "", setting.label if setting else path), row["old"], (words[0], words[1])))
    return made


def without(old: Experiment, new: Experiment, edit: Edit) -> dict[str, Any]:
    """`new` as plain data, with what `edit` changed as it was."""
    values, before = new.model_dump(mode="json"), old.model_dump(mode="json")
    part, *rest = edit.path.split(".")
    if part == "tasks" and len(rest) == 1:
        values["tasks"][rest[0]] = before["tasks"][rest[0]]
        values["data"] |= {name: table for name, table in before["data"].items() if name == before["tasks"][rest[0]]["data"]}
    elif part in _BY_NAME and rest == ["name"]:
        values[part] = before[part]
    else:
        set_path(values, edit.path, edit.before)
    return values


def show(found: list[Edit], prefix: str, effect: Callable[[Edit], str], _: Translate) -> None:
    """effect: what an edit costs, in words."""
    if not found:
        return
    with st.container(border=True, gap="xsmall", key="edits"):
        st.markdown(f"**{_('Changed settings: {n}').format(n=len(found))}**")
        for edit in found:
            with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", gap="small"):
                label = " · ".join(plain(_(part)) for part in edit.label if part)
                before, now = (plain(_(word)) for word in edit.words)
                cost = effect(edit)
                st.markdown(f"{label}: {before} → **{now}**" + (f" :gray[({cost})]" if cost else ""), width="stretch")
                hint = _("Undo this change")
                st.button(
                    "", icon=":material/undo:", key=f"undo.{edit.path}", type="tertiary", help=hint, on_click=_undo, args=(prefix, edit)
                )


def _undo(prefix: str, edit: Edit) -> None:
    """Sets the widget back to what it showed before."""
    part, *rest = edit.path.split(".")
    if part != "tasks":
        key = f"{prefix}.{edit.path}"
    elif len(rest) == 1:
        key = f"{prefix}.use.{rest[0]}"
    elif rest[1] == "weight":
        key = f"{prefix}.weight.{rest[0]}"
    elif rest[1] == "options":
        key = f"{prefix}.options.{rest[0]}.{'.'.join(rest[2:])}"
    else:
        key = f"{prefix}.scarce.{rest[0]}.{'.'.join(rest[1:])}"
    st.session_state[key] = edit.before
