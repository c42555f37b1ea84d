"""A disk that is full is told as such, whichever library met it. RLIMIT_FSIZE makes the system refuse what does not fit."""

import subprocess
import sys
from pathlib import Path

import pytest

from mtl_core.jobs.failures import is_of_the_disk

pytest.importorskip("resource", reason="only POSIX systems limit the size of files")

WRITES = {
    "Python": "open(path, 'wb').write(bytes(100_000))",
    "safetensors": "import torch; from safetensors.torch import save_file; save_file({'a': torch.zeros(100_000)}, path)",
    "Arrow": "import pyarrow as pa; pa.OSFile(path, 'wb').write(bytes(100_000))",
    "Parquet": "import pyarrow as pa, pyarrow.parquet as pq, os; pq.write_table(pa.table({'a': [os.urandom(100_000)]}), path)",
    "numpy": "import numpy as np; np.save(path, np.zeros(100_000))",
    "SQLite": "import sqlite3; sqlite3.connect(path).executescript('create table a (b); insert into a values (zeroblob(100000));')",
}


@pytest.mark.parametrize("library", WRITES)
def test_a_full_disk_is_told_as_such(library: str, tmp_path: Path) -> None:
    program = f"""
import resource, signal
from mtl_core.jobs.failures import is_of_the_disk
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = {str(tmp_path / "file")!r}
import torch, safetensors.torch, pyarrow.parquet, numpy, sqlite3
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, resource.RLIM_INFINITY))
try:
    {WRITES[library]}
except Exception as error:
    print(is_of_the_disk(error), type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("True"), done.stdout


def test_what_lies_behind_an_error_counts_and_other_errors_do_not() -> None:
    outer = RuntimeError("the checkpoint could not be written")
    outer.__cause__ = OSError(28, "No space left on device")
    assert is_of_the_disk(outer)
    assert not is_of_the_disk(ValueError("28")) and not is_of_the_disk(FileNotFoundError(2, "No such file"))
