"""How the tasks are balanced: one of three groups, and a strategy of it with its options."""

from dataclasses import replace
from typing import Any

import streamlit as st

from mtl_core.balancing import BALANCING, GROUPS, RECOMMENDED, WHY_RECOMMENDED
from mtl_core.base.messages import Translate
from mtl_core.base.settings import widgets
from mtl_core.config.experiment import Experiment
from pages.parts import settings


def show(experiment: Experiment, n_tasks: int, prefix: str, _: Translate) -> dict[str, Any]:
    """experiment: with the strategy that is chosen now; n_tasks: that take part. Returns path → value."""
    strategy, key = BALANCING[experiment.balancing.name], f"{prefix}.balancing.name"
    st.session_state[f"{prefix}.group"] = strategy.group
    st.segmented_control(
        _("Where the weights come from"),
        list(GROUPS),
        key=f"{prefix}.group",
        required=True,
        wrap=True,
        format_func=lambda group: _(GROUPS[group]),
        on_change=_first_of_group,
        args=(prefix,),
        help=_(WHY_RECOMMENDED),
    )
    drawn = [s for s in widgets(experiment.balancing, "balancing") if settings.drawable(s)]
    names = tuple(name for name, one in BALANCING.items() if one.group == strategy.group)
    labels = {name: BALANCING[name].label for name in names}
    drawn = [replace(s, choices=names, labels=labels, keys="strategies") if s.path == "balancing.name" else s for s in drawn]
    st.session_state.setdefault(key, strategy.name)
    values = settings.draw_all(drawn, prefix, _, width=150, columns=2, even=all(s.type != "mapping" for s in drawn))
    if strategy.name == RECOMMENDED:
        st.caption(":material/thumb_up: " + _("Recommended.") + " " + _(strategy.help), help=_(WHY_RECOMMENDED))
    else:
        st.caption(_(strategy.help) + " " + _("What a loss weight means here:") + " " + _(strategy.slider), help=_(WHY_RECOMMENDED))
    if n_tasks == 1:
        st.caption(_("With one task there is nothing to balance: only its loss weight is used, whatever the strategy."))
    return values


def _first_of_group(prefix: str) -> None:
    group = st.session_state[f"{prefix}.group"]
    st.session_state[f"{prefix}.balancing.name"] = next(name for name, one in BALANCING.items() if one.group == group)
