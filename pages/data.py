"""Data: tables are brought in and looked at, and become tasks of the experiment; all of them together, or one opened."""

import streamlit as st

from mtl_core.api.own_tables import own_tables
from mtl_core.data.problems import has_errors
from pages.parts import address, look, opening, owned, problems, reading, table, tables, task, together, undo, upload
from pages.parts.background import follow, ready, settle
from pages.parts.frame import begin, workspace

_ = begin("data")

editing = table.opened_task(_)
chosen = editing[1] if editing else table.opened(_)
if chosen:
    st.button(_("All tables"), icon=":material/arrow_back:", key="back", type="tertiary", on_click=opening.close)
elif table.source(_) == "sample":
    chosen = table.of_the_shop(_)
else:
    opening.nothing()
    own = own_tables(workspace())
    upload.show(own, _)
    undo.show(owned.restore, _)
    tables.show(own, _)
    owned.trash(_)

if chosen:
    options = reading.chosen_for(chosen, editing[2].data if editing else {})
    work = look.ask(chosen, options.get("encoding"), options.get("sheet"))
    follow(settle([work]), _("Reading the table … {seconds} s"), _)
    if looked := ready(work):
        look.preview(chosen, looked, _)
        look.again(chosen, looked.problems, _)
        reading.choose(chosen, looked, options, _)
        above, checked = st.container(), None
        if looked.head is not None and looked.proposals:
            name, start = (editing[0], editing[2]) if editing else (None, together.proposed(chosen, looked.proposals))
            checked = task.build(chosen, looked.head, start, options, _, changes=name)
        found = checked.problems if checked else looked.problems  # the check finds again what was seen at the first look
        with above if has_errors(found) else st.container():  # over the whole width; what must be mended before the form
            if not checked:
                problems.summary(found, _)
            problems.table(found, _)
    else:
        address.leave()  # written when the kind of task is known too: one step of the browser's history, not two
