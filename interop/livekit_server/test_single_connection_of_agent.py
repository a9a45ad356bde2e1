"""Our agent is a client like others: on LiveKit's server it joins with one peer connection, speaks and answers."""

import asyncio
import sys
import uuid
from pathlib import Path

import pytest
from caller import Caller
from witness import Witness

sys.path.insert(0, str(Path(__file__).parents[1] / "scale"))

from processes import configuration, work  # noqa: E402, F401

PATIENCE = 30


@pytest.mark.asyncio
async def test_our_agent_joins_livekits_server_by_one_request_and_is_heard(livekit, work):  # noqa: F811
    async with Witness(livekit.ws_url) as witness:
        await asyncio.to_thread(work, witness.url)
        async with Caller(livekit.ws_url, f"room-{uuid.uuid4().hex[:8]}") as caller:
            await caller.until("the greeting", lambda: any("scale test" in words for words in caller.words("agent")), PATIENCE)
            before = len(caller.words("agent"))
            await caller.type("hello")
            await caller.until("an answer", lambda: len(caller.words("agent")) > before, PATIENCE)
            await caller.until("sound", lambda: len(caller.heard) > 16_000, PATIENCE)
        joined = [(path, status) for path, status in witness.asked if path.startswith("/rtc")]
        assert joined == [("/rtc/v1", 101)]
