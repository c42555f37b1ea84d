"""A prediction on the page: drawn by the types of its values."""

from typing import Any

from streamlit.testing.v1 import AppTest

from pages.parts import forms


def drawn(prediction: dict[str, Any]) -> AppTest:
    def script(prediction):  # type: ignore[no-untyped-def]  # runs alone, without the imports above
        from mtl_core.tasks import KINDS
        from pages.parts import forms

        forms.answer(KINDS["extraction"], prediction, "place", str)

    at = AppTest.from_function(script, kwargs={"prediction": prediction}, default_timeout=30).run()
    assert not at.exception
    return at


def test_a_list_of_mappings_is_a_table() -> None:
    spans = [{"attribute": "brand", "text": "<b>", "start": 0, "end": 3, "probability": 0.5}]
    at = drawn({"label": "brand: <b>", "probability": 0.5, "spans": spans})
    assert [m.value for m in at.metric] == [r"brand\: \<b\>", "50.0%"]
    (table,) = at.dataframe
    assert table.value.to_dict("records") == [
        {"Attribute": "brand", "Text": "<b>", "From character": 0, "To character": 3, "Probability": 0.5}
    ]
    assert table.proto.alt == "Position in the text"


def test_a_number_is_written_with_the_sign_that_it_is_read_with() -> None:
    """1.125 in a column of decimal commas would be read as 1125."""

    def script() -> None:
        import streamlit as st

        from mtl_core.tasks import KINDS
        from pages.parts import forms

        fields = [field for field in KINDS["click_through"].fields if field.name == "numbers"]
        if "filled" not in st.session_state:
            st.session_state.filled = True
            forms.fill({"numbers": [1.125, 7.0, 0.5, None]}, fields, "p", {"numbers": [",", ",", ".", ""]})
        st.session_state.read = forms.inputs(fields, {"numbers": ["a", "b", "c", "d"]}, {}, "p", str)

    at = AppTest.from_function(script, default_timeout=30).run()
    assert not at.exception and at.session_state["read"] == {"numbers": ["1,125", "7", "0.5", None]}


def test_an_empty_list_is_left_out() -> None:
    at = drawn({"label": "nothing found", "spans": []})
    assert not at.dataframe and [m.value for m in at.metric] == ["nothing found"]


def test_blanks_and_what_no_one_sees_are_nothing() -> None:
    for blank in ("", "  ", "\n\t", "\u3000", "\u200b\u200b", " \ufeff "):
        assert forms.is_empty({"text": blank, "texts": [], "category": [None], "number": [None]})
        assert forms.is_empty({"category": [blank]})
    assert not forms.is_empty({"text": "\u200bx"})
    assert not forms.is_empty({"text": "", "number": [0.0]})
