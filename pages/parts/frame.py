"""What every page begins with. `app.py` runs `navigation()`; a page begins with `_ = begin("train")`.

Streamlit runs a page of `pages/` without `app.py` when it is entered by a link before any other: `begin` then builds the navigation
and runs the script again, now through `app.py`.
"""

import functools
import time
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from mtl_core.base.language import LANGUAGES, choose, translator
from mtl_core.base.messages import N_, Translate
from mtl_core.base.room import RoomError, try_out
from mtl_core.base.workspace import Workspace
from pages.parts import address, clicks
from pages.parts.text import plain

PAGES = {
    "home": (N_("Home"), ":material/home:"),
    "data": (N_("Data"), ":material/table:"),
    "train": (N_("Train"), ":material/model_training:"),
    "runs": (N_("Runs"), ":material/list_alt:"),
    "compare": (N_("Compare"), ":material/compare_arrows:"),
    "predict": (N_("Predict"), ":material/online_prediction:"),
}
_FOLDER = Path(__file__).parents[1]
_DARK = _FOLDER / "parts" / "dark.css"
_ICON = _FOLDER / "parts" / "icon.svg"  # our own: without one the browser fetches the page's of the navigation from fonts.gstatic.com
_WORDMARK = (_FOLDER / "parts" / "wordmark.svg").read_text(encoding="utf-8").strip()
_WIDE = 0.1
"""Seconds, once in a browser window: it makes room to the sides before there is anything in it that would jump there."""
_INK, _INK_DARK = "#0b0f14", "#e6eaef"  # `textColor` of the themes


def navigation() -> StreamlitPage:
    """The pages above. A sidebar would push everything aside when the browser has loaded it. Returns the page to run."""
    st.set_page_config(page_title="MTL Workbench", page_icon=_ICON, layout="wide")
    if "navigated" not in st.session_state:
        time.sleep(_WIDE)
    _ = translator(language())
    pages = [
        st.Page(_FOLDER / f"{name}.py", title=_(title), icon=icon, url_path=name, default=name == "home")
        for name, (title, icon) in PAGES.items()
    ]
    page = st.navigation(pages, position="top")
    st.session_state.navigated = True
    return page


def begin(name: str, heading: str | None = None) -> Translate:
    """The frame of the page `name` (a key of PAGES): heading with the language beside it, browser title, and jobs of a dead server
    marked as interrupted. The heading comes first: the rest loads half a second of libraries when a server is new.

    heading: in place of the page's name, marked with N_. Returns the function that translates.
    """
    if "navigated" not in st.session_state:
        navigation()
        st.rerun()
    clicks.due()
    if st.session_state.get("page") != name:
        _enter(name)
        st.session_state.pop("undo", None)  # what was deleted on another page stays in the trash
    elif address.went_back():
        _enter(name)
        st.session_state.pop("asking", None)  # the page Predict follows its link again
    _ = translator(language())
    title, _icon = PAGES[name]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(_(heading or title), width="stretch")
        _choose_language(_)
    st.set_page_config(page_title=f"{_(title)} · MTL Workbench")
    dark = st.context.theme.type == "dark"
    st.logo(_WORDMARK.replace(_INK, _INK_DARK) if dark else _WORDMARK, size="large")
    if dark:
        st.html(_DARK)
    try:
        _recover(workspace())
    except RoomError as error:
        st.error(plain(error.message.text(_)), icon=":material/hard_drive:")
        st.button(_("Try again"), icon=":material/refresh:")
        address.stop()
    return _


def _enter(name: str) -> None:
    """Another page, or another moment of this one: only what its URL says holds, and the language. The browser forgets the widgets of
    another page, so each is given its value anew."""
    for key in st.session_state.pop("linked", set()) | set(st.query_params):  # of `url.keep`
        st.session_state.pop(key, None)
        st.session_state.pop(f"missing.{key}", None)
    st.session_state.recalls = not set(st.query_params) - {"lang"}  # by the navigation, not by a link that says what to show
    st.session_state.lang = language()
    st.session_state.page = name


def _choose_language(_: Translate) -> None:
    st.segmented_control(
        _("Language"),
        list(LANGUAGES),
        format_func=LANGUAGES.__getitem__,
        key="lang",
        required=True,
        label_visibility="collapsed",
        width=170,
    )
    address.write("lang", [st.session_state.lang])


def language() -> str:
    """Chosen on a page, else by the URL (?lang=zh), else by the browser."""
    return choose(st.session_state.get("lang"), st.query_params.get("lang"), st.context.locale)


def workspace() -> Workspace:
    return Workspace.default()


def page(name: str) -> Path:
    """For st.page_link and st.switch_page."""
    return _FOLDER / f"{name}.py"


@functools.cache
def _recover(where: Workspace) -> None:
    """Once in a process: what ran in another process that is gone is marked as interrupted. Raises RoomError, each time."""
    try_out(where.root)
    from mtl_core.jobs import jobs

    jobs().recover(where)
