"""Servers and workers of these tests, and what they say about themselves."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

CONFIGURATION = """
name = "scale"
greeting = "Hello from the scale test."

[stt]
provider = "none"

[limits]
joins_per_second = 1000
key_per_second = 1000
"""
LIVEKIT = {"LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret"}


def get(url: str) -> tuple[int, str]:
    """Status and text of a page; 0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


async def eventually(what: str, condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        await asyncio.sleep(0.1)


@dataclasses.dataclass
class Worker:
    """A started `antiphon start`."""

    process: object

    def health(self) -> int:
        return get(self.process.url + "/")[0]

    def info(self) -> dict:
        return json.loads(get(self.process.url + "/worker")[1])

    def jobs(self) -> int:
        return self.info()["active_jobs"]

    def metric(self, name: str) -> float | None:
        """The sum of all lines of this metric."""
        lines = get(self.process.url + "/metrics")[1].splitlines()
        values = [float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name]
        return sum(values) if values else None


@pytest.fixture
def configuration(tmp_path: Path) -> str:
    path = tmp_path / "scale.toml"
    path.write_text(CONFIGURATION)
    return str(path)


@pytest.fixture
def serve(run, configuration):
    """`antiphon serve --dev` on free ports."""

    def starter(*arguments: str, **more):
        return run("serve", "--dev", "--port", "0", "--udp-port", "0", "--config", configuration, *arguments, **more)

    return starter


@pytest.fixture
def work(run, configuration):
    """`antiphon start` at this server, ready when it is registered. A busy test machine is no reason to refuse."""

    def starter(url: str, *arguments: str, config: str | None = configuration) -> Worker:
        file = ["--config", config] if config else []
        env = {**LIVEKIT, "LIVEKIT_URL": url}
        worker = Worker(run("start", "--port", "0", "--load-threshold", "1000", *file, *arguments, env=env))
        deadline = time.monotonic() + 60
        while worker.health() != 200:
            assert time.monotonic() < deadline, worker.process.output()
            time.sleep(0.1)
        return worker

    return starter
