"""How a file is read, where it does not say so itself: its encoding, its sheet, the order of day and month."""

from typing import Any

import streamlit as st

from mtl_core.api.looked import Looked
from mtl_core.base.messages import Translate
from mtl_core.base.settings import widgets
from mtl_core.config.parts import DataConfig
from pages.parts.look import Chosen
from pages.parts.text import plain

ENCODINGS = ("utf-8", "gb18030", "big5", "shift_jis", "euc_kr", "cp1250", "cp1251", "cp1252", "utf-16")
_TEXT = (".csv", ".tsv", ".tab", ".txt", ".jsonl", ".ndjson", ".json", ".gz", ".zip")


def chosen_for(chosen: Chosen, given: dict[str, Any]) -> dict[str, Any]:
    """encoding, sheet and dates as chosen for the table, else as `given`; those that are left to be found out are left out."""
    values = {name: st.session_state.get(f"reading.{name}.{chosen.file}", given.get(name)) for name in ("encoding", "sheet", "dates")}
    return {name: value for name, value in values.items() if value}


def choose(chosen: Chosen, looked: Looked, values: dict[str, Any], _: Translate) -> None:
    """The widgets that `chosen_for` reads on the next run; each only where it can matter."""
    fields, name = DataConfig.model_fields, chosen.name.lower()
    doubtful = (looked.encoding or "utf-8").lower() not in ("utf-8", "utf-8-sig") or looked.head is None
    labels = next(setting.labels for setting in widgets(DataConfig) if setting.path == "dates")
    folded = st.expander(
        _("How the file is read"), icon=":material/translate:", expanded=len(looked.sheets) > 1 or (doubtful and name.endswith(_TEXT))
    )
    with folded, st.grid(3, min_column_width=200):
        for part, options in (("encoding", ENCODINGS), ("dates", tuple(labels))):
            if part == "encoding" and not name.endswith(_TEXT):
                continue
            found = _("detected: {encoding}").format(encoding=looked.encoding) if looked.encoding else _("automatic")
            st.selectbox(
                _(str(fields[part].title)),
                options,
                index=options.index(values[part]) if values.get(part) in options else None,
                format_func=lambda value: _(labels.get(value, value)),
                placeholder=found if part == "encoding" else _("automatic"),
                help=plain(_(str(fields[part].description))),
                key=f"reading.{part}.{chosen.file}",
                persist_state="session",
            )
        if len(looked.sheets) > 1:
            st.selectbox(
                _(str(fields["sheet"].title)),
                looked.sheets,
                index=looked.sheets.index(values["sheet"]) if values.get("sheet") in looked.sheets else None,
                placeholder=_("the first: {sheet}").format(sheet=looked.sheets[0]),
                help=plain(_(str(fields["sheet"].description))),
                key=f"reading.sheet.{chosen.file}",
                persist_state="session",
            )
