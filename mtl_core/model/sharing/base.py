"""What a way of sharing is, for whoever chooses one. Loads no torch.

A new way is one folder, `mtl_core/model/sharing/<name>/`, one line in `mtl_core/model/sharing/__init__.py` and one test. In the folder
`__init__.py` is the light half, `SHARING`: name, words and typed options; `module.py` is the half that needs torch, `Module`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field as Setting

from mtl_core.base.messages import N_
from mtl_core.base.settings import Options

if TYPE_CHECKING:
    from mtl_core.model.sharing.modules import Sharing


@dataclass(frozen=True)
class SharingMethod:
    """label, help: for people, marked with N_; source: the paper, its title and link; package: the `__name__` of its folder."""

    name: str
    label: str
    help: str
    source: str
    package: str
    Options: type[Options] = Options

    def module(self, hidden: int, tasks: Sequence[str], options: Any) -> "Sharing":
        """hidden: width of the vectors; tasks: all of the experiment, in its order. Random initial weights come from torch's global
        generator. Loads torch."""
        made: Sharing = import_module(f"{self.package}.module").Module(hidden, tasks, options)
        return made


class GatedOptions(Options):
    width: int = Setting(256, ge=1, le=8192, title=N_("Expert hidden size"), description=N_("Width of the hidden layer of an expert."))
    gate: Literal["text", "task"] = Setting(
        "text",
        title=N_("Gate"),
        description=N_("text: gate weights depend on the text; task: gate weights are the same for all texts."),
        json_schema_extra={"choices": {"text": N_("Of each text"), "task": N_("Of each task")}},
    )
