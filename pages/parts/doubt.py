"""When an answer should not be relied on, in words."""

from collections.abc import Mapping
from typing import Any

from mtl_core.base.messages import Translate
from pages.parts.text import plain, said

UNSURE, CLOSE = 0.5, 0.15
"""An answer is doubtful below this probability, or when the next class is as near as that."""


def of(prediction: Mapping[str, Any], _: Translate) -> str | None:
    """In words, when an answer should not be relied on: out of scope, or two classes that are close. None: there is nothing to say."""
    if "closest" in prediction:
        text = _("Out of scope: no class fits well enough. The closest is “{name}”.")
        return text.format(name=plain(_said(prediction["closest"], _)))
    shares = prediction.get("probabilities")
    if not {"label", "probability"} <= prediction.keys() or not isinstance(shares, dict) or len(shares) < 2:  # tags exclude none
        return None
    (first, p), (second, q) = sorted(shares.items(), key=lambda item: -item[1])[:2]
    if p >= UNSURE and p - q >= CLOSE:
        return None
    text = _("Not sure: “{first}” ({p}) and “{second}” ({q}) are the most probable, and neither is clearly ahead.")
    if p - q >= CLOSE:
        text = _("Not sure: “{first}” ({p}) is the most probable, yet less probable than all others together; next is “{second}” ({q}).")
    return text.format(first=plain(_said(first, _)), p=f"{p:.0%}", second=plain(_said(second, _)), q=f"{q:.0%}")


def _said(name: Any, _: Translate) -> str:
    return str(said(name, _))
