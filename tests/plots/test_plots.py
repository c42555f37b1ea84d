"""Charts: what is drawn, in which colour."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go
import pytest

from mtl_core import plots
from mtl_core.base.workspace import Workspace
from mtl_core.plots import style


@dataclass
class Run:
    """Two tasks; `ads` had no rows in step 2."""

    tasks: tuple[str, ...] = ("search", "ads")
    losses: dict = field(default_factory=lambda: {"search": ([1, 2, 3], [3.0, 2.0, 1.0]), "ads": ([1, 3], [0.7, 0.6])})
    weights: dict = field(default_factory=lambda: {"search": ([0, 2, 3], [1.0, 4.0, 4.0]), "ads": ([0, 3], [1.0, 1.0])})
    metrics: dict = field(
        default_factory=lambda: {
            ("search", "loss"): ([0, 3], [3.1, 1.2]),
            ("search", "ndcg@10"): ([0, 3], [0.4, 0.6]),
            ("ads", "auc"): ([0, 3], [0.5, 0.7]),
        }
    )

    def loss(self, task: str) -> plots.Points:
        return self.losses[task]

    def mean_loss(self, task: str) -> plots.Points:
        return self.losses[task]

    def weight(self, task: str) -> plots.Points:
        return self.weights[task]

    def effective_weight(self, task: str) -> plots.Points:
        return {"search": ([1, 2, 3], [0.2, 0.3, 0.4]), "ads": ([1, 3], [0.8, 0.6])}[task]

    def validation(self, task: str, metric: str) -> plots.Points:
        return self.metrics.get((task, metric), ([], []))


def test_smooth_is_an_unbiased_moving_average() -> None:
    """By hand, strength 1/2: 4; (8 + 4/2) / (1 + 1/2); (0 + 8/2 + 4/4) / (1 + 1/2 + 1/4)."""
    np.testing.assert_allclose(plots.smooth([4.0, 8.0, 0.0], 0.5), [4.0, 10 / 1.5, 5 / 1.75])
    np.testing.assert_array_equal(plots.smooth([4.0, 8.0], 0.0), [4.0, 8.0])
    assert plots.smooth([], 0.9).tolist() == []


def test_a_task_has_one_colour_whatever_the_order() -> None:
    assert plots.task_colors(["b", "a", "c"]) == plots.task_colors(["c", "b", "a"])
    colors = plots.task_colors(f"t{i}" for i in range(8))
    assert len(set(colors.values())) == 8
    assert len(plots.task_colors(f"t{i}" for i in range(20))) == 20


def test_a_task_keeps_its_colour_beside_other_tasks_and_in_a_new_process(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.folder()
    first = plots.task_colors(["search", "returns"])
    second = plots.task_colors(["ads", "returns"])
    assert second["returns"] == first["returns"] and len({*first.values(), *second.values()}) == 3
    monkeypatch.setattr(style, "_unwritten", {})
    assert plots.task_colors(["ads", "search", "returns"]) == first | second
    assert set(plots.task_colors(["a new one", "search"])) == {"a new one", "search"}


def test_a_new_task_takes_a_colour_that_none_beside_it_has() -> None:
    known = {f"t{n}": n for n in range(8)} | {"late": 8}  # "late" shares the first colour
    assert style.with_numbers(known, ["late", "new", "t1"])["new"] == 8 + 2, "not that of late, nor of t1; of the others the first"
    assert style.with_numbers({}, ["b", "a"]) == {"b": 0, "a": 1}


def test_without_a_workspace_colours_hold_in_this_process_and_nothing_is_written(workspace: Workspace) -> None:
    assert plots.task_colors(["z"]) == plots.task_colors(["z"]) and len(set(plots.task_colors("zy").values())) == 2
    assert not workspace.root.exists()


def test_tasks_that_share_a_colour_have_another_line() -> None:
    tasks = tuple(f"t{i:02}" for i in range(20))
    run = Run(tasks=tasks, weights={task: ([0, 3], [1.0, 1.0]) for task in tasks})
    figure = plots.weights(run)
    styles = {(trace.line.color, trace.line.dash) for trace in figure.data}
    assert len(styles) == 20 and {trace.line.dash for trace in figure.data[:8]} == {"solid"}
    assert figure.layout.height > plots.weights(Run()).layout.height  # their names need room


def test_training_curves_draw_chosen_tasks_in_the_runs_colours() -> None:
    colors = plots.task_colors(["search", "ads"])
    figure = plots.training_curves(Run(), 0.0, ["ads"])
    assert [(trace.name, trace.line.color, list(trace.x)) for trace in figure.data] == [("ads", colors["ads"], [1, 3])]
    both = plots.training_curves(Run(), 0.6, ["ads", "search"])
    assert [(t.name, t.showlegend) for t in both.data] == [("search", False), ("search", None), ("ads", False), ("ads", None)]
    np.testing.assert_allclose(both.data[1].y, plots.smooth([3.0, 2.0, 1.0], 0.6))


def test_validation_curves_by_one_metric_or_each_tasks_own() -> None:
    by_name = plots.validation_curves(Run(), "ndcg@10")
    line, star = (t for t in by_name.data if len(t.y))
    assert (line.name, list(line.y)) == ("search", [0.4, 0.6])
    assert (star.mode, star.marker.symbol, list(star.y)) == ("markers", "star", [0.6])
    own = plots.validation_curves(Run(), {"search": "ndcg@10", "ads": "auc"})
    assert [(t.name, list(t.y)) for t in own.data if t.mode != "markers"] == [("search · ndcg@10", [0.4, 0.6]), ("ads · auc", [0.5, 0.7])]


def test_weights_are_stairs() -> None:
    figure = plots.weights(Run())
    assert [(t.name, t.line.shape, list(t.x), list(t.y)) for t in figure.data] == [
        ("search", "hv", [0, 2, 3], [1.0, 4.0, 4.0]),
        ("ads", "hv", [0, 3], [1.0, 1.0]),
    ]
    assert [(list(t.x), list(t.y)) for t in plots.weights(Run(), until=9).data] == [
        ([0, 2, 3, 9], [1.0, 4.0, 4.0, 4.0]),
        ([0, 3, 9], [1.0, 1.0, 1.0]),
    ]


def test_effective_weights_are_lines_in_the_tasks_colours() -> None:
    figure = plots.effective_weights(Run(), 0.0, ["ads"])
    (line,) = figure.data
    assert line.line.color == plots.task_colors(["search", "ads"])["ads"] and list(line.y) == [0.8, 0.6]


def test_agreement_is_blue_or_orange_only_where_it_is_told_from_zero() -> None:
    cosine = np.array([[1, -0.4, 0.3], [-0.4, 1, 0.05], [0.3, 0.05, 1]])
    significant = np.array([[True, True, True], [True, True, False], [True, False, True]])
    grey, color, text = plots.agreement(["a", "b", "c"], cosine, significant).data
    assert np.isnan(grey.z[0][1]) and grey.z[1][2] == 0
    assert color.z[0][1] == -0.4 and np.isnan(color.z[1][2]) and np.isnan(color.z[0][0])
    assert (color.zmin, color.zmax) == (-0.4, 0.4)
    written = {(x, y): words for x, y, words in zip(text.x, text.y, text.text, strict=True)}
    assert len(written) == 6 and written["b", "a"] == "-0.40" and written["c", "b"] == "+0.05"


def test_gates_leave_a_gap_where_an_expert_is_not_the_tasks() -> None:
    (map_,) = plots.gates({"<a>": {"own 1": 0.25, "expert 1": 0.75}, "b": {"expert 1": 1.0}}).data
    assert list(map_.x) == ["own 1", "expert 1"] and list(map_.y) == ["&lt;a&gt;", "b"]
    assert map_.z[0].tolist() == [0.25, 0.75] and np.isnan(map_.z[1][0])
    assert [list(row) for row in map_.text] == [["25%", "75%"], ["", "100%"]]
    lower, upper = plots.gates_by_step([0, 4], {"expert 1": [0.5, 0.9], "expert 2": [0.5, 0.1]}).data
    assert lower.stackgroup == upper.stackgroup and list(upper.x) == [0, 4] and list(upper.y) == [0.5, 0.1]
    assert lower.line.color != upper.line.color


def test_affinity_shows_whose_step_takes_off_whose_loss() -> None:
    change = np.array([[0.01, -0.002], [np.nan, 0.0001]])
    grey, color, text = plots.affinity(["a", "b"], change, np.array([[True, True], [False, False]])).data
    assert color.z[0].tolist() == [1, -0.2] and (color.zmin, color.zmax) == (-1, 1)
    assert grey.z[1][1] == 0 and np.isnan(grey.z[1][0])
    written = {(y, x): words for x, y, words in zip(text.x, text.y, text.text, strict=True)}
    assert written == {("a", "a"): "+1.00", ("a", "b"): "-0.20", ("b", "b"): "+0.01"}, "rows: whose step; per cent"


def test_shares_of_tasks_are_in_their_colours() -> None:
    (bars,) = plots.task_shares({"search": 0.75, "ads": 0.25}).data
    colors = plots.task_colors(["search", "ads"])
    assert list(bars.y) == ["ads", "search"] and list(bars.marker.color) == [colors["ads"], colors["search"]]


def test_metrics_are_called_as_people_call_them() -> None:
    labels = {"auc": "AUC", "ndcg@10": "NDCG@10"}
    figure = plots.validation_curves(Run(), {"search": "ndcg@10", "ads": "auc"}, labels=labels)
    assert [t.name for t in figure.data if t.mode != "markers"] == ["search · NDCG@10", "ads · AUC"]
    figure = plots.validation_curves(Run(), "auc", labels=labels)
    assert figure.layout.yaxis.title.text == "AUC"


def test_overlay_gives_runs_dashes_and_colours_that_no_task_has() -> None:
    figure = plots.overlay({"first": Run(), "second": Run()}, "ads", "auc")
    assert [(t.name, t.line.dash) for t in figure.data] == [("first", "solid"), ("second", "dash")]
    colors = plots.run_colors(["first", "second"])
    assert [t.line.color for t in figure.data] == list(colors.values()) and len(set(colors.values())) == 2
    assert not set(plots.RUN_COLORS) & set(plots.COLORS)
    assert [t.name for t in plots.overlay({"first": Run(), "other": Run(tasks=("reviews",))}, "ads", "training").data] == ["first"]


def test_matrix_shows_shares_of_the_true_class_and_counts() -> None:
    part = {"type": "matrix", "title": "Confusion", "data": {"labels": ["a", "<b>b</b>"], "values": [[3, 1], [0, 0]]}}
    heat = plots.panel(part).data[0]
    np.testing.assert_allclose(np.asarray(heat.z), [[0.75, 0.25], [0.0, 0.0]])
    np.testing.assert_array_equal(np.asarray(heat.customdata), [[3, 1], [0, 0]])
    assert list(heat.x) == ["a", "&lt;b&gt;b&lt;/b&gt;"]


def test_reliability_draws_the_diagonal_and_the_model() -> None:
    data = {"confidence": [0.1, 0.9], "observed": [0.2, 0.8], "count": [90, 10]}
    diagonal, model = plots.panel({"type": "reliability", "title": "", "data": data}).data
    assert (list(diagonal.x), list(diagonal.y)) == ([0, 1], [0, 1])
    assert (list(model.x), list(model.y)) == ([0.1, 0.9], [0.2, 0.8])
    assert model.marker.size[0] > model.marker.size[1]


def test_a_table_is_no_chart() -> None:
    with pytest.raises(KeyError):
        plots.panel({"type": "table", "title": "", "data": {"columns": [], "rows": []}})


def test_lengths_and_bars() -> None:
    bars = plots.lengths({"train": ([2, 5], [0, 8, 16])}).data[0]
    assert (list(bars.x), list(bars.y), list(bars.width)) == ([4, 12], [2, 5], [8, 8])
    figure = plots.metric_bars({"run 1": {"ads": 0.7, "search": 0.5}, "run 2": {"ads": 0.8}})
    assert [(t.name, list(t.x), list(t.y)) for t in figure.data] == [("run 1", ["ads", "search"], [0.7, 0.5]), ("run 2", ["ads"], [0.8])]


@pytest.mark.parametrize(
    "drawn",
    [
        lambda: plots.training_curves(Run(), 0.5, ["ads"]),
        lambda: plots.validation_curves(Run(), "loss"),
        lambda: plots.weights(Run()),
        lambda: plots.overlay({"a": Run()}, "ads", "loss"),
        lambda: plots.metric_bars({"a": {"ads": 1.0}}),
        lambda: plots.lengths({"a": ([1], [0, 1])}),
    ],
    ids=["training", "validation", "weights", "overlay", "bars", "lengths"],
)
def test_every_chart_lets_the_theme_through_and_keeps_the_zoom(drawn: Callable[[], go.Figure]) -> None:
    figure = drawn()
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert figure.layout.uirevision == "keep"


def test_words_on_the_charts_are_translated() -> None:
    figure = plots.training_curves(Run(), 0.0, ["ads"], lambda text: f"<{text}>")
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("<Step>", "<Training loss>")


def test_a_star_where_less_is_better_stands_at_the_least() -> None:
    figure = plots.validation_curves(Run(), "ndcg@10", lower_is_better={"ndcg@10"})
    (star,) = (t for t in figure.data if t.mode == "markers")
    assert list(star.y) == [0.4]


def test_changes_are_marked_at_their_steps_with_all_that_was_changed() -> None:
    few = plots.mark(plots.weights(Run()), [(3, "search: 1 → 2", "Step 3: search: 1 → 2"), (5, "<b>", "…")])
    assert [shape.x0 for shape in few.layout.shapes] == [3, 5]
    assert [(a.text, a.hovertext) for a in few.layout.annotations] == [("search: 1 → 2", "Step 3: search: 1 → 2"), ("&lt;b&gt;", "…")]
    many = plots.mark(plots.weights(Run()), [(n, "words", "all") for n in range(20)])
    assert {a.text for a in many.layout.annotations} == {"▼"}


def test_changes_have_a_point_with_its_interval_for_every_task_and_way() -> None:
    rows = {"joint": {"search": (0.02, 0.01), "ads": (-0.1, None)}, "<b>": {"search": (0.0, 0.2)}}
    figure = plots.changes(rows)
    points = [trace for trace in figure.data if trace.y[0] is not None]
    assert [(t.name, t.x[0]) for t in points] == [("search · joint", 0.02), ("ads · joint", -0.1), ("search · &lt;b&gt;", 0.0)]
    assert [t.error_x.array for t in points] == [(0.01,), None, (0.2,)]
    colors = plots.task_colors(["ads", "search"])
    assert [t.marker.color for t in points] == [colors["search"], colors["ads"], colors["search"]]
    assert points[0].marker.symbol != points[2].marker.symbol
    assert round(points[0].y[0]) == round(points[2].y[0]) == 0  # the same task on the same line
    assert points[0].y[0] != points[2].y[0]


def test_many_tasks_leave_no_room_for_numbers_in_the_cells() -> None:
    for n, mode in ((8, "text"), (9, "markers")):
        numbers = plots.agreement([f"t{i}" for i in range(n)], np.full((n, n), 0.25), np.ones((n, n), bool)).data[-1]
        assert numbers.mode == mode and numbers.text[0] == "+0.25" and numbers.marker.opacity == 0
