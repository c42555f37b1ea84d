"""What a browser sent: copied to the disk once, then let go of. Streamlit would hold it for as long as the page is open, and then some."""

import gc
from pathlib import Path

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from mtl_core.data.upload import UPLOADS, save_upload
from pages.parts.frame import workspace

_LARGE = 16 << 20


def keep(file: UploadedFile, key: str, folder: str = UPLOADS) -> Path:
    """As `save_upload`. key: of the uploader, which is to be another from now on. Raises DataError."""
    try:
        return save_upload(file, file.name, workspace(), folder=folder)
    finally:
        file.close()
        context = get_script_run_ctx()
        if context and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
            context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)
        st.session_state.pop(key, None)  # else held until the page is drawn anew, or for as long as a closed one is remembered
        if file.size > _LARGE:
            gc.collect()  # what received it stands in circles of references, and Python looks for those when it has time
