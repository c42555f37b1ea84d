"""The first page: what this is, one button that trains the sample shop, recent runs, what to do next. Paints without torch."""

import streamlit as st

from mtl_core.base.messages import N_
from pages.parts.frame import begin, page, workspace

_ = begin("home", N_("One model for all tasks of your shop"))

from mtl_core.tracking.runs import all_runs  # noqa: E402 - after the heading is on its way to the browser
from pages.parts import closed, damaged, listing, sample, tracker  # noqa: E402
from pages.parts.clicks import Once  # noqa: E402

st.markdown(
    _(
        "A shop runs many models: what to recommend, what to show for a query, which ad to place, what a customer wants. This workbench "
        "fine-tunes **one shared pretrained transformer on all of them at once**. Every task has a loss weight, set with a slider. Watch "
        "each task learn, adjust the weights while it does, and see which tasks help or hurt each other. Everything runs on this "
        "machine."
    )
)
if closed.left_to_proxy() and not closed.Served.configured().local:
    st.info(
        _(
            "Other machines can reach this server, and it asks for no access code: `MTL_ALLOW_NETWORK=1` leaves it to a proxy in front of "
            "it to ask who comes."
        ),
        icon=":material/public:",
    )

with st.container(horizontal=True, vertical_alignment="center"):
    five = _("Train the sample shop")
    st.button(five, type="primary", icon=":material/play_arrow:", key="train_sample", on_click=sample.train, args=("sample", Once()))
    whole = _("Train the whole sample shop")
    st.button(whole, icon=":material/storefront:", key="train_whole", on_click=sample.train, args=("whole", Once()))
    st.page_link(page("data"), label=_("Use your own tables"), icon=":material/upload:")
st.caption(_("On a laptop the sample shop, five tasks, trains in about two minutes; the whole shop, a task of every kind, in five to six."))
if run_id := st.session_state.pop("shop_run", None):
    st.switch_page(page("train"), query_params={"run": run_id})

st.subheader(_("Recent runs"))
found, broken = all_runs(workspace())
damaged.show(broken, _)
tracker.show_trouble(_)
runs = [run for run in found if not run.purpose]
if runs:
    listing.table(runs[:5], "recent", _, choosing=False)
    st.page_link(page("runs"), label=_("All runs: {n}").format(n=len(runs)), icon=":material/list_alt:")
else:
    st.caption(_("No run yet. Train the sample shop, or add tasks from your own tables on the page Data."))

st.subheader(_("How it works"))
STEPS = [
    (page("data"), ":material/table_chart:", _("Data"), _("Upload a table, see its problems, and map its columns.")),
    (page("train"), ":material/model_training:", _("Train"), _("Set a loss weight for each task, start, watch the curves and adjust.")),
    (page("compare"), ":material/compare_arrows:", _("Compare"), _("Put runs with different weights side by side.")),
    (page("predict"), ":material/psychology:", _("Predict"), _("Try the trained model on a query, an ad, a message.")),
]
with st.grid(4, min_column_width=180):
    for target, icon, label, sentence in STEPS:
        with st.container(border=True, height="stretch"):
            st.page_link(target, label=label, icon=icon)
            st.caption(sentence)
