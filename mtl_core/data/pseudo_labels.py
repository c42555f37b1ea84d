"""Rows without a label that are learned from as the model itself would label them, where it is sure.

"Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks" (ICML 2013 workshop,
https://www.researchgate.net/publication/280581078), with the threshold of "FixMatch: Simplifying Semi-Supervised Learning with
Consistency and Confidence" (https://arxiv.org/abs/2001.07685).
"""

import numpy as np
from pydantic import Field as Setting

from mtl_core.base.messages import N_
from mtl_core.base.settings import Options


class PseudoLabelsConfig(Options):
    threshold: float = Setting(
        0.0,
        ge=0,
        le=1,
        title=N_("Confidence threshold"),
        description=N_("Confidence that a prediction for an unlabelled training row needs to become its label, such as 0.95; 0: off."),
        json_schema_extra={"stops": [0, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.99], "zero": N_("off")},
    )
    every: int = Setting(
        1,
        ge=1,
        le=1000,
        title=N_("Pseudo-label interval (epochs)"),
        description=N_(
            "Passes over all training rows, labelled or not, between updates of the pseudo-labels; there is at least one update, half-way."
        ),
    )
    most: float = Setting(
        7.0,
        gt=0,
        le=1000,
        title=N_("Max pseudo-label ratio"),
        description=N_("Maximum number of pseudo-labels, as a multiple of the labelled rows; the most confident ones are kept."),
    )


def sure(confidence: np.ndarray, n_labelled: int, options: PseudoLabelsConfig) -> np.ndarray:
    """Which rows get a pseudo-label, ascending. confidence: (R,) in [0, 1]; n_labelled: rows with a label."""
    order = np.argsort(-confidence, kind="stable")[: int(options.most * n_labelled)]
    return np.sort(order[confidence[order] >= options.threshold])
