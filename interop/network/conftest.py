"""A call between a caller in a hostile network and somebody beside the server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from interop.conftest import ARTIFACTS, binary
from livekit import api

sys.path.insert(0, str(Path(__file__).parent))

from netns import SERVER, Network, why_not  # noqa: E402

CACHE = Path(os.environ.get("ANTIPHON_CACHE", Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "antiphon"))
KEY, SECRET = "APInetwork", "a-secret-that-nobody-guesses-of-32-characters"
REFUSED = why_not()
FIGURES: list[dict] = []


class End:
    """One end of the call: `call.py` in a namespace, and what it has said."""

    def __init__(self, namespace: str, url: str, room: str, identity: str, how: str = ""):
        grants = api.VideoGrants(room_join=True, room=room)
        token = api.AccessToken(KEY, SECRET).with_identity(identity).with_grants(grants).to_jwt()
        self.events: list[dict] = []
        self.changed = threading.Condition()
        script = str(Path(__file__).with_name("call.py"))
        self.child = subprocess.Popen(
            ["ip", "netns", "exec", namespace, sys.executable, script, url, token, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        for line in self.child.stdout:
            if line.startswith("{"):
                with self.changed:
                    self.events.append(json.loads(line))
                    self.changed.notify_all()

    def wait(self, name: str, after: float = 0, seconds: float = 60) -> dict:
        def found() -> dict | None:
            return next((event for event in self.events if event["event"] == name and event["at"] >= after), None)

        with self.changed:
            self.changed.wait_for(lambda: found() or self.events and self.events[-1]["event"] == "failed", seconds)
            assert found(), f"no {name}: {self.events}"
            return found()

    def wait_for_picture(self, fits, after: float, seconds: float) -> float:
        """When the other's picture first had a width that fits."""

        def found() -> dict | None:
            return next((event for event in self.events if event["event"] == "picture" and event["at"] >= after and fits(event["width"])), None)

        with self.changed:
            self.changed.wait_for(found, seconds)
            assert found(), f"no such picture: {[event for event in self.events if event['event'] == 'picture']}"
            return found()["at"]

    def is_hearing(self) -> bool:
        heard = [event["event"] for event in self.events if event["event"] in ("heard", "silent")]
        return bool(heard) and heard[-1] == "heard"

    def concealed(self, seconds: int) -> float:
        """The share of the next seconds' sound that the decoder made up for what was lost, in percent."""
        begin = self.wait("samples", after=time.monotonic())
        end = self.wait("samples", after=begin["at"] + seconds, seconds=seconds + 60)
        return 100 * (end["concealed"] - begin["concealed"]) / max(1, end["all"] - begin["all"])

    def stop(self) -> None:
        self.child.stdin.close()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()


class Call:
    """A server and two ends; the caller's network is `net`."""

    def __init__(self, which: str, net: Network, folder: Path, turn_udp: int):
        self.which, self.net = which, net
        yaml = folder / "livekit.yaml"
        yaml.write_text(
            f"port: 7880\nbind_addresses: ['0.0.0.0']\nlogging: {{level: info}}\nkeys: {{{KEY}: {SECRET}}}\n"
            f"rtc: {{tcp_port: 7881, udp_port: 7882, node_ip: {SERVER}, use_external_ip: false}}\n"
            f"turn: {{enabled: true, udp_port: {turn_udp}, relay_range_start: 30000, relay_range_end: 30100, allow_restricted_peer_cidrs: [10.0.0.0/8]}}\n"
        )
        if which == "antiphon":
            command = [str(binary("antiphon")), "serve"]
        else:
            built = sorted((CACHE / "bin").glob("livekit-server-v*"))
            found = str(built[-1]) if built else shutil.which("livekit-server")
            if not found:
                pytest.skip("LiveKit's own server is not here: scripts/go-program.sh builds it with Go")
            command = [found]
        self.log = open(folder / "server.log", "w+")
        self.server = subprocess.Popen(["ip", "netns", "exec", net.server, *command, "--config", str(yaml)], stdout=self.log, stderr=subprocess.STDOUT)
        self.url, self.room, self.ends = f"ws://{SERVER}:7880", f"room-{uuid.uuid4().hex[:8]}", []
        for _ in range(300):
            if net.inside(net.server, sys.executable, "-c", f"import socket; socket.create_connection(('{SERVER}', 7880), 1)", check=False) == "" and self.answers():
                break
            time.sleep(0.1)

    def answers(self) -> bool:
        code = f"import urllib.request; print(urllib.request.urlopen('http://{SERVER}:7880', timeout=2).status)"
        return self.net.inside(self.net.server, sys.executable, "-c", code, check=False).strip() == "200"

    def join(self, how: str = "", callers: str | None = None) -> tuple[End, End]:
        """Both ends; returns the caller, who is in the hostile network, and the other. `callers`: how the caller's is otherwise."""
        other = End(self.net.server, self.url, self.room, "other", how)
        self.ends.append(other)
        other.wait("connected")
        caller = End(self.net.client, self.url, self.room, "caller", how if callers is None else callers)
        self.ends.append(caller)
        return caller, other

    def talk(self, caller: End, other: End, seconds: float = 60) -> float:
        """Both hear one another. Returns the caller's time to first audio, seconds."""
        begun = caller.wait("connecting")["at"]
        caller.wait("connected", seconds=seconds)
        heard = caller.wait("heard", seconds=seconds)["at"]
        other.wait("heard", seconds=seconds)
        return heard - begun

    def note(self, what: str, **figures: float) -> None:
        FIGURES.append({"server": self.which, "network": what, **{name: round(value, 2) for name, value in figures.items()}})

    def close(self) -> None:
        for end in self.ends:
            end.stop()
        self.server.terminate()
        try:
            self.server.wait(10)
        except subprocess.TimeoutExpired:
            self.server.kill()
        self.log.seek(0)
        print(f"--- {self.which}\n{self.log.read()[-6000:]}")
        for end in self.ends:
            print(end.events)


@pytest.fixture
def net() -> Iterator[Network]:
    if REFUSED:
        pytest.skip(REFUSED)
    network = Network()
    yield network
    network.close()


@pytest.fixture(params=["antiphon", "livekit-server"])
def call(request: pytest.FixtureRequest, net: Network, tmp_path: Path) -> Iterator[Call]:
    made = Call(request.param, net, tmp_path, turn_udp=443)
    yield made
    made.close()


def pytest_sessionfinish() -> None:
    """The figures, as a table."""
    if not FIGURES:
        return
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    columns = {"first": "time to first audio, s", "recover": "time to recover, s", "heard": "made up of what the caller hears, %", "said": "of what he says, %", "smaller": "until the picture is smaller, s", "larger": "until it is large again, s"}
    rows = ["| network | server | " + " | ".join(columns.values()) + " |", "|---" * (len(columns) + 2) + "|"]
    for row in sorted(FIGURES, key=lambda row: (row["network"], row["server"])):
        rows.append(f"| {row['network']} | {row['server']} | " + " | ".join(str(row.get(name, "")) for name in columns) + " |")
    (ARTIFACTS / "network.md").write_text("\n".join(rows) + "\n")
    print("\n" + "\n".join(rows))
