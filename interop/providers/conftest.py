"""The simulator as a fixture: one process for all tests, its behaviour reset before each."""

import json
import os
import pathlib
import subprocess
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def binary() -> pathlib.Path:
    if given := os.environ.get("ANTIPHON_SIMULATOR_BIN"):
        return pathlib.Path(given)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    found = target / "debug" / "antiphon-simulator"
    if not found.exists():
        subprocess.run(["cargo", "build", "-p", "antiphon-simulator"], cwd=ROOT, check=True)
    return found


class Simulator:
    """A running simulator, driven over HTTP."""

    def __init__(self, url: str):
        self.url = url

    def call(self, method: str, path: str, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read() or "null")

    def script(self, **script) -> None:
        self.call("POST", "/_simulator/script", script)

    def requests(self, path: str) -> list[dict]:
        return [request for request in self.call("GET", "/_simulator/requests") if request["path"] == path]


@pytest.fixture(scope="session")
def process():
    child = subprocess.Popen([binary()], stdout=subprocess.PIPE, text=True)
    yield child.stdout.readline().strip()
    child.terminate()
    child.wait(timeout=10)


@pytest.fixture
def simulator(process):
    simulator = Simulator(process)
    simulator.script()
    simulator.call("DELETE", "/_simulator/requests")
    return simulator
