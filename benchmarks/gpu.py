"""Whether a GPU computes what a processor computes, and how fast. One command, for a machine that has little else installed:

    python benchmarks/gpu.py [--data DIR] [--encoder FOLDER] [--minutes 8] [--only NAME ...] [--json FILE]
    python benchmarks/gpu.py --device cpu --tiny        # all of it in miniature, without a GPU; the tests run this

Needs torch ≥ 2.11, transformers ≥ 5.17, numpy, pyarrow, pandas, scikit-learn, pydantic and PyYAML; no network. What a check needs beside
them, and is not there, skips it by name. The tables are the sample shop's; DIR: where the three tables of throughput.py lie, for its
comparison alone. The encoder is a random one of MiniLM's shape with a tokenizer made of the shop's texts; FOLDER: another, as transformers
saves it. A check that fails stops no other; what the minutes do not suffice for is skipped. Exit code 1: a check failed.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}

import torch
import transformers

from benchmarks import gpu_right, gpu_speed
from benchmarks.gpu_place import Numbers, Place, Skipped, Wrong, make_place

CHECKS: dict[str, Callable[[Place], Numbers]] = gpu_right.CHECKS | gpu_speed.CHECKS


@dataclass(frozen=True)
class Outcome:
    """outcome: ok, failed or skipped; text: why it is not ok."""

    name: str
    outcome: str
    seconds: float = 0.0
    numbers: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""

    def line(self) -> str:
        numbers = ", ".join(f"{name} {_shown(value)}" for name, value in self.numbers.items())
        return f"| {self.name} | {self.outcome} | {self.seconds:.1f} | {f'{self.text}. ' if self.text else ''}{numbers} |"


def _shown(value: Any) -> str:
    return (f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}") if isinstance(value, float) else str(value)


def performed(name: str, check: Callable[[Place], Numbers], place: Place) -> Outcome:
    """One check, whatever happens in it."""
    begun = time.perf_counter()
    try:
        numbers = check(place)
        place.wait()
        return Outcome(name, "ok", time.perf_counter() - begun, numbers)
    except Skipped as skipped:
        return Outcome(name, "skipped", time.perf_counter() - begun, text=str(skipped))
    except Wrong as wrong:
        return Outcome(name, "failed", time.perf_counter() - begun, wrong.numbers, str(wrong))
    except Exception as error:  # noqa: BLE001 - the other checks are to be told, too
        traceback.print_exc()
        return Outcome(name, "failed", time.perf_counter() - begun, text=f"{type(error).__name__}: {str(error).strip()[:300]}")


def machine(device: torch.device) -> dict[str, Any]:
    """The card and what drives it."""
    found = {"torch": torch.__version__, "transformers": transformers.__version__, "python": platform.python_version()}
    if device.type != "cuda":
        return {"device": device.type} | found
    card = torch.cuda.get_device_properties(device)
    return {"device": card.name, "memory": card.total_memory, "capability": f"{card.major}.{card.minor}", "cuda": torch.version.cuda} | {
        "driver": _driver(),
        **found,
    }


def _driver() -> str:
    """Of NVIDIA's kernel module, as Linux tells it."""
    try:
        return next((word for word in Path("/proc/driver/nvidia/version").read_text().split() if word[0].isdigit() and "." in word), "")
    except OSError:
        return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the tables of throughput.py; else the sample shop's")
    parser.add_argument("--encoder", type=Path, help="folder of a saved encoder; else a random one of MiniLM's shape")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="everything as small as it can be")
    parser.add_argument("--minutes", type=float, default=8.0, help="after these, what is left is skipped")
    parser.add_argument("--only", nargs="+", choices=CHECKS, metavar="NAME", help=f"of these: {', '.join(CHECKS)}")
    parser.add_argument("--json", type=Path, help="also write everything here, after every check")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU that torch can use; in miniature, on the processor: --device cpu --tiny")
    begun, about = time.monotonic(), machine(device)
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print("| check | outcome | seconds | |\n|---|---|---|---|", flush=True)
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        place = make_place(device, arguments.tiny, arguments.encoder, arguments.data, Path(scratch))
        for name in arguments.only or CHECKS:
            if time.monotonic() - begun > 60 * arguments.minutes:
                outcomes.append(Outcome(name, "skipped", text=f"the {arguments.minutes:g} minutes are over"))
            else:
                outcomes.append(performed(name, CHECKS[name], place))
            print(outcomes[-1].line(), flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps({"machine": about, "checks": [asdict(o) for o in outcomes]}, indent=1), "utf-8")
    count = {outcome: sum(o.outcome == outcome for o in outcomes) for outcome in ("ok", "failed", "skipped")}
    for outcome in ("failed", "skipped"):
        for name, why in ((o.name, o.text) for o in outcomes if o.outcome == outcome):
            print(f"\n{outcome}: {name} ({why})", end="")
    print(f"\n{', '.join(f'{n} {outcome}' for outcome, n in count.items())}, {time.monotonic() - begun:.0f} s")
    return 1 if count["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
