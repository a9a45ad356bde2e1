"""Servers that an operator starts: ours and, where Go has built it, LiveKit's own, with one and the same YAML file."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from interop.conftest import Process, binary, free_port, start
from interop.livekit_server.conftest import program

KEY, SECRET = "APIoperator", "a secret that nobody guesses, of 32 characters"


@dataclasses.dataclass
class Operated:
    process: Process
    port: int
    folder: Path
    yaml: Path

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def base_yaml(port: int) -> str:
    return (
        f"port: {port}\nbind_addresses: [127.0.0.1]\nlogging: {{level: info}}\n"
        f"rtc:\n  tcp_port: {free_port()}\n  udp_port: {free_port(socket.SOCK_DGRAM)}\n  node_ip: 127.0.0.1\n  enable_loopback_candidate: true\n"
    )


Start = Callable[..., Operated]


@contextlib.contextmanager
def operated(which: str, folder: Path, extra: str, env: dict[str, str] | None = None, arguments: tuple[str, ...] = (), keys: bool = True, rtc: str = "") -> Iterator[Operated]:
    port = free_port()
    yaml = folder / f"livekit-{uuid.uuid4().hex[:6]}.yaml"
    yaml.write_text(base_yaml(port) + rtc + (f"keys:\n  {KEY}: {SECRET}\n" if keys else "") + extra)
    if which == "antiphon":
        command, ready = [str(binary("antiphon")), "serve"], "listening"
    else:
        found = program()
        if not found:
            pytest.skip("LiveKit's own server is not here: scripts/go-program.sh builds it with Go")
        command, ready = [found], "starting LiveKit server"
    process = start([*command, "--config", str(yaml), *arguments], ready, env or {}, folder)
    try:
        yield Operated(process, port, folder, yaml)
    finally:
        process.stop()
        print(f"--- output of {which}\n{process.output()}")
