"""An encoder that lies elsewhere: fetched from a hub, or read from a folder that somebody's file names, when the person says so."""

from pathlib import Path

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.model.folders import hub_size, is_fetched, is_folder
from pages.parts.frame import workspace
from pages.parts.source import Source
from pages.parts.text import plain, size


def agreed(name: str, found: Source, _: Translate) -> bool:
    """Whether the encoder of an experiment may be looked at; asks the person where it may not yet. found: what it began with."""
    if is_folder(name):
        if not found.sent or name != found.experiment.encoder.name or workspace().contains(Path(name).expanduser()):
            return True
        question = _("Use the encoder in the folder {folder}: the experiment file names it, and it is not in the workspace").format(
            folder=plain(name)
        )
    elif name == "minilm" or not is_fetched(name):
        return True
    else:
        question = _("Download the encoder {name} from huggingface.co for this training").format(name=plain(name))
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        said = st.checkbox(question, key=f"elsewhere.{name}", width="stretch")
        if not is_folder(name):
            if st.button(_("How large is it?"), key=f"how_large.{name}", icon=":material/cloud:", help=_("Asks huggingface.co.")):
                st.session_state[f"size_of.{name}"] = hub_size(name) or 0
            if (n_bytes := st.session_state.get(f"size_of.{name}")) is not None:
                st.caption(size(n_bytes) if n_bytes else _("huggingface.co does not say. Check the name and the connection."))
    return said
