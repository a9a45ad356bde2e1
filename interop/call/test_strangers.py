"""Who may look into a call, and who may use the development server."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.error
import urllib.request

import pytest
from caller import Caller
from livekit import api, rtc
from simulated import start_agent, start_simulator
from waiting import get

pytestmark = pytest.mark.asyncio

AGENT = """
name = "desk"
greeting = "Good day."
"""


class Stranger:
    """Somebody in the room who may do nothing but listen, and writes down every text stream."""

    def __init__(self, url: str, room: str, **grants) -> None:
        self.url, self.room_name, self.grants = url, room, grants
        self.room = rtc.Room()
        self.topics: list[str] = []

    async def __aenter__(self) -> Stranger:
        for topic in ("antiphon.events", "lk.transcription"):
            self.room.register_text_stream_handler(topic, lambda _reader, _who, topic=topic: self.topics.append(topic))
        grants = api.VideoGrants(room_join=True, room=self.room_name, can_publish=False, can_publish_data=False, **self.grants)
        token = api.AccessToken("devkey", "secret").with_identity("stranger").with_grants(grants).with_attributes({"antiphon.events": "true"})
        await self.room.connect(self.url, token.to_jwt())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.room.disconnect()


@pytest.fixture
def simulator(run):
    return start_simulator(run)


async def chat(caller: Caller, words: str, answers: int) -> None:
    await caller.type(words)
    await caller.until("an answer", lambda: len(caller.words("agent")) > answers and caller.states[-1] == "listening", 30)
    await caller.until("its metrics", lambda: len(caller.of_type("turn_metrics")) > answers - 1, 30)


async def test_only_who_is_granted_it_reads_what_happens_in_the_session(run, simulator, tmp_path, room):
    server = start_agent(run, simulator, tmp_path, AGENT)
    async with Caller(server.ws_url, room) as caller, Stranger(server.ws_url, room) as stranger:
        await caller.until("the greeting", lambda: caller.words("agent") and caller.states[-1] == "listening", 30)
        await chat(caller, "one two three", 1)
        assert caller.events and "lk.transcription" in stranger.topics
        assert "antiphon.events" not in stranger.topics

        # It is granted while the call goes on, and taken away again.
        async def grant(allowed: bool) -> None:
            permission = api.ParticipantPermission(can_subscribe=True, can_manage_agent_session=allowed)
            async with api.LiveKitAPI(server.url, "devkey", "secret") as lk:
                await lk.room.update_participant(api.UpdateParticipantRequest(room=room, identity="stranger", permission=permission))

        await grant(True)
        await chat(caller, "four five six", 2)
        assert "antiphon.events" in stranger.topics
        await grant(False)
        await chat(caller, "seven eight nine", 3)
        stranger.topics.clear()
        await chat(caller, "ten eleven twelve", 4)
        assert "lk.transcription" in stranger.topics and "antiphon.events" not in stranger.topics


async def test_a_server_that_others_can_reach_does_not_take_the_public_secret(run, room):
    server = run("dev", "--bind", "0.0.0.0", "--port", "0", "--udp-port", "0", ready=r"open (http://\S+)")
    port = server.url.rsplit(":", 1)[1]
    url = f"http://127.0.0.1:{port}"
    with pytest.raises(rtc.ConnectError):
        async with Stranger(url.replace("http", "ws"), room):
            pass
    secret = re.search(r"API key devkey, secret ([0-9a-f]{64})", server.output())
    assert secret, server.output()
    request = urllib.request.Request(f"{url}/api/playground/connect", data=b"", method="POST")
    with await asyncio.to_thread(urllib.request.urlopen, request) as response:
        page = json.load(response)
    caller = rtc.Room()
    await caller.connect(page["server_url"], page["participant_token"])
    await caller.disconnect()
    assert get(f"{url}/metrics")[0] == 401


async def test_metrics_are_for_who_has_the_token_or_reaches_their_own_address(run, tmp_path):
    keys = ["--keys", "key: a-secret-that-has-thirty-two-characters"]
    closed = run("serve", "--bind", "127.0.0.1", "--port", "0", "--udp-port", "0", *keys)
    status, hint = get(closed.url + "/metrics")
    assert status == 401 and "metrics_bind" in hint
    config = tmp_path / "apart.toml"
    config.write_text('[telemetry]\nmetrics_bind = "127.0.0.1:0"\n')
    env = {"ANTIPHON_METRICS_TOKEN": "scrape"}
    apart = run("serve", "--bind", "127.0.0.1", "--port", "0", "--udp-port", "0", "-c", str(config), *keys, env=env)
    assert get(apart.url + "/metrics", "scrape")[0] == 200
    assert get(apart.url + "/metrics", "scrap")[0] == 401
    address = re.search(r'"address":"(127\.0\.0\.1:\d+)"', apart.output())
    assert address, apart.output()
    assert get(f"http://{address.group(1)}/metrics")[0] == 200
