"""Nothing leaves the machine, by the command line or by a server that the whole network can reach; and files are not for others."""

import http.client
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from mtl_core.base.workspace import Workspace
from tests.watching import asked, open_to_others, watched

ROOT = Path(__file__).parents[1]
COMMANDS = """
import io, json, os, sys
from mtl_core.cli.main import main

assert main(["check", sys.argv[1]]) == 0
sys.stdout = io.StringIO()
assert main(["train", sys.argv[2], "--json"]) == 0
run, sys.stdout = json.loads(sys.stdout.getvalue().splitlines()[-1])["run_id"], sys.__stdout__
sys.stdin = io.TextIOWrapper(io.BytesIO(b'{"text": "where is my parcel"}'))
assert main(["predict", run, "--task", "mood"]) == 0
"""


def test_the_watch_sees_what_a_process_asks(tmp_path: Path) -> None:
    """In the process and in one that it starts; what goes to this machine does not count."""
    program = """
import socket, subprocess, sys
for address in ("127.0.0.1", "192.0.2.1"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect_ex((address, 9))
subprocess.run([sys.executable, "-c", "import socket; socket.getaddrinfo('name.invalid', 80)"], stderr=subprocess.DEVNULL)
"""
    subprocess.run([sys.executable, "-c", program], env=watched(tmp_path / "calls"), check=True)
    assert asked(tmp_path / "calls") == ["socket.connect ('192.0.2.1', 9)", "socket.getaddrinfo name.invalid"]


@pytest.mark.slow
def test_the_command_line_asks_no_other_machine_and_its_files_are_its_own(tmp_path: Path, workspace: Workspace) -> None:
    """With the encoder that comes with the program, by its name, and MLflow's record, which is SQLite's to write."""
    table, experiment = tmp_path / "moods.csv", tmp_path / "moods.yaml"
    table.write_text("text,label\n" + "".join(f"text {n},{'ab'[n % 2]}\n" for n in range(40)), encoding="utf-8")
    task = {"kind": "classification", "data": "moods", "columns": {"text": "text", "label": "label"}}
    training = {"steps": 1, "batch_size": 8, "device": "cpu"}
    values = {"name": "moods", "data": {"moods": {"file": table.name}}, "tasks": {"mood": task}, "training": training}
    experiment.write_text(yaml.safe_dump(values), encoding="utf-8")
    call = [sys.executable, "-c", COMMANDS, str(table), str(experiment)]
    done = subprocess.run(call, cwd=ROOT, env=watched(tmp_path / "calls"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1])["label"]
    assert asked(tmp_path / "calls") == []
    assert (workspace.root / "mlflow.db").is_file() and open_to_others(workspace.root) == []


def test_a_server_for_the_network_asks_no_other_machine_which_it_is(tmp_path: Path) -> None:
    """Neither at its start nor when a page of another site knocks."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    call = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}", "--server.address=0.0.0.0"]
    knock = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "A" * 22 + "=="}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(call, cwd=ROOT, env=watched(tmp_path / "calls"), stdout=log, stderr=log)
    try:
        assert _status(port, "/_stcore/health", {}, wait=60) == 200
        assert _status(port, "/_stcore/stream", {**knock, "Origin": "http://elsewhere.example"}) == 403
        assert _status(port, "/_stcore/stream", knock) == 403
        assert _status(port, "/", {}) == 401
    finally:
        server.terminate()
        server.wait(30)
    said = (tmp_path / "log").read_text(encoding="utf-8")
    assert asked(tmp_path / "calls") == [] and f":{port}/?code=" in said and "Traceback" not in said, said


def _status(port: int, path: str, headers: dict[str, str], wait: float = 0) -> int:
    """wait: seconds until there is an answer at all."""
    deadline = time.monotonic() + wait
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", path, headers=headers)
            return connection.getresponse().status
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        finally:
            connection.close()
