"""A client that lost its signal connection and comes back."""

import asyncio
import contextlib
from urllib.parse import urlparse

import pytest
from livekit import rtc
from support import ALL, TIMEOUT, Events, joined, server_url, token


class Proxy:
    """Between a client and the server's signalling; media goes its own way."""

    def __init__(self) -> None:
        address = urlparse(server_url())
        self.target = (address.hostname, address.port)
        self.open: set[asyncio.StreamWriter] = set()
        self.through = asyncio.Event()
        self.through.set()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self.server.close()
        self.break_off()

    def break_off(self) -> None:
        for writer in self.open:
            writer.transport.abort()
        self.open.clear()

    async def _serve(self, reader, writer) -> None:
        await self.through.wait()
        there, back = await asyncio.open_connection(*self.target)
        self.open |= {writer, back}

        async def copy(source, sink):
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
            with contextlib.suppress(OSError):
                sink.close()

        await asyncio.gather(copy(reader, back), copy(there, writer))


@pytest.mark.asyncio
async def test_who_left_while_a_client_was_away_is_gone_when_it_comes_back(room_name):
    async with Proxy() as proxy, joined("carol", room_name), contextlib.AsyncExitStack() as stack:
        _, bob_events = await stack.enter_async_context(joined("bob", room_name))
        room = rtc.Room()
        events = Events(room, *ALL)
        await asyncio.wait_for(room.connect(proxy.url, token("ann", room_name)), TIMEOUT)
        try:
            assert set(room.remote_participants) == {"bob", "carol"}
            await bob_events.wait("participant_connected", lambda who: who.identity == "ann")
            proxy.through.clear()
            proxy.break_off()
            await events.wait("reconnecting")
            await stack.aclose()  # bob leaves
            proxy.through.set()
            await events.wait("participant_disconnected", lambda who: who.identity == "bob")
            await events.wait("reconnected")
            # where bob took longer to leave than the server waits, the SDK begins anew, and shows everybody as gone and come back
            left = {args[0].identity for name, args in events.seen if name == "participant_disconnected"}
            for who in left - {"bob"}:
                await events.wait("participant_connected", lambda back, who=who: back.identity == who)
            assert set(room.remote_participants) == {"carol"}
        finally:
            await room.disconnect()
