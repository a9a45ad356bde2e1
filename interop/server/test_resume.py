"""A client that lost its signal connection and comes back."""

import asyncio
import contextlib

import pytest
from livekit import rtc
from support import ALL, TIMEOUT, Events, joined, server_url, token
from witness import Witness


@pytest.mark.asyncio
async def test_who_left_while_a_client_was_away_is_gone_when_it_comes_back(room_name):
    async with Witness(server_url()) as witness, joined("carol", room_name), contextlib.AsyncExitStack() as stack:
        _, bob_events = await stack.enter_async_context(joined("bob", room_name))
        room = rtc.Room()
        events = Events(room, *ALL)
        await asyncio.wait_for(room.connect(witness.url, token("ann", room_name)), TIMEOUT)
        try:
            assert set(room.remote_participants) == {"bob", "carol"}
            await bob_events.wait("participant_connected", lambda who: who.identity == "ann")
            witness.through.clear()
            witness.cut()
            await events.wait("reconnecting")
            await stack.aclose()  # bob leaves
            witness.through.set()
            await events.wait("participant_disconnected", lambda who: who.identity == "bob")
            await events.wait("reconnected")
            # where bob took longer to leave than the server waits, the SDK begins anew, and shows everybody as gone and come back
            left = {args[0].identity for name, args in events.seen if name == "participant_disconnected"}
            for who in left - {"bob"}:
                await events.wait("participant_connected", lambda back, who=who: back.identity == who)
            assert set(room.remote_participants) == {"carol"}
        finally:
            await room.disconnect()
