"""Our relay, used by aioice's TURN client: over UDP and TLS, with the credentials that participants are given, and by strangers."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ssl
import struct
import subprocess
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import pytest
from aioice import stun, turn
from livekit import api
from livekit.protocol import rtc as signal
from operate import KEY, SECRET, Operated, free_port


async def joined_ice_servers(running: Operated) -> list:
    """What a participant is told, by a signalling client of few lines."""
    grants = api.VideoGrants(room_join=True, room="hall")
    token = api.AccessToken(KEY, SECRET).with_identity("ann").with_grants(grants).to_jwt()
    query = urlencode({"access_token": token, "protocol": 15, "sdk": "python", "version": "1.0.0"})
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{running.http}/rtc?{query}") as socket:
        first = await socket.receive(timeout=20)
        return list(signal.SignalResponse.FromString(first.data).join.ice_servers)


class Relayed(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.received: asyncio.Queue = asyncio.Queue()

    def datagram_received(self, data: bytes, address) -> None:
        self.received.put_nowait((data, address))


def certificate(folder: Path) -> str:
    cert, key = folder / "turn.pem", folder / "turn.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return f"cert_file: {cert}, key_file: {key}"


def relay(running_ports: dict, folder: Path) -> str:
    return f"turn: {{enabled: true, domain: localhost, udp_port: {running_ports['udp']}, tls_port: {running_ports['tls']}, {certificate(folder)}}}\n"


@pytest.fixture
def ports() -> dict:
    return {"udp": free_port(), "tls": free_port()}


async def endpoint(kind: str, ports: dict, username: str, password: str):
    if kind == "udp":
        return await turn.create_turn_endpoint(Relayed, ("127.0.0.1", ports["udp"]), username, password)
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    return await turn.create_turn_endpoint(Relayed, ("127.0.0.1", ports["tls"]), username, password, ssl=trusting, transport="tcp")


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["udp", "tls"])
async def test_a_participant_gets_a_relayed_address_and_nobody_else_is_reached_through_it(ours, ports, tmp_path, kind):
    running = ours(relay(ports, tmp_path))
    [server] = [server for server in await joined_ice_servers(running) if server.username]
    assert f"turn:127.0.0.1:{ports['udp']}?transport=udp" in server.urls and "turns:localhost:443?transport=tcp" in server.urls
    transport, _ = await asyncio.wait_for(endpoint(kind, ports, server.username, server.credential), 20)
    host, port = transport.get_extra_info("sockname")
    assert host == "127.0.0.1" and port > 1024
    # our own media may be reached
    inner = transport._TurnTransport__inner_protocol
    media = ("127.0.0.1", int(running.yaml.read_text().split("udp_port: ")[1].split("\n")[0]))
    await asyncio.wait_for(inner.channel_bind(0x4000, media), 10)
    # the rest of the machine and of the world may not: neither by channel nor by permission
    for other in (("127.0.0.2", 22), ("169.254.169.254", 80), ("10.0.0.1", 7882), ("192.0.2.1", 53)):
        with pytest.raises(stun.TransactionFailed) as refused:
            await inner.channel_bind(0x4001, other)
        assert refused.value.response.attributes["ERROR-CODE"][0] == 403
    transport.close()


@pytest.mark.asyncio
async def test_a_wrong_password_an_old_one_and_a_forged_name_open_nothing(ours, ports, tmp_path):
    running = ours(relay(ports, tmp_path))
    [server] = [server for server in await joined_ice_servers(running) if server.username]
    later = base64.urlsafe_b64encode(f"{KEY}|PA_eve|9999999999".encode()).decode().rstrip("=")
    for username, password in (
        (server.username, "wrong"),
        (later, server.credential),
        (later, base64.urlsafe_b64encode(hmac.new(b"guess", b"turn|PA_eve|9999999999", hashlib.sha256).digest()).decode().rstrip("=")),
        ("", ""),
    ):
        with pytest.raises(stun.TransactionFailed):
            await asyncio.wait_for(endpoint("udp", ports, username, password), 20)


@pytest.mark.asyncio
async def test_rubbish_at_the_relays_ports_ends_with_its_connection_and_the_relay_goes_on(ours, ports, tmp_path):
    running = ours(relay(ports, tmp_path))
    loop = asyncio.get_running_loop()
    flood, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("127.0.0.1", ports["udp"]))
    for number in range(3000):
        flood.sendto(struct.pack(">HHI", number % 0x4000, number % 2000, 0x2112A442) + bytes(number % 64))
    flood.close()
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", ports["tls"], ssl=trusting)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), 20) == b""
    writer.close()
    [server] = [server for server in await joined_ice_servers(running) if server.username]
    transport, _ = await asyncio.wait_for(endpoint("tls", ports, server.username, server.credential), 20)
    transport.close()


@pytest.mark.asyncio
async def test_servers_of_others_are_handed_out_as_livekit_does(server):
    running = server(
        rtc="  stun_servers: ['stun.example.com:3478']\n  turn_servers:\n"
        "    - {host: relay.example.com, port: 443, protocol: tls, secret: north}\n"
        "    - {host: plain.example.com, port: 3478, protocol: udp, username: u, credential: p}\n"
    )
    told = {url: s for s in await joined_ice_servers(running) for url in s.urls}
    shared = told["turns:relay.example.com:443?transport=tcp"]
    expires, participant = shared.username.split(":")
    assert participant.startswith("PA_") and int(expires) > 1.7e9
    wanted = base64.b64encode(hmac.new(b"north", shared.username.encode(), hashlib.sha1).digest()).decode()
    assert shared.credential == wanted
    fixed = told["turn:plain.example.com:3478?transport=udp"]
    assert (fixed.username, fixed.credential) == ("u", "p")
    assert "stun:stun.example.com:3478" in told
