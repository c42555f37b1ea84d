"""YAML to plain values with the line of each, and back. Only what JSON could say; nothing is built, run or repeated on reading."""

import re
from typing import Any

import yaml

from mtl_core.base.faults import ExperimentError, Fault, shortened
from mtl_core.base.messages import message


class _Loader(yaml.SafeLoader):
    """YAML 1.2's plain scalars: `no`, `on` and dates are text, 1e-4 is a number. No aliases: a file cannot grow on reading."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, "an alias (*name)", event.start_mark)
        return super().compose_node(parent, index)


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.1 or 1.2 would not read as text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> Any:
        """Line breaks that PyYAML would fold are escaped."""
        return self.represent_scalar("tag:yaml.org,2002:str", data, style='"' if set(data) & set("\x85\u2028\u2029") else None)


_Dumper.add_representer(str, _Dumper.represent_str)


_FLOAT = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?$|[-+]?\.inf$|\.nan$")
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", re.compile(r"true$|True$|false$|False$"), "tTfF"),
    ("int", re.compile(r"[-+]?(0|[1-9]\d*)$"), "-+0123456789"),
    ("float", _FLOAT, "-+.0123456789"),
    ("null", re.compile(r"~$|null$|Null$|$"), ["~", "n", "N", ""]),
    ("merge", re.compile(r"<<$"), "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, list(_first))
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def read_yaml(text: str) -> tuple[Any, dict[str, int]]:
    """What the text says, and the line of every path in it. Raises ExperimentError: syntax, duplicate names."""
    lines: dict[str, int] = {}
    faults: list[Fault] = []

    def walk(node: Any, prefix: str) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                path, line = f"{prefix}{key.value}", key.start_mark.line + 1
                if path in lines:
                    found = message("the name again (first on line {line})", line=lines[path])
                    faults.append(Fault(path, found, message("each name once"), line))
                lines.setdefault(path, line)
                walk(value, f"{path}.")
        elif isinstance(node, yaml.SequenceNode):
            for i, value in enumerate(node.value):
                walk(value, f"{prefix}{i}.")

    wanted = message("an experiment in YAML, as in data/shop.yaml")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        walk(node, "")
        values = None if node is None or faults else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ExperimentError([Fault("", error.problem or error.context or "?", wanted, mark.line + 1 if mark else None)]) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a control character, a number that is none, nesting without end
        raise ExperimentError([Fault("", shortened(str(error).splitlines()[0] if str(error) else "?"), wanted)]) from error
    if faults:
        raise ExperimentError(faults)
    return values, lines


def write_yaml(values: Any) -> str:
    """Block style, names in their order, unicode as it is. `read_yaml` is the inverse."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=2**20)
