"""The widget that a setting's type and bounds ask for."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import streamlit as st
from pydantic import BaseModel, ValidationError

from mtl_core.base.language import LANGUAGES, translator
from mtl_core.base.messages import Translate
from mtl_core.base.settings import Widget
from pages.parts.text import plain

ROW = 92
"""Pixels: a widget below a label of two lines."""
DRAWN = {"int", "float", "bool", "choice", "text"}


def drawable(setting: Widget) -> bool:
    """Whether there is something to choose: not for lists, nor for a choice of one, nor for a mapping whose keys may be anything."""
    if setting.type == "mapping":
        return bool(setting.keys)
    return setting.type in DRAWN and not (setting.type == "choice" and len(setting.choices) < 2)


def begun(model: type[BaseModel], values: Mapping[str, Any]) -> BaseModel | type[BaseModel]:
    """What `widgets` is to begin with: `model` with `values`, as far as they fit."""
    try:
        return model.model_validate(dict(values)) if values else model
    except ValidationError:
        return model


def held(key: str, registry: Mapping[str, Any], default: str) -> str:
    """Which entry of a registry the widget `key`, not drawn yet, stands at. A browser that is still about to draw the page in another
    language sends what the entry is called there, which Streamlit hands on as it came."""
    value = st.session_state.get(key, default)
    if value not in registry:
        value = st.session_state[key] = _in_any_language({name: entry.label for name, entry in registry.items()}).get(value, default)
    return str(value)


def _in_any_language(labels: Mapping[str, str]) -> dict[str, str]:
    """What each is called → its name."""
    return {translator(code)(label): name for code in LANGUAGES for name, label in labels.items()}


def draw_all(
    settings: Iterable[Widget], prefix: str, _: Translate, width: int = 200, columns: int = 4, even: bool = False
) -> dict[str, Any]:
    """All of them in a grid that folds on a narrow screen. Returns path → value.

    even: in rows of one height, known before the browser has loaded what draws them; for settings that are one widget each.
    """
    rows: dict[str, Any] = {"row_height": ROW, "gap": ("xsmall", "small")} if even else {"gap": ("medium", "small")}
    with st.grid(columns, min_column_width=width, **rows):
        return {setting.path: draw(setting, prefix, _) for setting in settings}


def draw(setting: Widget, prefix: str, _: Translate) -> Any:
    """One widget (of a mapping one for each key), kept in the session by `prefix` and path. Returns its value."""
    key = f"{prefix}.{setting.path}"
    if setting.type == "mapping":
        return {name: _number(setting, name, f"{key}.{name}", _) for name in setting.choices}
    if setting.choices and (came := st.session_state.get(key)) is not None and came not in setting.choices:  # see `held`
        words = _in_any_language({str(choice): setting.word(choice) for choice in setting.choices})
        st.session_state[key] = words.get(came, came)
    if key not in st.session_state or (setting.type == "choice" and st.session_state[key] not in setting.choices):
        st.session_state[key] = setting.value
    common: dict[str, Any] = {"label": plain(_(setting.label)), "help": plain(_(setting.help)), "key": key, "persist_state": "session"}
    if setting.type == "bool":
        return st.toggle(**common)
    if setting.type == "choice":
        common["format_func"] = lambda choice: _(setting.word(choice))
        if len(setting.choices) <= 4 and not setting.keys:  # a widget of another sort under the same key would have no value
            return st.segmented_control(options=setting.choices, required=True, wrap=True, **common)
        return st.selectbox(options=setting.choices, **common)
    if setting.type == "text" and setting.choices:
        common["format_func"] = lambda choice: _(setting.word(choice))
        return st.selectbox(options=list(dict.fromkeys([*setting.choices, st.session_state[key]])), accept_new_options=True, **common)
    if setting.type == "text":
        return st.text_input(placeholder=_("none") if setting.optional else None, **common) or (None if setting.optional else "")
    kind = int if setting.type == "int" else float
    if (stops := setting.slider()) and not setting.optional:
        offered = sorted({kind(stop) for stop in (*stops, setting.value, st.session_state[key])})  # what is set need not be a stop
        return st.select_slider(options=offered, format_func=lambda number: _(setting.word(number)), **common)
    least, most = (None if bound is None else kind(bound) for bound in setting.bounds)
    if least is not None and setting.above:
        least += setting.step() if setting.spans_little() else setting.step() / 1000
    if setting.optional:
        common |= {"value": None, "placeholder": _("automatic")}
    elif setting.spans_little():
        return st.slider(min_value=least, max_value=most, step=kind(setting.step()), **common)
    if setting.type == "int":
        return st.number_input(min_value=least, max_value=most, step=1, **common)
    return st.number_input(min_value=least, max_value=most, step=setting.step(), format="%g", **common)


def _number(setting: Widget, name: str, key: str, _: Translate) -> float:
    """What the key `name` of a mapping has, at least 0."""
    st.session_state.setdefault(key, float(setting.value.get(name, setting.each)))
    label = f"{plain(_(setting.label))} · {plain(name)}"
    return st.number_input(label, min_value=0.0, step=0.5, format="%g", help=plain(_(setting.help)), key=key, persist_state="session")


def weight_slider(
    name: str, value: float, key: str, _: Translate, meaning: str, disabled: bool = False, bare: bool = False, width: int | None = None
) -> float:
    """The loss weight of a task: 0 to 5 by twentieths, further where the experiment asks for more. meaning: as its strategy says.

    bare: without the words, which stand beside it; they are still read out. width: in pixels; None: all there is."""
    st.session_state.setdefault(key, float(value))
    return st.slider(
        _("Loss weight of {task}").format(task=name if bare else plain(name)),
        width=width or "stretch",
        min_value=0.0,
        max_value=max(5.0, float(value), st.session_state[key]),
        step=0.05,
        key=key,
        disabled=disabled,
        help=_(meaning) + " " + _("At 0 the shared encoder does not learn from this task."),
        persist_state="session",
        label_visibility="collapsed" if bare else "visible",
    )


def with_choices(settings: Iterable[Widget], path: str, group: str, choices: Iterable[str], labels: Mapping[str, str]) -> list[Widget]:
    """`settings`, the one at `path` made a choice of `choices`, which come and go with the names of `group`.

    labels: choice → what people call it, where that is not its name.
    """
    return [replace(s, type="choice", choices=tuple(choices), keys=group, labels=labels) if s.path == path else s for s in settings]


def with_keys(settings: Iterable[Widget], group: str, names: Iterable[str]) -> list[Widget]:
    """`settings`, mappings by the names of `group` made to have these."""
    names = tuple(names)
    return [replace(s, choices=names) if s.type == "mapping" and s.keys == group else s for s in settings]
