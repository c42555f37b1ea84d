"""Runs: all of them in a table, to find, open, name, note, compare, use and delete."""

from mtl_core.tracking.runs import list_runs
from pages.parts import damaged, listing
from pages.parts.frame import begin, workspace

_ = begin("runs")

damaged.show(_)
listing.show(list_runs(workspace()), _)
