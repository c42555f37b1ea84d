"""What stands in the URL, and what a page shows of it."""

import pytest
from streamlit.testing.v1 import AppTest

from mtl_core.base.workspace import Workspace
from tests.app.conftest import Open, no_exception
from tests.app.test_compare import recorded


def entered(at: AppTest, page: str, **query: str) -> AppTest:
    """By a link, or, without a query, by the navigation."""
    at.query_params.clear()
    at.query_params |= query
    at.switch_page(f"pages/{page}.py")
    return no_exception(at.run())


@pytest.mark.parametrize(
    ("page", "query", "said"),
    [
        ("runs", {"made": "maybe"}, "The link asks for made = “maybe”, which is not there."),
        ("train", {"from": "sample", "n_seeds": "900"}, "The link asks for n\\_seeds = “900”, which is not there."),
        ("train", {"from": "sample", "n_seeds": "two"}, "The link asks for n\\_seeds = “two”, which is not there."),
        ("train", {"from": "0000"}, "There is no run “0000” in this workspace."),
    ],
)
def test_a_value_that_cannot_be_is_said_once(opened: Open, workspace: Workspace, page: str, query: dict[str, str], said: str) -> None:
    recorded(workspace, "run", 0.5, weight=1.0)
    warnings = [warning.value for warning in opened(page, **query).warning]
    assert len(warnings) == 1 and warnings[0].startswith(said)


def test_the_navigation_finds_the_run_again_and_a_link_shows_what_it_says(opened: Open, workspace: Workspace) -> None:
    first, second = (recorded(workspace, f"run {n}", 0.5, weight=1.0) for n in range(2))
    at = opened("train", run=first.id)
    entered(at, "runs")
    assert entered(at, "train").selectbox(key="run").value == first.id
    entered(at, "runs")
    assert entered(at, "train", run=second.id).selectbox(key="run").value == second.id
    entered(at, "runs")
    assert entered(at, "train", **{"from": "sample"}).selectbox(key="run").value is None
    assert at.session_state["lang"] == "en"


def test_a_click_that_the_browser_sent_before_it_had_the_new_url_is_no_way_back(opened: Open, workspace: Workspace) -> None:
    recorded(workspace, "run", 0.5, weight=1.0)
    at = opened("runs")
    before = dict(at.query_params)
    at.text_input(key="find").set_value("run").run()
    assert no_exception(at).query_params["find"] == "run"
    at.query_params.clear()
    at.query_params |= before
    assert no_exception(at.run()).text_input(key="find").value == "run"
    assert at.query_params["find"] == "run"
