"""Data tracks of LiveKit's Python SDK, on our server and on LiveKit's."""

import asyncio
import contextlib

import pytest
from livekit.rtc.data_track import DataTrackFrame
from support import TIMEOUT, joined

pytestmark = pytest.mark.asyncio


async def test_frames_of_a_data_track_arrive_whole_and_in_their_order(either, room_name):
    async with joined("ann", room_name) as (ann, _), joined("bob", room_name) as (bob, _):
        found = asyncio.get_running_loop().create_future()
        bob.on("data_track_published", lambda track: found.done() or found.set_result(track))
        track = await asyncio.wait_for(ann.local_participant.publish_data_track(name="wind"), TIMEOUT)
        seen = await asyncio.wait_for(found, TIMEOUT)
        assert seen.info.name == "wind" and seen.publisher_identity == "ann"
        stream = seen.subscribe()

        async def blow():
            number = 0
            while True:
                # longer than one packet
                track.try_push(DataTrackFrame(payload=number.to_bytes(4, "big") * 1000))
                number += 1
                await asyncio.sleep(0.02)

        blowing = asyncio.create_task(blow())
        try:
            frames = [await asyncio.wait_for(stream.read(), TIMEOUT) for _ in range(20)]
        finally:
            blowing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await blowing
        numbers = [int.from_bytes(frame.payload[:4], "big") for frame in frames]
        assert all(frame.payload == number.to_bytes(4, "big") * 1000 for frame, number in zip(frames, numbers, strict=True))
        assert numbers == sorted(numbers)
        await track.unpublish()
        await stream.aclose()
