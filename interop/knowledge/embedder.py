"""An OpenAI-shaped embedding endpoint that a test can make busy: a text's vector is made of the words in it."""

from __future__ import annotations

import contextlib
import math
import re
import zlib
from collections.abc import Callable, Iterator

from bridge import Answer, serving

WIDTH = 24


def embedded(text: str) -> list[float]:
    vector = [0.0] * WIDTH
    for word in re.findall(r"\w{4,}", text.lower()):
        vector[zlib.crc32(word.encode()) % WIDTH] += 1.0
    length = math.hypot(*vector) or 1.0
    return [value / length for value in vector]


@contextlib.contextmanager
def endpoint(port: int, refuses: Callable[[int], Answer | None] = lambda _: None) -> Iterator[tuple[str, list[list[str]]]]:
    """Its base address, and the texts of each request so far. `refuses` is told the request's number and may answer instead."""
    asked: list[list[str]] = []

    def answer(_: str, path: list[str], body: dict) -> Answer:
        asked.append(body["input"])
        if instead := refuses(len(asked)):
            return instead
        assert path == ["v1", "embeddings"], path
        rows = [{"object": "embedding", "index": number, "embedding": embedded(text)} for number, text in enumerate(body["input"])]
        return 200, {"object": "list", "data": rows, "model": body["model"], "usage": {"prompt_tokens": 7 * len(rows), "total_tokens": 7 * len(rows)}}

    with serving(port, answer) as url:
        yield f"{url}/v1", asked
