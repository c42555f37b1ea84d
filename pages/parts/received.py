"""What a browser sent: copied to the disk once, then let go of. The uploader that brought it gets another key by whoever shows it."""

from pathlib import Path

from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from mtl_core.data.upload import save_upload
from pages.parts.frame import workspace


def keep(file: UploadedFile) -> Path:
    """As `save_upload`; Streamlit would hold the file in memory for as long as the page is open. Raises DataError."""
    try:
        return save_upload(file, file.name, workspace())
    finally:
        file.close()
        context = get_script_run_ctx()
        if context and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
            context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)
