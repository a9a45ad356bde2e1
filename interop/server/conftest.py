"""Makes `support` importable from wherever pytest is started, and names rooms."""

import pathlib
import sys
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))


@pytest.fixture
def room_name() -> str:
    return f"room-{uuid.uuid4().hex[:8]}"
