"""LiveKit's Python SDK at its defaults: one peer connection, on our server and on LiveKit's, which must look alike."""

import asyncio
import contextlib

import pytest
from livekit import rtc
from support import TIMEOUT, joined
from test_room import TONE_HZ, loudest_frequency, tone
from witness import Witness

pytestmark = pytest.mark.asyncio


async def handshakes(room: rtc.Room) -> int:
    """How many DTLS transports this client has set up."""
    stats = await room.get_rtc_stats()
    both = [*stats.publisher_stats, *stats.subscriber_stats]
    return len({s.transport.rtc.id for s in both if s.WhichOneof("stats") == "transport"})


async def test_one_request_and_one_handshake_are_enough(either, room_name, monkeypatch):
    async with Witness(either) as witness:
        monkeypatch.setenv("ANTIPHON_URL", witness.url)
        async with joined("ann", room_name) as (ann, a), joined("bob", room_name) as (bob, b), tone(ann), tone(bob):
            for room, events in ((ann, a), (bob, b)):
                track, _, _ = await events.wait("track_subscribed")
                assert abs(await asyncio.wait_for(loudest_frequency(track), TIMEOUT) - TONE_HZ) < 10
                assert await handshakes(room) == 1
        assert witness.asked == [("/rtc/v1", 101), ("/rtc/v1", 101)]


async def test_more_tracks_than_the_client_has_sections_for_are_all_heard(either, room_name):
    async with joined("ann", room_name) as (ann, _), contextlib.AsyncExitStack() as stack:
        for number in range(4):
            await stack.enter_async_context(tone(ann, f"tone {number}"))
        async with joined("bob", room_name) as (_, heard):
            await stack.enter_async_context(tone(ann, "tone 4"))
            for number in range(5):
                name = f"tone {number}"
                track, _, _ = await heard.wait("track_subscribed", lambda _t, publication, _p, name=name: publication.name == name)
                assert abs(await asyncio.wait_for(loudest_frequency(track), TIMEOUT) - TONE_HZ) < 10


async def test_a_track_that_goes_and_another_that_comes_are_told_apart(either, room_name):
    async with joined("ann", room_name) as (ann, _), joined("bob", room_name) as (_, heard):
        for number in range(5):
            name = f"tone {number}"
            async with tone(ann, name) as publication:
                track, _, _ = await heard.wait("track_subscribed", lambda _t, p, _, name=name: p.name == name)
                assert abs(await asyncio.wait_for(loudest_frequency(track), TIMEOUT) - TONE_HZ) < 10
                await ann.local_participant.unpublish_track(publication.sid)
            await heard.wait("track_unsubscribed", lambda _t, p, _, name=name: p.name == name)


async def test_unsubscribed_is_silent_and_subscribed_again_is_heard(either, room_name):
    async with joined("ann", room_name) as (ann, _), joined("bob", room_name) as (_, heard), tone(ann):
        _, publication, _ = await heard.wait("track_subscribed")
        publication.set_subscribed(False)
        await heard.wait("track_unsubscribed")
        heard.seen.clear()
        publication.set_subscribed(True)
        track, _, _ = await heard.wait("track_subscribed")
        assert abs(await asyncio.wait_for(loudest_frequency(track), TIMEOUT) - TONE_HZ) < 10


async def test_who_comes_back_after_a_cut_hears_and_is_heard(either, room_name, monkeypatch):
    async with joined("ann", room_name) as (ann, a), Witness(either) as witness:
        monkeypatch.setenv("ANTIPHON_URL", witness.url)
        async with joined("bob", room_name) as (bob, b), tone(ann), tone(bob):
            await a.wait("track_subscribed")
            await b.wait("track_subscribed")
            witness.cut()
            await b.wait("reconnected")
            for room in (ann, bob):
                (other,) = room.remote_participants.values()
                (publication,) = other.track_publications.values()
                assert abs(await asyncio.wait_for(loudest_frequency(publication.track), TIMEOUT) - TONE_HZ) < 10
        assert {path for path, _ in witness.asked} == {"/rtc/v1"}


async def test_pictures_and_sounds_find_their_sections(either, room_name):
    async with joined("ann", room_name) as (ann, _), joined("bob", room_name) as (_, heard), tone(ann):
        source = rtc.VideoSource(320, 180)
        frame = rtc.VideoFrame(320, 180, rtc.VideoBufferType.RGBA, bytes([200, 40, 40, 255]) * (320 * 180))

        async def film():
            while True:
                source.capture_frame(frame)
                await asyncio.sleep(0.05)

        filming = asyncio.create_task(film())
        try:
            for number in range(4):
                track = rtc.LocalVideoTrack.create_video_track(f"picture {number}", source)
                options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=False)
                await ann.local_participant.publish_track(track, options)
            for number in range(4):
                name = f"picture {number}"
                seen, _, _ = await heard.wait("track_subscribed", lambda _t, p, _, name=name: p.name == name)
                stream = rtc.VideoStream(seen)
                event = await asyncio.wait_for(anext(aiter(stream)), TIMEOUT)
                assert event.frame.width > 0
                await stream.aclose()
        finally:
            filming.cancel()
