"""Bad input from the network: each is refused with a clear error, and a call that goes on in another room notices nothing."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import random
import re
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
import websockets
from conftest import Process, binary, start
from livekit import api, rtc

sys.path.insert(0, str(Path(__file__).parents[1] / "call"))
from caller import Caller  # noqa: E402

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOM = "attacked"
# The development secret is printed on purpose ("API key devkey, secret secret"); this one must never be.
KEY, SECRET = "devkey", "secret"
MAX_SIGNAL_BYTES = 2 * 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    process = start([str(binary("antiphon")), "dev", "--port", "0", "--udp-port", "0"], r"(http://[\w.:\[\]-]+)", {}, tmp_path_factory.mktemp("server"))
    yield process
    output, code = process.output(), process.stop()
    print(f"--- output of antiphon dev\n{output}")
    assert code == 0, f"antiphon dev ended with {code}"
    assert "panicked" not in output
    assert not re.search(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", output), "a token stands in the output"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def call(server: Process) -> AsyncIterator[Caller]:
    """The call that goes on in another room the whole time."""
    async with Caller(server.ws_url, "undisturbed") as caller:
        await caller.until("the greeting", lambda: caller.words("agent"), 60)
        yield caller


async def still_answered(call: Caller) -> None:
    """The caller asks, and is answered by the same agent."""
    asked, agent = len(call.words("agent")), call.agent
    await call.type("when are you open on saturday")
    await call.until("an answer in the other room", lambda: len(call.words("agent")) > asked, 60)
    assert not call.agent_left and call.agent is agent, call.report()


# --- tokens


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt(secret: str | None = SECRET, header: dict | None = None, **changes: object) -> str:
    now = int(time.time())
    claims = {"iss": KEY, "sub": "mallory", "exp": now + 600, "nbf": now - 10, "video": {"roomJoin": True, "room": ROOM}}
    claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    signed = f"{b64(json.dumps(header or {'alg': 'HS256', 'typ': 'JWT'}).encode())}.{b64(json.dumps(claims).encode())}"
    signature = b64(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)) if secret is not None else ""
    return f"{signed}.{signature}"


BAD_TOKENS = {
    "expired": (jwt(exp=int(time.time()) - 3600), "expired"),
    "without an end": (jwt(exp=None), "exp"),
    "not valid yet": (jwt(nbf=int(time.time()) + 3600), "not valid yet"),
    "unsigned": (jwt(secret=None), "signature"),
    "alg none": (jwt(secret=None, header={"alg": "none", "typ": "JWT"}), "HS256"),
    "another algorithm": (jwt(header={"alg": "HS512", "typ": "JWT"}), "HS256"),
    "wrong secret": (jwt(secret="another secret"), "signature"),
    "unknown key": (jwt(iss="stranger"), "key"),
    "no grant": (jwt(video={}), "permissions"),
    "no grant to join": (jwt(video={"roomJoin": False, "room": ROOM}), "permissions"),
    "rubbish": ("rubbish", "token"),
    "three times nothing": ("..", "token"),
}


@pytest.mark.parametrize("name", BAD_TOKENS)
async def test_a_bad_token_is_refused_with_its_reason(server, name):
    token, reason = BAD_TOKENS[name]
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{server.url}/rtc/validate", params={"access_token": token})
    assert answer.status_code == 401, answer.text
    assert reason in answer.text, answer.text
    assert len(answer.text) < 300 and token not in answer.text


async def test_no_token_and_the_wrong_room_are_refused(server):
    async with httpx.AsyncClient() as client:
        none = await client.get(f"{server.url}/rtc/validate")
        other = await client.get(f"{server.url}/rtc/validate", params={"access_token": jwt(), "room": "undisturbed"})
        good = await client.get(f"{server.url}/rtc/validate", params={"access_token": jwt()})
    assert (none.status_code, other.status_code, good.status_code) == (401, 401, 200), (none.text, other.text, good.text)


@pytest.mark.parametrize("name", ["expired", "wrong secret", "alg none"])
async def test_the_sdk_reports_the_refusal(server, call, name):
    room = rtc.Room()
    with pytest.raises(rtc.ConnectError) as error:
        await room.connect(server.ws_url, BAD_TOKENS[name][0])
    assert "401" in str(error.value) or "authoriz" in str(error.value).lower(), error.value


async def test_refused_callers_disturb_nobody(call):
    await still_answered(call)


# --- signalling


@contextlib.asynccontextmanager
async def signalling(server: Process, identity: str) -> AsyncIterator[websockets.ClientConnection]:
    token = api.AccessToken(KEY, SECRET).with_identity(identity).with_grants(api.VideoGrants(room_join=True, room=ROOM)).to_jwt()
    async with websockets.connect(f"{server.ws_url}/rtc?access_token={token}&protocol=16", max_size=None) as connection:
        assert isinstance(await connection.recv(), bytes), "the join response"
        yield connection


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


async def test_malformed_signal_messages_are_ignored_or_end_their_own_connection(server, call):
    messages: list[bytes | str] = [b"", b"\xff" * 64, b"\x0a\xff\xff\xff\xff\x0f", "", "rubbish", "{", "[]", '{"offer": 5}', '{"offer": {"sdp": "v=0"}}', "[" * 100_000]
    messages += [noise(seed, 200) for seed in range(20)]
    for number, message in enumerate(messages):
        async with signalling(server, f"mallory-{number % 4}") as connection:
            with contextlib.suppress(websockets.ConnectionClosed):
                await connection.send(message)
                await connection.send(message)
    await still_answered(call)


async def test_an_oversized_signal_message_ends_its_own_connection(server, call):
    async with signalling(server, "mallory-large") as connection:
        with pytest.raises(websockets.ConnectionClosed):
            await connection.send(bytes(MAX_SIGNAL_BYTES + 1))
            while True:
                await asyncio.wait_for(connection.recv(), 30)
    await still_answered(call)


async def test_sockets_that_stop_in_the_middle_are_let_go(server, call):
    """A handshake that never ends, an upgrade that never speaks, one that vanishes without goodbye."""
    address = urlsplit(server.url)
    held = []
    for start_of_request in [b"", b"GET", b"GET /rtc HTTP/1.1\r\nHost: x\r\n", b"\x16\x03\x01\x02\x00", b"\x00" * 4096]:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(start_of_request)
        held.append((reader, writer))
    token = jwt(sub="half-open")
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        f"GET /rtc?access_token={token} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    await writer.drain()
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()
    await still_answered(call)
    for reader, writer in held:
        # 15 s for the headers; whatever is said before the end is said in a few words
        said = await asyncio.wait_for(reader.read(), 60)
        assert len(said) < 1000, said
        writer.close()


async def test_a_slow_request_is_given_up(server, call):
    address = urlsplit(server.url)
    connections = [await asyncio.open_connection(address.hostname, address.port) for _ in range(100)]
    for _, writer in connections:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")

    async def drip() -> None:
        while True:
            for _, writer in connections:
                with contextlib.suppress(ConnectionError):
                    writer.write(b"X: y\r\n")
            await asyncio.sleep(1)

    dripping = asyncio.create_task(drip())
    try:
        await still_answered(call)
        for reader, _ in connections:
            with contextlib.suppress(ConnectionError):
                assert len(await asyncio.wait_for(reader.read(), 60)) < 1000
    finally:
        dripping.cancel()
        for _, writer in connections:
            writer.close()


# --- media


def media_ports(server: Process) -> list[int]:
    """The UDP ports of the process, as the kernel lists them."""
    inodes = set()
    for fd in Path(f"/proc/{server.child.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if match := re.match(r"socket:\[(\d+)\]", os.readlink(fd)):
                inodes.add(match.group(1))
    lines = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return sorted({int(line[1].split(":")[1], 16) for line in lines if line[9] in inodes})


def stun(seed: int) -> bytes:
    """A binding request with a magic cookie, a user name of nobody, and a wrong integrity."""
    rng = random.Random(seed)
    username = f"{rng.randbytes(4).hex()}:{rng.randbytes(4).hex()}".encode()
    padded = username + bytes(-len(username) % 4)
    attributes = struct.pack("!HH", 0x0006, len(username)) + padded + struct.pack("!HH", 0x0008, 20) + rng.randbytes(20)
    return struct.pack("!HHI", rng.choice([1, 0x0101, 0x0111, 3]), len(attributes), 0x2112A442) + rng.randbytes(12) + attributes


async def test_garbage_at_the_media_ports_disturbs_no_call(server, call):
    ports = media_ports(server)
    assert ports, "no UDP port found"
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(50)]
    # first bytes of STUN, DTLS, RTP and RTCP, and of nothing at all
    makers = [
        stun,
        lambda seed: stun(seed)[: seed % 40],
        lambda seed: b"\x16\xfe\xfd" + noise(seed, 100),
        lambda seed: b"\x80\x6f" + noise(seed, 60),
        lambda seed: b"\x80\xc8" + noise(seed, 60),
        lambda seed: noise(seed, seed % 1400),
    ]
    heard = len(call.heard)
    for seed in range(6000):
        with contextlib.suppress(OSError):
            sockets[seed % len(sockets)].sendto(makers[seed % len(makers)](seed), ("127.0.0.1", ports[seed % len(ports)]))
        if seed % 200 == 0:
            await asyncio.sleep(0)
    await still_answered(call)
    await call.until("sound goes on", lambda: len(call.heard) > heard, 30)
    for one in sockets:
        one.close()


# --- too much of it: last, because this address is not welcome for some seconds afterwards


async def test_too_many_joins_are_told_when_to_come_back(server, call):
    async with httpx.AsyncClient() as client:
        for _ in range(1000):
            answer = await client.get(f"{server.url}/rtc/validate", params={"access_token": jwt()})
            if answer.status_code != 200:
                break
    assert answer.status_code == 429, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    await still_answered(call)
