"""What every chart of a report must keep to, drawn from the panels of all kinds. A new chart needs no line here, but a kind that has it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from mtl_core import plots
from mtl_core.model.encoder import Encoder
from mtl_core.tasks import KINDS
from mtl_core.tasks.heads import WordHead
from tests.contracts.small import mapped


@pytest.fixture
def panels(compiled: Callable[..., Any], small_encoder: Encoder) -> list[dict[str, Any]]:
    """Of an untrained head of every kind on its small table."""
    found: list[dict[str, Any]] = []
    for kind in KINDS.values():
        options, table = kind.Options(), mapped(kind).table
        spec = kind.rows.fit(table, options)
        head = kind.head.module(small_encoder.hidden, spec, options).eval()
        if isinstance(head, WordHead):
            head.tie(small_encoder)
        vectors, batch = compiled(kind, kind.rows.encode(table, spec, options), options)
        with torch.no_grad():
            scores = kind.head.scores(head(vectors, batch), batch, spec)
        groups = None if batch.groups is None else batch.groups.numpy()
        found += [vars(panel) for panel in kind.report.panels(scores, kind.head.truth(batch, spec), groups, spec)]
    return found


@pytest.mark.parametrize("name", plots.CHARTS)
def test_a_chart_is_drawn_in_any_language(name: str, panels: list[dict[str, Any]]) -> None:
    drawn = [panel for panel in panels if panel["type"] == name]
    assert drawn, "a kind shows it"
    for panel in drawn:
        figure = plots.panel(panel, lambda text: f"<{text}>")
        assert figure.data and figure.layout.xaxis.title.text.startswith("<")
        assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
        assert all(trace.hovertemplate is None or trace.hovertemplate.endswith("<extra></extra>") for trace in figure.data)
