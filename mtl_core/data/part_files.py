"""Which files hold the training, validation and test rows of one table, by their names: `x_train.csv` and `x_test.csv`, `dev.csv` …"""

import re
from collections import defaultdict
from collections.abc import Iterable

from mtl_core.data.places import PARTS
from mtl_core.data.split import part_called

_TOO_SHORT = 3  # “tr” or “x” in a name says nothing


def part_files(names: Iterable[str]) -> list[dict[str, str]]:
    """Part → name, of every group of two or three of the names that differ only in the word for the part, one of them training's."""
    groups: dict[tuple[str, ...], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in names:
        stem, _, suffix = name.partition(".")
        words = re.split(r"[\W_]+", stem)
        found = [i for i, word in enumerate(words) if (len(word) >= _TOO_SHORT or not word.isascii()) and part_called(word)]
        if len(found) == 1:
            rest = (*words[: found[0]], *words[found[0] + 1 :], suffix)
            groups[tuple(word.casefold() for word in rest)][str(part_called(words[found[0]]))].append(name)
    return [
        {part: group[part][0] for part in PARTS if part in group}
        for group in groups.values()
        if "train" in group and len(group) > 1 and all(len(same) == 1 for same in group.values())
    ]
