"""Runs: all of them in a table, to find, open, name, note, compare, use and delete."""

from mtl_core.tracking.runs import all_runs
from pages.parts import damaged, listing, tracker
from pages.parts.frame import begin, workspace

_ = begin("runs")

runs, broken = all_runs(workspace())
damaged.show(broken, _)
tracker.show_trouble(_)
listing.show(runs, _)
if runs:
    tracker.show(_)
