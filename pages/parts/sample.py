"""What the sample shop holds."""

from pathlib import Path

from mtl_core.base.program import SAMPLE_SHOP

SHOPS = {"sample": SAMPLE_SHOP / "shop.yaml", "whole": SAMPLE_SHOP / "whole_shop.yaml"}
"""How the page Train calls it in its URL → its experiment. sample: five tasks, a quick start; whole: a task of every kind."""


def tables() -> list[Path]:
    """The sample tables, by name; empty when the folder holds none."""
    return sorted(p for p in SAMPLE_SHOP.iterdir() if p.suffix in {".csv", ".jsonl", ".parquet", ".tsv", ".gz"})
