"""What is kept of the class probabilities of rows, and read from it.

Of at most WHOLE classes all of them: (R, C), and with rejection a column more, the doubt. Of more, where that would be gigabytes,
(R, 2 * TOP + 3): the TOP most probable classes, best first; their probabilities; the doubt, or the probability of the class that is out
of scope (0: there is neither); the most probable parent and its probability (0 without parents).
"""

from functools import cached_property

import numpy as np

from mtl_core.tasks.base import Spec

WHOLE = 1000
TOP = 6


def is_whole(spec: Spec) -> bool:
    return len(spec["classes"]) <= WHOLE


def scope_of(spec: Spec) -> int | None:
    """The label of rows that are out of scope; None: there are none."""
    name = spec.get("out_of_scope")
    if name and "reject" in spec:
        return len(spec["classes"])
    return spec["classes"].index(name) if name in spec["classes"] else None


class Probable:
    """Rows as the kind's `scores` gives them. Of equal probabilities the first class comes first."""

    def __init__(self, scores: np.ndarray, spec: Spec):
        self.scores, self.spec, self.n = scores, spec, len(spec["classes"])
        self.rejects = "reject" in spec
        self._whole = is_whole(spec) or scores.shape[1] >= self.n  # older programs kept all of many classes, too

    @property
    def inside(self) -> np.ndarray:
        """(R, C); only where all are kept."""
        return self.scores[:, : self.n]

    @cached_property
    def first(self) -> np.ndarray:
        """(R,) int64: the most probable class."""
        return self.inside.argmax(axis=1) if self._whole else self.scores[:, 0].astype(np.int64)

    @cached_property
    def sure(self) -> np.ndarray:
        """(R,): its probability."""
        return self.inside.max(axis=1, initial=0.0) if self._whole else self.scores[:, TOP]

    @cached_property
    def ordered(self) -> np.ndarray:
        """(R, ≤ TOP) int64: the most probable classes."""
        if not self._whole:
            return self.scores[:, :TOP].astype(np.int64)
        return np.argsort(-self.inside, axis=1, kind="stable")[:, :TOP]

    @cached_property
    def probabilities(self) -> np.ndarray:
        """(R, ≤ TOP): theirs."""
        return np.take_along_axis(self.inside, self.ordered, axis=1) if self._whole else self.scores[:, TOP : 2 * TOP]

    @property
    def outside(self) -> np.ndarray:
        """(R,): the doubt with rejection, else the probability of the class that is out of scope."""
        if not self._whole:
            return self.scores[:, 2 * TOP]
        at = scope_of(self.spec)
        assert self.rejects or at is not None
        return self.scores[:, self.n if self.rejects else at]

    def first_but(self, left_out: int) -> np.ndarray:
        """(R,) int64: the most probable of the other classes."""
        return np.where(self.ordered[:, 0] == left_out, self.ordered[:, min(1, self.ordered.shape[1] - 1)], self.ordered[:, 0])

    @cached_property
    def parents(self) -> tuple[np.ndarray, np.ndarray]:
        """(R,) int64, (R,): the most probable parent, whose probability is the sum of its classes', and that."""
        if not self._whole:
            return self.scores[:, 2 * TOP + 1].astype(np.int64), self.scores[:, 2 * TOP + 2]
        of = np.array(self.spec["parents"]["of"])
        scores = self.inside @ np.eye(len(self.spec["parents"]["names"]))[of]
        return scores.argmax(axis=1), scores.max(axis=1, initial=0.0)
