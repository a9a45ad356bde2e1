"""Makes `support` importable from wherever pytest is started, and names rooms."""

import pathlib
import sys
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from interop.livekit_server.conftest import livekit  # noqa: E402, F401


@pytest.fixture
def room_name() -> str:
    return f"room-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session", autouse=True)
def _server(room_server: str) -> str:
    """Every test here talks with the one server that `support.server_url` names."""
    return room_server


@pytest.fixture(params=["antiphon", "livekit"])
def either(request, room_server, monkeypatch):
    """The address of a server; every test here runs with both."""
    url = room_server if request.param == "antiphon" else request.getfixturevalue("livekit").ws_url
    monkeypatch.setenv("ANTIPHON_URL", url)
    return url
