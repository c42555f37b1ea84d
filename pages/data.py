"""Data: a table is uploaded, looked at, mapped to a task kind, checked, and becomes a task of the experiment."""

from pages.parts import draft, table, task
from pages.parts.frame import begin

_ = begin("data")

chosen = table.choose(_)
read = table.read(chosen, _) if chosen else None
if chosen and read:
    task.build(chosen, read, _)
draft.show(_)
