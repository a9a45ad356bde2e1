"""`antiphon turnbench` on the recordings of this repository, and as eot-bench asks it. Nothing is fetched."""

import json
import os
import subprocess
import wave

import numpy as np
import pytest
from interop.conftest import CACHE, ROOT, binary
from eot_bench_adapter import AntiphonAdapter

ENVIRONMENT = {**os.environ, "ANTIPHON_MODELS": os.environ.get("ANTIPHON_MODELS", str(CACHE / "models")), "HTTPS_PROXY": "http://127.0.0.1:9"}


def turnbench(*arguments: object) -> str:
    command = [str(binary("antiphon")), "turnbench", *map(str, arguments)]
    return subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def turns(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("turns")
    assert "21 turns" in turnbench("make", folder, ROOT / "interop/turns/recordings.tsv")
    return folder / "turns.jsonl"


def test_cut_offs_are_set_against_latency_without_a_network(turns) -> None:
    report = turnbench("run", turns, "--detector", "sound")
    for line in ("detector, latency at 5 % false cut-offs", "detector, latency at 10 % false cut-offs", "silence alone, latency at 5 %"):
        assert line in report, report


def test_eot_bench_gets_a_score_for_every_silence_that_it_asks_about(turns, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ENVIRONMENT, "ANTIPHON_BIN": str(binary("antiphon"))}.items():
        monkeypatch.setenv(name, value)
    rows = [json.loads(line) for line in turns.read_text().splitlines()]
    row = next(row for row in rows if row["id"] == "jfk")
    with wave.open(str(turns.parent / row["audio"])) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    asked = [row["silence_spans"][at]["start"] + 0.2 for at in (0, -1)]
    batch = [{"audio": {"array": samples[: int(at * 16000)], "sampling_rate": 16000}} for at in asked]
    scores = AntiphonAdapter(detector="sound").predict_batch(batch)
    assert len(scores) == 2 and all(0 <= score <= 1 for score in scores)
    assert scores[0] != scores[1], "it has heard two different things"
