"""Where the program's own files lie: beside `mtl_core/` in a clone, inside it where the program was installed (see pyproject.toml)."""

from pathlib import Path

PACKAGE = Path(__file__).parents[1]
_INSTALLED = PACKAGE / "sample_shop"

INSTALLED = _INSTALLED.is_dir()
SAMPLE_SHOP = _INSTALLED if INSTALLED else PACKAGE.parent / "data"
"""Folder of the sample shop: small tables, and the experiments `shop.yaml` (five tasks) and `whole_shop.yaml` (a task of every kind)."""


def default_workspace() -> Path:
    """`workspace/` beside the program; of an installed program, whose folder is not for writing, in the current folder."""
    return (Path.cwd() if INSTALLED else PACKAGE.parent) / "workspace"
