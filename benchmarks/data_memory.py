"""Reading, checking and storing a CSV of 1,000,000 rows: seconds and peak memory. Wanted: at most 1.5 GB.

    python benchmarks/data_memory.py [--rows 1000000]

Everything that `python -m mtl_core check` does, in a process of its own: read, store with a split by group, map, look for leaks,
check as a click-through task with a text. Peak memory is the whole process's (resident set), with what was imported.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np

WANTED_MB = 1500


def write_csv(path: Path, rows: int, seed: int = 0) -> None:
    """Columns user, product (a text of 3 to 12 words), price, day, clicked."""
    random = np.random.default_rng(seed)
    words = np.array(["".join(random.choice(list("abcdefghijklmnopqrstuvwxyz"), size)) for size in random.integers(3, 9, 3000)])
    with path.open("w", encoding="utf-8") as file:
        file.write("user,product,price,day,clicked\n")
        for start in range(0, rows, 10_000):
            size = min(10_000, rows - start)
            users, prices = random.integers(0, max(1, rows // 20), size), random.gamma(2, 20, size)
            days, clicked = random.integers(1, 29, size), random.integers(0, 2, size)
            for row in range(size):
                text = " ".join(random.choice(words, random.integers(3, 13)))
                file.write(f"u{users[row]},{text},{prices[row]:.2f},2025-03-{days[row]:02d},{clicked[row]}\n")


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "linux" else 1024) / 1024


def measure(file: Path, folder: Path) -> dict[str, float]:
    """Seconds and peak megabytes after each stage."""
    from mtl_core.base.workspace import Workspace
    from mtl_core.data.mapping import map_columns
    from mtl_core.data.split import SplitConfig, check_leaks
    from mtl_core.data.store import store_dataset

    result = {"rows": 0.0, "imported_mb": peak_mb()}
    start = time.perf_counter()
    dataset = store_dataset(file, Workspace(folder), split=SplitConfig(by="group", column="user"))
    result |= {"stored_seconds": time.perf_counter() - start, "stored_mb": peak_mb()}

    from mtl_core.tasks import KINDS  # with torch, as in the program

    start = time.perf_counter()
    kind = KINDS["click_through"]
    columns = {"text": ["product"], "numbers": ["price"], "categories": ["day"], "label": "clicked"}
    table, split = dataset.table(), dataset.split()
    mapped, problems = map_columns(table, kind.fields, columns)
    problems += check_leaks(table, split, ["product"])
    problems += kind.rows.check(mapped, split, kind.Options())
    result |= {"checked_seconds": time.perf_counter() - start, "checked_mb": peak_mb(), "problems": len(problems), "rows": dataset.n_rows}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)  # in the process that is measured
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.measure.parent / "workspace")))
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.csv"
        write_csv(file, arguments.rows)
        size = file.stat().st_size / 1e6
        done = subprocess.run([sys.executable, __file__, "--measure", str(file)], check=True, capture_output=True, text=True)
        found = json.loads(done.stdout)
    print("| stage | seconds | peak memory (MB) |\n|---|---|---|")
    print(f"| imported | | {found['imported_mb']:,.0f} |")
    print(f"| read, split and stored | {found['stored_seconds']:.1f} | {found['stored_mb']:,.0f} |")
    print(f"| mapped and checked (torch imported) | {found['checked_seconds']:.1f} | {found['checked_mb']:,.0f} |")
    verdict = "within" if found["checked_mb"] <= WANTED_MB else "above"
    print(f"\n{found['rows']:,.0f} rows, {size:.0f} MB of CSV; {verdict} the wanted {WANTED_MB:,} MB.")


if __name__ == "__main__":
    main()
