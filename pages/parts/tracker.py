"""MLflow: where the copies of the runs are, why they are late, and writing them anew."""

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.jobs import jobs
from mtl_core.tracking import mlflow_store
from pages.parts.frame import workspace
from pages.parts.text import plain


def show_trouble(_: Translate) -> None:
    """Nothing where nothing is late."""
    mirror = jobs().mirror(workspace())
    if mirror.error is None:
        return
    with st.container(border=True, key="tracker"):
        st.markdown(f":material/sync_problem: **{_('MLflow does not have all runs yet')}**")
        st.markdown(f"{plain(mirror.error)}  \n{_('Training goes on, nothing is lost, and it is tried again by itself.')}")
        with st.container(horizontal=True):
            st.button(_("Try now"), icon=":material/refresh:", key="tracker_now", on_click=mirror.wake)
            if mlflow_store.database(workspace()) is not None:
                _rebuild(_)


def show(_: Translate) -> None:
    mirror = jobs().mirror(workspace())
    with st.expander(_("MLflow"), icon=":material/database:"):
        address = mlflow_store.without_passwords(workspace().mlflow_uri)
        st.markdown(_("Every run is copied to {address}. With the package `mlflow` it is looked at with:").format(address=plain(address)))
        st.code(f'mlflow ui --backend-store-uri "{address}"', language="bash")
        if mirror.error is None and mlflow_store.database(workspace()) is not None:
            _rebuild(_)


def _rebuild(_: Translate) -> None:
    st.button(
        _("Write all runs anew"),
        icon=":material/restart_alt:",
        key="tracker_rebuild",
        on_click=jobs().mirror(workspace()).rebuild,
        help=_("Sets MLflow's database aside under another name and writes every run to a new one from its journal."),
    )
