"""Where the sample shop lies."""

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "data"
SHOP = FOLDER / "shop.yaml"


def tables() -> list[Path]:
    """The sample tables, by name; empty when the folder holds none."""
    return sorted(p for p in FOLDER.iterdir() if p.suffix in {".csv", ".jsonl", ".parquet", ".tsv", ".gz"})
