"""LiveKit's own server, unmodified, on free ports of this machine."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from interop.conftest import CACHE, Process, free_port, start


def program() -> str | None:
    """Where scripts/go-program.sh has put it, or one that is installed."""
    built = sorted((CACHE / "bin").glob("livekit-server-v*"))
    return str(built[-1]) if built else shutil.which("livekit-server")


@pytest.fixture(scope="session")
def livekit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The server; its `url` is http://…"""
    found = program()
    if not found:
        pytest.skip("LiveKit's own server is not here: scripts/go-program.sh builds it with Go")
    port, tcp, udp = free_port(), free_port(), free_port(socket.SOCK_DGRAM)
    configuration = (
        f"port: {port}\nbind_addresses: ['127.0.0.1']\nrtc: {{tcp_port: {tcp}, udp_port: {udp}, node_ip: 127.0.0.1, use_external_ip: false}}\n"
        "keys: {devkey: secret}\nlogging: {level: info}\n"
    )
    process = start([found, "--dev", "--config-body", configuration], "starting LiveKit server", {}, tmp_path_factory.mktemp("livekit"))
    process.url = f"http://127.0.0.1:{port}"
    yield process
    process.stop()


@pytest.fixture
def agent_process(run, tmp_path: Path) -> Callable[..., Process]:
    """`antiphon start` or `antiphon connect` at LiveKit's server with this antiphon.toml."""

    def starter(livekit: Process, *arguments: str, configuration: str, env: dict[str, str], ready: str) -> Process:
        (tmp_path / "antiphon.toml").write_text(configuration)
        keys = {"LIVEKIT_URL": livekit.ws_url, "LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret"}
        return run(*arguments, env={**keys, **env}, ready=ready)

    return starter
