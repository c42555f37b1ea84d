"""One question to a trained model: filled in by hand, or by a row of the task's own table; the answer with its question."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.data.problems import InputError
from mtl_core.tasks.base import BY_NEARNESS, TaskKind
from mtl_core.tracking import examples
from mtl_core.tracking.runs import Run
from pages.parts import doubt, forms, question
from pages.parts.text import plain
from pages.parts.url import in_vain

if TYPE_CHECKING:
    from mtl_core.inference.predictor import Predictor


@st.cache_data(max_entries=50, show_spinner=False)
def _lengths(folder: Path, task: str, _run: Run) -> Mapping[str, int]:
    return examples.lengths(_run, task)


def show(run: Run, task: str, predictor: "Predictor", place: str, _: Translate) -> None:
    """place: of the widgets and the answer; each task of each run has its own."""
    fields, columns = predictor.fields(task), predictor.columns(task)
    state = st.session_state.setdefault("asked", {}).setdefault(place, {})
    if st.session_state.get("asking") != place:  # a link is about the task that it opened on
        first, st.session_state.asking = "asking" not in st.session_state, place
        if first and not in_vain("run", "task"):  # a row of another table is not what the link was about
            state.clear()
            question.follow_link(run, task, predictor, place, state)
    question.carry(run, predictor, task, place)
    if examples.has_examples(run, task):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(_("Try a row of the table:"), width="content")
            means = predictor.kinds[task].report.right_means
            offered = [
                ("any", ":material/casino:", _("Random")),
                ("right", ":material/check:", _("One it got right") if means else _("One predicted well")),
                ("wrong", ":material/close:", _("One it got wrong") if means else _("One predicted badly")),
            ]
            drawn = _("A row of the test split, where the run was evaluated on it, else of the validation split.")
            for wanted, icon, label in offered[:1] if examples.blanked_slot(run, task) else offered:
                hint = drawn if wanted == "any" else f"{_(means or BY_NEARNESS)} {drawn}"
                with_these = (run, task, wanted, predictor, place, state)
                st.button(label, icon=icon, key=f"row_{wanted}", on_click=question.take, args=with_these, help=hint)
    with st.form(f"form.{place}"):
        values = forms.inputs(fields, columns, predictor.choices(task), place, _, _lengths(run.folder, task, run))
        asked = st.form_submit_button(_("Predict"), type="primary", icon=":material/play_arrow:")
    names = run.class_names(task)
    if state.get("names", names) != names and "question" in state:  # somebody named the classes since
        state["due"] = True
    state["names"] = names
    if asked:
        state.pop("refused", None)
        if forms.filled(fields, columns, place) != state.get("filled"):
            state.pop("example", None)
        if forms.is_empty(values):
            state.clear()
            st.warning(_("Fill in at least one field."))
        else:
            _ask(task, predictor, values, names, state)
            state["filled"] = forms.filled(fields, columns, place)
    elif state.pop("due", False):  # filled by a row or a link
        _ask(task, predictor, values, names, state)
    question.link(state)
    if refused := state.get("refused"):
        st.warning(plain(refused.text(_)), icon=":material/warning:")
    if "answer" in state:
        _answer(run, predictor, task, place, state, _)


def _ask(task: str, predictor: "Predictor", values: dict[str, Any], names: Mapping[str, str], state: dict[str, Any]) -> None:
    state.pop("answer", None)
    try:
        state["answer"], state["question"] = predictor.predict(task, [values], names)[0], values
        state["cut"] = predictor.cut(task, values)
    except InputError as error:
        state["refused"] = error.message


def _answer(run: Run, predictor: "Predictor", task: str, place: str, state: dict[str, Any], _: Translate) -> None:
    said = " · ".join(_cells(state["question"], predictor.columns(task)))
    st.caption(_("Asked: {question}").format(question=plain(_short(said))))
    found: examples.Example | None = state.get("example")
    if found and (wanted := state.get("wanted", "any")) != "any":
        _drawn_as(wanted, predictor.kinds[task], _)
    if why := doubt.of(state["answer"], _):
        st.info(why, icon=":material/help:")
    for field, kept, total, end in state.get("cut", ()):
        text = _("“{field}” is cut: the model reads {kept} of {total} tokens, up to “… {end}”.")
        st.info(text.format(field=plain(field), kept=kept, total=total, end=plain(end)), icon=":material/content_cut:")
    if found:  # right above what the model says
        _said_by_the_table(run, task, found, predictor.kinds[task], predictor.columns(task), _)
    forms.answer(predictor.kinds[task], state["answer"], place, _)


def _cells(question: Mapping[str, Any], columns: Mapping[str, Sequence[str]]) -> list[str]:
    """What was filled in; of several columns each with its name: 35 alone says nothing."""
    found: list[str] = []
    for field, value in question.items():
        several = isinstance(value, list) and len(columns.get(field, ())) == len(value) > 1
        for i, cell in enumerate(value if isinstance(value, list) else [value]):
            if cell not in (None, ""):
                found.append(f"{columns[field][i]} {cell}" if several else str(cell))
    return found


def _drawn_as(wanted: examples.Wanted, kind: TaskKind, _: Translate) -> None:
    """What the row was asked for as, with what that means."""
    if kind.report.right_means:
        said = _("Drawn from the rows that the run got right.") if wanted == "right" else _("Drawn from the rows that the run got wrong.")
    else:
        said = _("Drawn from the rows predicted well.") if wanted == "right" else _("Drawn from the rows predicted badly.")
    st.caption(f"{said} {_(kind.report.right_means or BY_NEARNESS)}")


def _said_by_the_table(run: Run, task: str, found: examples.Example, kind: TaskKind, columns: Collection[str], _: Translate) -> None:
    called, empty = examples.labels_called(run, task, found.labels), kind.report.said_by_no_label(run.tasks[task].options)

    def said(column: str, text: str) -> str:
        name = called.get(column)
        text = _(text) if text == empty else text
        return f"**{plain(_short(text))}**" if name is None else f"**{plain(_short(name))}** ({plain(_short(text))})"

    at = {"file": plain(found.file), "line": f"{found.line:,}"}
    if found.labels:
        labels = ", ".join(f"{plain(column)} = {said(column, text)}" for column, text in found.labels.items())
        st.markdown(_("Line {line} of “{file}” says: {labels}").format(**at, labels=labels))
        return
    without = [plain(_(field.help)) for field in kind.fields if field.type == "label" and field.name not in columns]
    st.markdown(" ".join([_("Line {line} of “{file}” has no label.").format(**at), *(f":small[{text}]" for text in without)]))


def _short(text: str, most: int = 300) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
