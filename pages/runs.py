"""Runs: all of them in a table, to find, open, name, note, compare, use and delete."""

from mtl_core.tracking.runs import all_runs
from pages.parts import damaged, listing
from pages.parts.frame import begin, workspace

_ = begin("runs")

runs, broken = all_runs(workspace())
damaged.show(broken, _)
listing.show(runs, _)
