"""Antiphon's turn detector for eot-bench (https://github.com/livekit/eot-bench), which has the audio and the scorer:

    eot-harness predict --path livekit/eot-bench-data --name en --split validation \\
        --adapter eot_bench_adapter:AntiphonAdapter --output-dir output

`antiphon` must be in the PATH (or ANTIPHON_BIN name it) with its models fetched (`antiphon models fetch`, and `antiphon models fetch smart-turn-v3.2`).
"""

import json
import os
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np


class AntiphonAdapter:
    adapter_id = "antiphon-smart-turn"
    display_name = "Antiphon (Smart Turn v3.2 and words)"
    # the dialogue asks when its VAD says that speech has ended: 0.15 s, and eot-bench asks every 0.1 s
    score_point = 0.2

    def __init__(self, detector: str = "smart-turn", words: str = "ears") -> None:
        self.command = [os.environ.get("ANTIPHON_BIN", "antiphon"), "turnbench", "run"]
        self.options = ["--detector", detector, "--words", words, "--after", "0"]

    def supports_language(self, lang_code: str) -> bool:
        return lang_code == "en"

    def predict_batch(self, batch):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            rows = [self._row(folder, number, item) for number, item in enumerate(batch)]
            (folder / "turns.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            predictions = folder / "predictions.jsonl"
            command = [*self.command, str(folder / "turns.jsonl"), *self.options, "--predictions", str(predictions)]
            subprocess.run(command, check=True)
            scored = (json.loads(line) for line in predictions.read_text().splitlines())
            return [row["p_eot"] for row in scored]

    @staticmethod
    def _row(folder: Path, number: int, item) -> dict:
        """What was heard so far, as a turn that is silent from here on."""
        samples = np.asarray(item["audio"]["array"], dtype=np.float32)
        with wave.open(str(folder / f"{number}.wav"), "wb") as file:
            file.setparams((1, 2, int(item["audio"]["sampling_rate"]), 0, "NONE", ""))
            file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
        seconds = len(samples) / item["audio"]["sampling_rate"]
        return {
            "id": str(number),
            "language": "en",
            "audio": f"{number}.wav",
            "silence_spans": [{"start": seconds, "end": seconds}],
            "messages": [{"role": m["role"], "content": m["content"]} for m in item.get("messages") or []],
        }
