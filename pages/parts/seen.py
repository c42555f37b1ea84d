"""How often the training rows of each task were seen."""

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.tracking.series import SEEN_OFTEN, Seen
from pages.parts import cells
from pages.parts.text import plain


def show(tasks: dict[str, Seen], _: Translate) -> None:
    if not any(found.drawn for found in tasks.values()):
        return
    times = _("Times each row was seen")
    columns = {
        _("Task"): list(tasks),
        _("Training rows"): [found.rows for found in tasks.values()],
        _("Examples seen"): [found.drawn for found in tasks.values()],
        times: [found.times for found in tasks.values()],
    }
    config = {times: st.column_config.NumberColumn(format="%.1f")}
    cells.table(
        columns,
        height="content",
        column_config=config,
        key="seen",
        alt=_("Number of times the training rows of each task were seen"),
    )
    if often := [plain(task) for task, found in tasks.items() if found.often]:
        said = _(
            "Rows of {tasks} were seen more than {n} times each. Check whether the validation loss rises; other ways of sampling repeat "
            "less."
        )
        st.warning(said.format(tasks=", ".join(often), n=f"{SEEN_OFTEN:.0f}"), icon=":material/repeat:")
