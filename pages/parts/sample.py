"""Where the sample shop lies."""

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "data"
SHOPS = {"sample": FOLDER / "shop.yaml", "whole": FOLDER / "whole_shop.yaml"}
"""How the page Train calls it in its URL → its experiment. sample: five tasks, a quick start; whole: a task of every kind."""


def tables() -> list[Path]:
    """The sample tables, by name; empty when the folder holds none."""
    return sorted(p for p in FOLDER.iterdir() if p.suffix in {".csv", ".jsonl", ".parquet", ".tsv", ".gz"})
