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
        title=N_("Pseudo-labels from"),
        description=N_("How sure the model must be of a training row without a label, to learn from its own answer, such as 0.95; 0: off."),
    )
    every: int = Setting(
        1,
        ge=1,
        le=1000,
        title=N_("Epochs between pseudo-labels"),
        description=N_("Passes over all training rows, with label or without, after which they are made anew; at least once, half way."),
    )
    most: float = Setting(
        7.0,
        gt=0,
        le=1000,
        title=N_("Most pseudo-labels"),
        description=N_("At most so many times the rows with a label; those that the model is most sure of are taken."),
    )


def sure(confidence: np.ndarray, n_labelled: int, options: PseudoLabelsConfig) -> np.ndarray:
    """Which rows get a pseudo-label, ascending. confidence: (R,) in [0, 1]; n_labelled: rows with a label."""
    order = np.argsort(-confidence, kind="stable")[: int(options.most * n_labelled)]
    return np.sort(order[confidence[order] >= options.threshold])
