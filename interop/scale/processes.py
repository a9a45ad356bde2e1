"""Servers and workers of these tests, and what they say about themselves."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import pytest
from waiting import get

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
METRICS_TOKEN = "for-the-scale-tests-only"


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
        lines = get(self.process.url + "/metrics", METRICS_TOKEN)[1].splitlines()
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
        env = {**LIVEKIT, "LIVEKIT_URL": url, "ANTIPHON_METRICS_TOKEN": METRICS_TOKEN}
        worker = Worker(run("start", "--port", "0", "--load-threshold", "1000", *file, *arguments, env=env))
        deadline = time.monotonic() + 60
        while worker.health() != 200:
            assert time.monotonic() < deadline, worker.process.output()
            time.sleep(0.1)
        return worker

    return starter
