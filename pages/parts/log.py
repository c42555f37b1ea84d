"""A transaction log: which column is who, what and when, and how rows are made of it."""

from collections.abc import Sequence

import streamlit as st

from mtl_core.data.transactions import TransactionOptions
from mtl_core.messages import N_, Translate
from mtl_core.settings import widgets
from pages.parts import settings
from pages.parts.text import plain

COLUMNS = {  # option → label, what such columns are called
    "user": (N_("User"), ("user", "customer", "client", "member", "account", "buyer")),
    "item": (N_("Item"), ("item", "stock", "product", "sku", "asin", "article", "goods")),
    "text": (N_("Item text"), ("description", "title", "name", "text")),
    "time": (N_("Time"), ("date", "time", "timestamp", "day")),
    "quantity": (N_("Quantity (optional)"), ("quantity", "qty", "amount")),
    "rating": (N_("Rating (optional)"), ("rating", "stars", "score")),
}


def choose(columns: Sequence[str], key: str, _: Translate) -> TransactionOptions | None:
    """None while a column is missing."""
    fields = TransactionOptions.model_fields
    values: dict[str, object] = {}
    with st.grid(3, min_column_width=220):
        for name, (label, words) in COLUMNS.items():
            values[name] = st.selectbox(
                _(label),
                columns,
                index=likely(columns, words),
                key=f"{key}.{name}",
                placeholder=_("Choose a column"),
                help=plain(_(fields[name].description or "")),
                persist_state="session",
            )
    with st.expander(_("How rows are made from the log"), icon=":material/tune:"):
        rest = [s for s in widgets(TransactionOptions) if s.path not in COLUMNS and settings.drawable(s)]
        values |= settings.draw_all(rest, key, _)
    if not all(values[name] for name in ("user", "item", "text", "time")):
        st.caption(_("Choose the columns for user, item, item text and time."))
        return None
    return TransactionOptions.model_validate(values)


def likely(columns: Sequence[str], words: Sequence[str]) -> int | None:
    """The place of the first column that is called like one of `words`, the earlier words first."""
    return next((i for word in words for i, column in enumerate(columns) if word in column.lower()), None)
