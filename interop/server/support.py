"""What the tests of the room server share. ANTIPHON_URL (ws://…, devkey and secret) is set by the fixture if it is not given."""

import asyncio
import os
from contextlib import asynccontextmanager

from livekit import api, rtc

KEY, SECRET = "devkey", "secret"
TIMEOUT = 15


def server_url() -> str:
    return os.environ["ANTIPHON_URL"]


def http_url() -> str:
    return server_url().replace("ws", "http", 1)


def token(identity: str, room: str, key: str = KEY, secret: str = SECRET, **grants) -> str:
    grants = {"room_join": True, "room": room, "can_update_own_metadata": True, **grants}
    return api.AccessToken(key, secret).with_identity(identity).with_name(identity.title()).with_grants(api.VideoGrants(**grants)).to_jwt()


class Events:
    """Collects a room's events so that a test can wait for one of them, whether it came already or not."""

    def __init__(self, room: rtc.Room, *names: str):
        self.seen = []
        self.changed = asyncio.Event()
        for name in names:
            room.on(name, self._handler(name))

    def _handler(self, name):
        def handle(*args):
            self.seen.append((name, args))
            self.changed.set()

        return handle

    async def wait(self, name, predicate=lambda *args: True):
        async def look():
            while True:
                for seen, args in self.seen:
                    if seen == name and predicate(*args):
                        return args
                self.changed.clear()
                await self.changed.wait()

        return await asyncio.wait_for(look(), TIMEOUT)


ALL = (
    "participant_connected", "participant_disconnected", "track_subscribed", "track_unsubscribed", "track_published",
    "track_unpublished", "track_muted", "track_unmuted", "data_received", "active_speakers_changed",
    "participant_attributes_changed", "participant_metadata_changed", "participant_name_changed", "room_metadata_changed",
    "disconnected", "local_track_subscribed", "connection_quality_changed", "reconnecting", "reconnected",
)  # fmt: skip


@asynccontextmanager
async def joined(identity: str, room_name: str, auto_subscribe: bool = True, **grants):
    room = rtc.Room()
    events = Events(room, *ALL)
    options = rtc.RoomOptions(auto_subscribe=auto_subscribe)
    await asyncio.wait_for(room.connect(server_url(), token(identity, room_name, **grants), options), TIMEOUT)
    try:
        yield room, events
    finally:
        await room.disconnect()
