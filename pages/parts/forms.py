"""A form for a task, made from the fields of its kind: the type of a field says which widget, never the name of the kind."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from mtl_core import plots
from mtl_core.base.messages import Translate
from mtl_core.data.values import INVISIBLE
from mtl_core.tasks.base import Field, TaskKind
from pages.parts import cells
from pages.parts.text import RELEVANCE, number, plain, said

SHORT = 60
"""Characters; a column whose texts are no longer has a line in the form, others an area."""
LONGEST_TILE = 40
"""Characters; a longer text is shown as one."""
_Part = tuple[Field, int, Callable[..., Any], str, list[str]]
_INVISIBLE = re.compile(INVISIBLE)


def inputs(
    fields: Sequence[Field],
    columns: dict[str, list[str]],
    choices: dict[str, list[list[str]]],
    prefix: str,
    _: Translate,
    lengths: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """A widget for each column that fills one of `fields`: areas for long texts first, then everything short side by side. Returns
    field → value.

    columns: field → the columns it was trained on; choices: field → the known values, one list a column; lengths: column → characters
        that most of its values have, where that is known.
    """
    wide, narrow = list[_Part](), list[_Part]()
    for field in fields:
        known = [*choices.get(field.name, []), *([] for _column in columns[field.name])]
        for i, column in enumerate(columns[field.name]):
            short = field.type == "text" and (lengths or {}).get(column, SHORT + 1) <= SHORT
            draw = _line if short else INPUTS[field.type][0]
            to = narrow if short or field.type not in ("text", "texts") else wide
            to.append((field, i, draw, plain(column), known[i]))
    found: dict[tuple[str, int], Any] = {}
    for parts, most, least in ((wide, 2, 300), (narrow, 4, 140)):
        if parts:
            with st.grid(min(most, len(parts)), min_column_width=least, gap="small"):
                for field, i, draw, label, known_values in parts:
                    found[field.name, i] = draw(label, known_values, f"{prefix}.{field.name}.{i}", plain(_(field.help)), _)
    values = {f.name: INPUTS[f.type][1]([found[f.name, i] for i in range(len(columns[f.name]))]) for f in fields}
    return {f.name: values[f.name] if f.many else found[f.name, 0] for f in fields}


def fill(values: Mapping[str, Sequence[Any]], fields: Sequence[Field], prefix: str, decimals: Mapping[str, Sequence[str]]) -> None:
    """Sets the widgets of `inputs`, before they are drawn. values: field → one a column; decimals: of numbers, the sign of each column."""
    for field in fields:
        for i, value in enumerate(values.get(field.name, ())):
            value = "\n".join(value) if isinstance(value, list) else value
            if isinstance(value, int | float):
                value = f"{value:.15g}".replace(".", decimals[field.name][i] or ".")
            empty = "" if field.type != "category" else None
            st.session_state[f"{prefix}.{field.name}.{i}"] = empty if value is None else value


def filled(fields: Sequence[Field], columns: dict[str, list[str]], prefix: str) -> dict[str, list[Any]]:
    """What stands in the widgets, as for `fill`."""
    return {f.name: [st.session_state.get(f"{prefix}.{f.name}.{i}") for i in range(len(columns[f.name]))] for f in fields}


def is_empty(values: dict[str, Any]) -> bool:
    """Whether nothing was filled in at all: blanks and characters that no one sees are nothing."""
    cells = [cell for value in values.values() for cell in (value if isinstance(value, list) else [value])]
    return not any(_INVISIBLE.sub("", cell).strip() if isinstance(cell, str) else cell is not None for cell in cells)


def answer(kind: TaskKind, prediction: dict[str, Any], key: str, _: Translate) -> None:
    """A prediction: its numbers and words large, a long text as such, a mapping of probabilities as bars, a list of mappings as a table."""

    def label(name: str) -> str:
        return _(kind.answer_field(name).label)

    texts = {name: value for name, value in prediction.items() if isinstance(value, str) and len(value) > LONGEST_TILE}
    for name, value in texts.items():
        with st.container(border=True):
            st.caption(label(name))
            st.markdown(plain(value))
    prediction = {name: value for name, value in prediction.items() if name not in texts}
    with st.container(horizontal=True):
        for name, value in prediction.items():
            if not isinstance(value, dict | list):
                written = plain(said(value, _))
                if isinstance(value, float):
                    written = f"{value:.1%}" if kind.answer_field(name).is_share else number(value)
                st.metric(label(name), written, border=True, width="content", help=_(RELEVANCE) if name == "relevance" else None)
    for name, value in prediction.items():
        if isinstance(value, dict):
            st.plotly_chart(plots.shares(value, label(name)), key=f"{key}.{name}", alt=label(name), config={"displayModeBar": False})
        elif isinstance(value, list) and value:
            rows = [{label(column): cell for column, cell in row.items()} for row in value]
            ways = {c: "percent" if kind.answer_field(c).is_share else "%g" for c, cell in value[0].items() if isinstance(cell, float)}
            shares = {label(c): st.column_config.NumberColumn(format=way) for c, way in ways.items()}
            st.caption(label(name))
            cells.table(rows, column_config=shares, key=f"{key}.{name}", alt=label(name))


def _text(label: str, known: list[str], key: str, help_text: str, _: Translate) -> str:
    return st.text_area(label, key=key, help=help_text, height=80, persist_state="session")


def _line(label: str, known: list[str], key: str, help_text: str, _: Translate) -> str:
    return st.text_input(label, key=key, help=help_text, persist_state="session") or ""


def _texts(label: str, known: list[str], key: str, help_text: str, _: Translate) -> list[str]:
    hint = _("One text per line, oldest first")
    lines = st.text_area(label, key=key, help=help_text, placeholder=hint, height=110, persist_state="session")
    return [line.strip() for line in lines.splitlines() if line.strip()]


def _category(label: str, known: list[str], key: str, help_text: str, _: Translate) -> str | None:
    rest: dict[str, Any] = {"placeholder": _("unknown"), "accept_new_options": True, "persist_state": "session"}
    return st.selectbox(label, known, index=None, key=key, help=help_text, **rest)


def _number(label: str, known: list[str], key: str, help_text: str, _: Translate) -> str | None:
    """As it was typed, 12,90 or € 12.90: the predictor reads it, as it reads a cell. A number input of a browser makes 1290 of the one."""
    return (st.text_input(label, key=key, help=help_text, placeholder=_("unknown"), persist_state="session") or "").strip() or None


def _joined(parts: list[str]) -> str:
    return " ".join(part.strip() for part in parts if part.strip())


def _only(parts: list[Any]) -> Any:
    return parts[0]


def _list(parts: list[Any]) -> list[Any]:
    return parts


INPUTS: dict[str, tuple[Callable[..., Any], Callable[[list[Any]], Any]]] = {
    "text": (_text, _joined),
    "texts": (_texts, _only),
    "category": (_category, _list),
    "number": (_number, _list),
}
"""Type of a field → the widget for one of its columns, and how the values of its columns become the field's."""
