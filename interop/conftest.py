"""Starts the built `antiphon` the way a user does, and stops it again; the caller of `call/` for everybody."""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

for folder in ("call", "knowledge", "turns"):
    sys.path.insert(0, str(Path(__file__).parent / folder))

ROOT = Path(__file__).resolve().parents[1]
SPEECH = ROOT / "interop" / "speech"
ARTIFACTS = Path(os.environ.get("ANTIPHON_ARTIFACTS", ROOT / "artifacts"))
# Where scripts/ keep what they have fetched and built.
CACHE = Path(os.environ.get("ANTIPHON_CACHE", Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "antiphon"))
SECRETS = ("DEEPGRAM", "OPENAI", "LIVEKIT")


def binary(name: str) -> Path:
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = Path(os.environ.get("ANTIPHON_BIN_DIR", target / "debug")) / name
    assert path.exists(), f"{path} is not built: cargo build --workspace --bins"
    return path


# For each process that runs tests beside others a range of its own, below the ports that the kernel gives away by itself:
# nobody takes one between this and the start of the program it is for.
_PORTS_EACH = 1000
_ports = itertools.cycle(range(_PORTS_EACH))
next(itertools.islice(_ports, os.getpid() % _PORTS_EACH, None))


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for offset in itertools.islice(_ports, _PORTS_EACH):
        port = 12_000 + worker % 16 * _PORTS_EACH + offset
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


@dataclasses.dataclass
class Process:
    """A started program, its output, and the address it printed."""

    child: subprocess.Popen
    lines: list[str]
    url: str = ""

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1)

    def output(self) -> str:
        return "\n".join(self.lines)

    def stop(self) -> int:
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(15)
            except subprocess.TimeoutExpired:
                self.child.kill()
        return self.child.wait()


def start(arguments: list[str], ready: str, env: dict[str, str], folder: Path, seconds: float = 60) -> Process:
    """Starts a program and waits for the line that matches `ready`; its first group, if any, is the address."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(SECRETS)}
    # a newcomer has fetched no models; tests that want them say so
    clean["ANTIPHON_MODELS"] = str(folder / "no-models")
    child = subprocess.Popen(
        arguments, cwd=folder, env={**clean, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    process = Process(child, [])
    found = threading.Event()

    def read() -> None:
        assert child.stdout is not None
        for line in child.stdout:
            process.lines.append(line.rstrip())
            match = re.search(ready, line)
            if match and not found.is_set():
                process.url = match.group(1) if match.groups() else ""
                found.set()
        found.set()

    threading.Thread(target=read, daemon=True).start()
    if not found.wait(seconds) or (child.poll() is not None and not process.url):
        process.stop()
        raise AssertionError(f"{arguments} did not get ready:\n{process.output()}")
    return process


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts programs that end with the test. `run("dev", …)` starts antiphon on free ports."""
    running: list[Process] = []

    def starter(*arguments: str, env: dict[str, str] | None = None, ready: str = r"(http://[\w.:\[\]-]+)", program: str = "antiphon") -> Process:
        process = start([str(binary(program)), *arguments], ready, env or {}, tmp_path)
        running.append(process)
        return process

    starter.binary = str(binary("antiphon"))  # for tests that only want its output
    yield starter
    for process in reversed(running):
        process.stop()
        print(f"--- output of {process.child.args}\n{process.output()}")


@pytest.fixture(scope="session")
def room_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A room server for all tests that share one (ws://…): the one at ANTIPHON_URL, else one started here."""
    if given := os.environ.get("ANTIPHON_URL"):
        yield given
        return
    # one address makes hundreds of connections here, more than a stranger may
    limits = tmp_path_factory.mktemp("room-server") / "limits.toml"
    limits.write_text("[limits]\njoins_per_second = 1000\napi_per_second = 1000\nkey_per_second = 1000\n")
    command = [str(binary("antiphon")), "serve", "--dev", "--port", "0", "--udp-port", "0", "--config", str(limits)]
    process = start(command, r"(http://[\w.:\[\]-]+)", {}, limits.parent)
    os.environ["ANTIPHON_URL"] = process.ws_url
    yield process.ws_url
    del os.environ["ANTIPHON_URL"]
    process.stop()


@pytest.fixture(scope="session")
def models() -> dict[str, str]:
    """The environment with which the program finds its models: they were fetched by scripts/test.sh, through the program."""
    folder = CACHE / "models"
    listed = subprocess.run([binary("antiphon"), "models"], env={**os.environ, "ANTIPHON_MODELS": str(folder)}, capture_output=True, text=True, check=True).stdout
    assert "missing" not in listed, f"fetch them: ANTIPHON_MODELS={folder} antiphon models fetch\n{listed}"
    return {"ANTIPHON_MODELS": str(folder)}


@pytest.fixture
def room() -> str:
    return f"room-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def artifacts() -> Path:
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    return ARTIFACTS
