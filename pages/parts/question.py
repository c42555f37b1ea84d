"""What fills the form of Predict beside a person's hands: a row of the task's table, or a link; and the link to what was asked."""

import json
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from mtl_core.base.messages import Message, message
from mtl_core.tasks.base import Field
from mtl_core.tracking import examples
from mtl_core.tracking.runs import Run, RunError
from pages.parts import address, forms
from pages.parts.url import gone

if TYPE_CHECKING:
    from mtl_core.inference.predictor import Predictor

LONGEST_LINK = 1500
"""Characters of a question that stands in the URL as it was typed."""


def carry(run: Run, predictor: "Predictor", task: str, place: str) -> None:
    """What was typed for a run that was deleted meanwhile stands in the form of the run that is shown in its place, once."""
    carried = st.session_state.setdefault("carried", set())  # forms that were brought over
    for old in gone("run"):
        if (old, place) in carried:
            continue
        carried.add((old, place))
        for field in predictor.fields(task):
            for i in range(len(predictor.columns(task)[field.name])):
                key = f".{field.name}.{i}"
                typed = st.session_state.get(f"{old}{place.removeprefix(run.id)}{key}")
                if typed and not st.session_state.get(place + key):
                    st.session_state[place + key] = typed


def take(run: Run, task: str, wanted: examples.Wanted, predictor: "Predictor", place: str, state: dict[str, Any]) -> None:
    try:
        fill(examples.example(run, task, examples.choose_row(run, task, wanted, random.randrange(2**31))), task, predictor, place, state)
        state["wanted"] = wanted
    except RunError as error:
        state.clear()
        state["refused"] = error.message


def fill(found: examples.Example, task: str, predictor: "Predictor", place: str, state: dict[str, Any]) -> None:
    fields = predictor.fields(task)
    forms.fill(found.values, fields, place, predictor.decimals(task))
    state.clear()
    state.update(example=found, due=True, filled=forms.filled(fields, predictor.columns(task), place))


def follow_link(run: Run, task: str, predictor: "Predictor", place: str, state: dict[str, Any]) -> None:
    """Fills the form as the URL says: a row of the table, or what somebody typed."""
    row, typed = st.query_params.get("row"), st.query_params.get("ask")
    if row is not None:
        try:
            fill(examples.example(run, task, int(row)), task, predictor, place, state)
        except ValueError as error:  # a RunError is one
            state["refused"] = error.message if isinstance(error, RunError) else _no_row(task, row)
    elif typed is not None:
        fields = predictor.fields(task)
        try:
            forms.fill(_as_filled(json.loads(typed), fields, predictor.columns(task)), fields, place, predictor.decimals(task))
        except (ValueError, TypeError, AttributeError):
            state["refused"] = message("The question in the link cannot be read. Ask it here.")
            return
        state.update(due=True, filled=forms.filled(fields, predictor.columns(task), place))


def _as_filled(given: Mapping[str, Any], fields: Sequence[Field], columns: Mapping[str, Sequence[str]]) -> dict[str, list[Any]]:
    """What a link says that stands in the widgets, as of `forms.filled`. Raises ValueError: a value that a widget cannot hold."""
    found: dict[str, list[Any]] = {}
    for field in fields:
        values = list(given.get(field.name, ()))[: len(columns[field.name])]
        for value in values:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (isinstance(value, str) or (number and field.type == "number")):
                raise ValueError(value)
        found[field.name] = values
    return found


def _no_row(task: str, row: str) -> Message:
    return message("The table of the task “{task}” has no row {row}.", task=task, row=row)


def link(state: dict[str, Any]) -> None:
    """The row, or what was asked, in the URL."""
    wanted: dict[str, str] = {}
    if "answer" in state and "example" in state:
        wanted["row"] = str(state["example"].row)
    elif "answer" in state and len(typed := json.dumps(state["filled"], ensure_ascii=False)) <= LONGEST_LINK:
        wanted["ask"] = typed
    for key in ("row", "ask"):
        address.write(key, address.texts_of(wanted.get(key)))
