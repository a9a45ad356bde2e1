"""Each test runs with our server and, where Go has built it, with LiveKit's own."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from operate import Start, operated  # noqa: E402


@pytest.fixture(params=["antiphon", "livekit-server"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """`server("webhook: …")` starts the server with these lines beside its ports and keys. Each test runs with both servers."""
    with contextlib.ExitStack() as stack:
        yield lambda extra="", **options: stack.enter_context(operated(request.param, tmp_path, extra, **options))


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Start]:
    """The same with our server alone."""
    with contextlib.ExitStack() as stack:
        yield lambda extra="", **options: stack.enter_context(operated("antiphon", tmp_path, extra, **options))
