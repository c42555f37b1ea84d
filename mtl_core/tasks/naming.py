"""What people call the names that answers and labels are made of: classes, tags, attributes, grades, yes and no. Loads no torch.

A kind whose answers are names out of a fixed set has `NamedOptions`, says what they are in `Report.classes`, and calls each by `called` in
`Report.answers`. Scores, metrics and files keep the table's spelling.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from pydantic import BeforeValidator
from pydantic import Field as Setting

from mtl_core.base.messages import N_, message
from mtl_core.base.settings import Options
from mtl_core.data.problems import Severity
from mtl_core.tasks import common

_KEY = "called"  # of a spec
_HEADERS = ("class", "tag", "attribute")
"""The first column of a report's table whose rows are of one name each."""


def _class_names(value: Any) -> Any:
    """YAML reads 0 as a number and yes as true: of a number the digits are the class, of others nobody knows how the table spells them."""
    if not isinstance(value, Mapping):
        return value
    if not all(isinstance(key, str) or type(key) is int for key in value):
        raise ValueError(message("classes as the table spells them, in quotation marks"))
    found = {str(key): name for key, name in value.items()}
    given = [name for name in found.values() if isinstance(name, str)]
    if not all(name.strip() for name in given) or len(set(given)) < len(given):
        raise ValueError(message("a name of its own for each class"))
    return found


class NamedOptions(Options):
    class_names: Annotated[dict[str, str], BeforeValidator(_class_names)] = Setting(
        {},
        title=N_("Class names"),
        description=N_("What people call a class: class → name. Answers and reports show the name, files keep the class."),
    )


def named(spec: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """`spec` with which answers are called as people do. names: class → its name; what is not in it keeps its spelling."""
    return {**spec, _KEY: dict(names)}


def called(spec: Mapping[str, Any], name: str) -> str:
    """What people call a class of `spec`; its own spelling where nobody said."""
    return str(spec.get(_KEY, {}).get(name, name))


def are_named(spec: Mapping[str, Any]) -> bool:
    """Whether anybody named a class of `spec`."""
    return bool(spec.get(_KEY))


def labelled(shown: str, spelled: str) -> dict[str, Any]:
    """The first entries of an answer: what people call it, and `class`, the table's spelling, where that is another."""
    return {"label": shown} if shown == spelled else {"label": shown, "class": spelled}


def yes_or_no_called(label: str, spec: Mapping[str, Any]) -> str:
    """`Report.label_called` of the classes "1" and "0", which a table may also write as true, no, 1.0 …"""
    value = common.yes_no(pa.chunked_array([pa.array([label])]))[0][0]
    return label if np.isnan(value) or (name := called(spec, f"{value:g}")) == f"{value:g}" else name


def named_panels(panels: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Panels of a report as they were written, in which classes are called as people do: the labels of matrices, and the first cells of
    tables with a row a class. `classes` of a matrix are what its labels stand for, where they are the program's own words."""
    found = []
    for panel in panels:
        data = dict(panel["data"])
        if panel["type"] == "matrix":
            spelled = data.pop("classes", data["labels"])
            data["labels"] = [names.get(cls, label) for cls, label in zip(spelled, data["labels"], strict=True)]
        elif data.get("columns", [""])[0] in _HEADERS:
            data["rows"] = [[names.get(first, first), *rest] for first, *rest in data["rows"]]
        found.append({**panel, "data": data})
    return found


def clashing(names: Mapping[str, str], known: Collection[str]) -> set[str]:
    """Names that do not tell classes apart. names: class → name; known: all classes."""
    shown = Counter(names.get(name, name) for name in known)
    return {name for name, n in shown.items() if n > 1}


def check(findings: common.TaskProblems, known: Collection[str], options: NamedOptions) -> None:
    """Names given to classes that are not there, or that are called as another class. known: all classes of the table."""
    if unknown := sorted(options.class_names.keys() - set(known)):
        findings.table_wide(
            Severity.WARNING,
            "class_names_unknown",
            "label",
            message("Names are given to classes that no row has: {found}.", found=", ".join(map(common.shorten, unknown[:5]))),
            message("Correct the option “Class names”: classes are written as in the table."),
        )
    if alike := sorted(clashing(options.class_names, known)):
        findings.table_wide(
            Severity.WARNING,
            "class_names_alike",
            "label",
            message("Names given to classes are other classes of the table: {found}.", found=", ".join(map(common.shorten, alike[:5]))),
            message("Correct the option “Class names”, so that each class has a name of its own."),
        )
