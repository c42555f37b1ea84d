"""Settings that suit the size of the tables, for a first training of one's own tables. The one place of the rule.

Whoever puts an experiment together writes what comes of it into the experiment, so that the file says all that was trained with; an
experiment file without these settings keeps the program's defaults, whatever its tables.
"""

from collections.abc import Mapping
from typing import Any

STEPS = (150, 1000)
"""Fewest and most. A small table is passed over several times, a large one not to its end: a first run ends, whatever the tables."""
PASSES, MOST_PASSES = 3, 30
"""Over the rows of all tables, and of tables so small that three passes are too few steps to learn anything."""
SMALL, BATCH_SIZES, ROWS_OF_A_TABLE = 2_000, (16, 32), 8
"""Rows of a step where all tables have up to SMALL training rows, and beyond; but so many for each table."""


def suited(rows: Mapping[str, int]) -> dict[str, Any]:
    """Path in the experiment → value. rows: table → training rows; empty: nothing is known, nothing is chosen."""
    total = sum(rows.values())
    if not total:
        return {}
    batch_size = max(BATCH_SIZES[total > SMALL], ROWS_OF_A_TABLE * len(rows))
    steps = max(round(PASSES * total / batch_size), STEPS[0])
    steps = max(1, min(steps, round(MOST_PASSES * total / batch_size), STEPS[1]))
    return {"training.steps": steps, "training.batch_size": batch_size, **RATES}


RATES = {"encoder.trainable": "top:3", "optimizer.learning_rate": 5e-4, "optimizer.head_learning_rate": 1e-2}
"""As the sample shop has them: half of MiniLM's layers learn, which a processor does in minutes."""
