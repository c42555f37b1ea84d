"""A transaction log: which column is who, what and when, and how rows are made of it."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from mtl_core.base.messages import N_, Translate
from mtl_core.base.settings import widgets
from mtl_core.data.transactions import TransactionConfig, suggest_roles
from pages.parts import settings
from pages.parts.text import plain

ROLES = {
    "user": N_("User"),
    "item": N_("Item"),
    "text": N_("Item text"),
    "time": N_("Time"),
    "quantity": N_("Quantity (optional)"),
    "rating": N_("Rating (optional)"),
}


def choose(columns: Sequence[str], given: dict[str, Any], key: str, _: Translate) -> TransactionConfig | None:
    """None while a column is missing. given: what to begin with, as in an experiment; columns that are not named are suggested."""
    fields, proposed = TransactionConfig.model_fields, given or suggest_roles(columns)
    values: dict[str, object] = {}
    with st.grid(3, min_column_width=220):
        for name, label in ROLES.items():
            values[name] = st.selectbox(
                _(label),
                columns,
                index=list(columns).index(proposed[name]) if proposed.get(name) in columns else None,
                key=f"{key}.{name}",
                placeholder=_("Choose a column"),
                help=plain(_(str(fields[name].description))),
                persist_state="session",
            )
    with st.expander(_("How rows are made from the log"), icon=":material/tune:"):
        rest = [s for s in widgets(settings.begun(TransactionConfig, given)) if s.path not in ROLES and settings.drawable(s)]
        values |= settings.draw_all(rest, key, _)
    if not all(values[name] for name in ("user", "item", "text", "time")):
        st.caption(_("Choose the columns for user, item, item text and time."))
        return None
    return TransactionConfig.model_validate(values)
