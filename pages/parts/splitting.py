"""How rows are divided: the widgets of `SplitConfig`."""

from collections.abc import Sequence
from typing import Any

import streamlit as st
from pydantic import ValidationError

from mtl_core.base.messages import N_, Translate
from mtl_core.data.split import SplitConfig
from pages.parts.text import plain

WAYS = {
    "random": N_("Random"),
    "group": N_("By group"),
    "time": N_("By time"),
    "stratified": N_("Stratified by label"),
    "column": N_("From a column"),
}


def choose(columns: Sequence[str], likely: dict[str, str], given: dict[str, Any], key: str, _: Translate) -> SplitConfig | None:
    """likely: way → the column that is probably meant; given: what to begin with, as in an experiment. None while a column is missing or
    the shares leave nothing to train on."""
    fields = SplitConfig.model_fields
    by = st.segmented_control(
        _("Split into training, validation and test"),
        list(WAYS),
        key=f"{key}.by",
        default=given.get("by", "random"),
        required=True,
        format_func=lambda way: _(WAYS[way]),
        help=plain(_(fields["by"].description or "")),
        wrap=True,
        persist_state="session",
    )
    values: dict[str, object] = {**({"values": given.get("values")} if by == given.get("by") else {}), "by": by}
    with st.grid(4, min_column_width=200):
        if by != "random":
            proposed = str((given.get("column") if by == given.get("by") else likely.get(by)) or "")
            values["column"] = st.selectbox(
                _("Column"),
                columns,
                index=list(columns).index(proposed) if proposed in columns else None,
                key=f"{key}.column.{by}",
                placeholder=_("Choose a column"),
                help=plain(_(fields["column"].description or "")),
                persist_state="session",
            )
        if by != "column":
            for part, label in (("validation", _("Validation fraction")), ("test", _("Test fraction"))):
                values[part] = st.slider(label, 0.0, 0.5, given.get(part, 0.1), 0.01, key=f"{key}.{part}", persist_state="session")
        if by not in ("column", "time"):
            help_ = plain(_(fields["seed"].description or ""))
            values["seed"] = st.number_input(
                _("Seed"), 0, 2**31 - 1, given.get("seed", 0), key=f"{key}.seed", help=help_, persist_state="session"
            )
    if by != "random" and not values["column"]:
        st.caption(_("Choose the column to split by."))
        return None
    try:
        return SplitConfig.model_validate(values)
    except ValidationError:
        st.caption(_("Validation and test together leave no rows for training."))
        return None
