"""How rows are divided: the widgets of `SplitConfig`."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from pydantic import ValidationError

from mtl_core.base.messages import Translate
from mtl_core.base.settings import widgets
from mtl_core.data.split import BY_COLUMN, SplitConfig
from pages.parts.text import plain

WAYS = {setting.path: setting for setting in widgets(SplitConfig)}["by"].labels


def choose(
    columns: Sequence[str], likely: Mapping[str, str], given: Mapping[str, Any], files: Mapping[str, str], key: str, _: Translate
) -> SplitConfig | None:
    """None while a column or a file is missing, or the shares leave nothing to train on.

    likely: way → the column that is probably meant; given: what to begin with, as in an experiment; files: that may hold a part → what the
    person calls them.
    """
    fields = SplitConfig.model_fields
    by = st.segmented_control(
        _("Split into training, validation and test"),
        [way for way in WAYS if way != "files" or files],
        key=f"{key}.by",
        default=given.get("by", "random"),
        required=True,
        format_func=lambda way: _(WAYS[way]),
        help=plain(_(str(fields["by"].description))),
        wrap=True,
        persist_state="session",
    )
    values: dict[str, object] = {**({"values": given.get("values")} if by == given.get("by") else {}), "by": by}
    with st.grid(4, min_column_width=200):
        for part in ("validation_file", "test_file") if by == "files" else ():
            begin = str(given.get(part))
            values[part] = st.selectbox(
                _(str(fields[part].title)),
                list(files),
                index=list(files).index(begin) if begin in files else None,
                format_func=lambda file: files.get(file, file),
                key=f"{key}.{part}",
                placeholder=_("Choose a table"),
                help=plain(_(str(fields[part].description))),
                persist_state="session",
            )
        if by in BY_COLUMN:
            proposed = str((given.get("column") if by == given.get("by") else likely.get(by)) or "")
            begun = f"{key}.column.{by}"
            if begun not in st.session_state or st.session_state[begun] not in (None, *columns):
                st.session_state[begun] = proposed if proposed in columns else None
            _follow(begun, likely.get(by))
            values["column"] = st.selectbox(
                _("Column"),
                columns,
                index=None,
                key=begun,
                placeholder=_("Choose a column"),
                help=plain(_(str(fields["column"].description))),
                persist_state="session",
            )
        if by not in ("column", "files"):
            for part, label in (("validation", _("Validation fraction")), ("test", _("Test fraction"))):
                values[part] = st.slider(label, 0.0, 0.5, given.get(part, 0.1), 0.01, key=f"{key}.{part}", persist_state="session")
        if by not in ("column", "time", "files"):
            help_ = plain(_(str(fields["seed"].description)))
            values["seed"] = st.number_input(
                _("Seed"), 0, 2**31 - 1, given.get("seed", 0), key=f"{key}.seed", help=help_, persist_state="session"
            )
    if by in BY_COLUMN and (before := _followed(f"{key}.column.{by}")):
        text = _("The split follows the field: by {column} now, no longer by {before}.")
        st.caption(":material/info: " + text.format(column=plain(f"“{values['column']}”"), before=plain(f"“{before}”")))
    if by == "files" and not (values["validation_file"] or values["test_file"]):
        st.caption(_("Choose the table that holds the validation rows, the test rows, or one for each."))
        return None
    if by in BY_COLUMN and not values["column"]:
        st.caption(_("Choose the column to split by."))
        return None
    try:
        return SplitConfig.model_validate(values)
    except ValidationError:
        st.caption(_("Validation and test together leave no rows for training."))
        return None


def offer_group(column: str, key: str, _: Translate) -> None:
    """A button that keeps rows with equal texts in one part, where they are divided at random. key: as for `choose`."""
    if st.session_state.get(f"{key}.by") in ("random", "stratified"):
        label = _("Keep equal texts in one part")
        st.button(label, key="keep_together", icon=":material/join:", on_click=_by_group, args=(column, key))


def _by_group(column: str, key: str) -> None:
    st.session_state[f"{key}.by"], st.session_state[f"{key}.column.group"] = "group", column


def _follow(key: str, likely: str | None) -> None:
    """Rows that were divided by the column of a field (stratified by the label, grouped by the query) are so by its next column too.
    key: of the widget; likely: the field's column now."""
    if likely is None:
        return  # between two choices
    was = st.session_state.get(f"{key}.likely", likely)
    st.session_state[f"{key}.likely"] = likely
    if likely != was and st.session_state[key] == was:
        st.session_state[key], st.session_state[f"{key}.followed"] = likely, (was, likely)


def _followed(key: str) -> str | None:
    """The column that was left so, while the one that took its place stands."""
    before, now = st.session_state.get(f"{key}.followed", (None, None))
    return before if now == st.session_state[key] else None
