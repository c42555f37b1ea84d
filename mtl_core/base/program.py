"""Where the program's own files lie: beside `mtl_core/` in a clone, inside it where the program was installed (setup.py says what)."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]

INSTALLED = (_PACKAGE / "screen").is_dir()
SCREEN = _PACKAGE / "screen" if INSTALLED else _PACKAGE.parent
"""Folder of `app.py`, `pages/` and Streamlit's configuration."""

SAMPLE_SHOP = _PACKAGE / "sample_shop" if INSTALLED else _PACKAGE.parent / "data"
"""Folder of the sample shop: small tables, and the experiments `shop.yaml` (five tasks) and `whole_shop.yaml` (a task of every kind)."""


def default_workspace() -> Path:
    """`workspace/` beside the program; of an installed program, whose folder is not for writing, in the current folder."""
    return (Path.cwd() if INSTALLED else _PACKAGE.parent) / "workspace"
