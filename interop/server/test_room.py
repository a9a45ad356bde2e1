"""Two participants of LiveKit's Python SDK in a room of ours."""

import asyncio
import contextlib
import math

import numpy as np
import pytest
from support import TIMEOUT, Events, joined, server_url, token
from livekit import rtc

RATE = 48000
TONE_HZ = 440


@contextlib.asynccontextmanager
async def tone(room: rtc.Room, name: str = "tone"):
    """Publish a sine tone until left."""
    source = rtc.AudioSource(RATE, 1)
    track = rtc.LocalAudioTrack.create_audio_track(name, source)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    publication = await room.local_participant.publish_track(track, options)

    async def play():
        at, samples = 0, RATE // 50
        while True:
            wave = [int(12000 * math.sin(2 * math.pi * TONE_HZ * (at + i) / RATE)) for i in range(samples)]
            frame = rtc.AudioFrame(np.array(wave, dtype=np.int16).tobytes(), RATE, 1, samples)
            await source.capture_frame(frame)
            at += samples

    playing = asyncio.create_task(play())
    try:
        yield publication
    finally:
        playing.cancel()


async def loudest_frequency(track: rtc.Track) -> float:
    """What the receiver hears: the strongest frequency of a second of it, after the first sound."""
    stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1)
    heard = np.zeros(0, dtype=np.int16)
    async for event in stream:
        samples = np.frombuffer(event.frame.data, dtype=np.int16)
        if len(heard) or np.abs(samples).max() > 1000:
            heard = np.concatenate([heard, samples])
        if len(heard) >= RATE * 1.5:
            break
    await stream.aclose()
    spectrum = np.abs(np.fft.rfft(heard[-RATE:].astype(np.float64)))
    return float(np.argmax(spectrum)) * RATE / RATE


@pytest.mark.asyncio
async def test_a_published_tone_is_heard_by_the_other_participant(room_name):
    async with joined("ann", room_name) as (ann, _), joined("bob", room_name) as (_, heard):
        async with tone(ann):
            track, publication, participant = await heard.wait("track_subscribed")
            assert participant.identity == "ann" and publication.source == rtc.TrackSource.SOURCE_MICROPHONE
            frequency = await asyncio.wait_for(loudest_frequency(track), TIMEOUT)
            assert abs(frequency - TONE_HZ) < 10


@pytest.mark.asyncio
async def test_somebody_who_comes_later_hears_what_was_published_before(room_name):
    async with joined("ann", room_name) as (ann, _), tone(ann):
        async with joined("bob", room_name) as (_, heard):
            track, _, _ = await heard.wait("track_subscribed")
            frequency = await asyncio.wait_for(loudest_frequency(track), TIMEOUT)
            assert abs(frequency - TONE_HZ) < 10


@pytest.mark.asyncio
async def test_both_hear_each_other(room_name):
    async with joined("ann", room_name) as (ann, a), joined("bob", room_name) as (bob, b), tone(ann), tone(bob):
        for events in (a, b):
            track, _, _ = await events.wait("track_subscribed")
            assert abs(await asyncio.wait_for(loudest_frequency(track), TIMEOUT) - TONE_HZ) < 10


@pytest.mark.asyncio
async def test_the_publisher_learns_that_somebody_listens(room_name):
    async with joined("ann", room_name) as (ann, events), tone(ann) as publication:
        async with joined("bob", room_name):
            await asyncio.wait_for(publication.wait_for_subscription(), TIMEOUT)


@pytest.mark.asyncio
async def test_a_tone_makes_its_publisher_an_active_speaker_and_mute_ends_that(room_name):
    async with joined("ann", room_name) as (ann, _), joined("bob", room_name) as (_, events), tone(ann) as publication:
        await events.wait("active_speakers_changed", lambda speakers: [s.identity for s in speakers] == ["ann"])
        events.seen.clear()
        publication.track.mute()
        await events.wait("track_muted", lambda participant, _: participant.identity == "ann")
        await events.wait("active_speakers_changed", lambda speakers: speakers == [])
        publication.track.unmute()
        await events.wait("track_unmuted", lambda participant, _: participant.identity == "ann")


@pytest.mark.asyncio
async def test_an_unpublished_track_ends_for_the_other_and_can_be_published_again(room_name):
    async with joined("ann", room_name) as (ann, _), joined("bob", room_name) as (_, events):
        for _ in range(2):
            async with tone(ann) as publication:
                track, _, _ = await events.wait("track_subscribed")
                assert abs(await asyncio.wait_for(loudest_frequency(track), TIMEOUT) - TONE_HZ) < 10
                await ann.local_participant.unpublish_track(publication.sid)
            await events.wait("track_unpublished")
            events.seen.clear()


@pytest.mark.asyncio
async def test_joins_and_leaves_are_seen(room_name):
    async with joined("ann", room_name) as (ann, events):
        async with joined("bob", room_name) as (bob, _):
            (participant,) = await events.wait("participant_connected")
            assert (participant.identity, participant.name) == ("bob", "Bob")
            assert "ann" in bob.remote_participants
        (participant,) = await events.wait("participant_disconnected")
        assert participant.identity == "bob"
        assert participant.disconnect_reason == rtc.DisconnectReason.CLIENT_INITIATED


@pytest.mark.asyncio
async def test_a_second_session_of_an_identity_ends_the_first(room_name):
    async with joined("ann", room_name) as (_, events):
        async with joined("ann", room_name):
            (reason,) = await events.wait("disconnected")
            assert reason == rtc.DisconnectReason.DUPLICATE_IDENTITY


@pytest.mark.asyncio
async def test_attributes_metadata_and_name_reach_the_other(room_name):
    async with joined("ann", room_name) as (ann, _), joined("bob", room_name) as (bob, events):
        await asyncio.wait_for(ann.local_participant.set_attributes({"lk.agent.state": "listening"}), TIMEOUT)
        await asyncio.wait_for(ann.local_participant.set_metadata("m"), TIMEOUT)
        await asyncio.wait_for(ann.local_participant.set_name("Anna"), TIMEOUT)
        changed, participant = await events.wait("participant_attributes_changed")
        assert changed == {"lk.agent.state": "listening"} and participant.identity == "ann"
        await events.wait("participant_metadata_changed", lambda p, old, new: new == "m")
        await events.wait("participant_name_changed", lambda p, old, new: new == "Anna")
        assert bob.remote_participants["ann"].attributes == {"lk.agent.state": "listening"}


@pytest.mark.asyncio
async def test_who_may_not_update_its_metadata_changes_nothing(room_name):
    # The SDK drops the refusal that the server sends, so what counts is what the others see.
    async with joined("ann", room_name, can_update_own_metadata=False) as (ann, _), joined("bob", room_name) as (bob, events):
        await asyncio.wait_for(ann.local_participant.set_metadata("m"), TIMEOUT)
        await ann.local_participant.publish_data(b"done")
        await events.wait("data_received")
        assert bob.remote_participants["ann"].metadata == ""


@pytest.mark.asyncio
async def test_who_may_not_publish_is_told_so(room_name):
    async with joined("ann", room_name, can_publish=False, can_publish_data=True) as (ann, _):
        with pytest.raises(Exception):
            async with tone(ann):
                pass


@pytest.mark.asyncio
async def test_a_hidden_participant_is_not_seen(room_name):
    async with joined("ann", room_name) as (ann, events):
        async with joined("spy", room_name, hidden=True) as (spy, _), joined("bob", room_name):
            await events.wait("participant_connected", lambda p: p.identity == "bob")
            assert set(ann.remote_participants) == {"bob"}
            assert "ann" in spy.remote_participants


@pytest.mark.asyncio
async def test_a_wrong_token_is_refused(room_name):
    room = rtc.Room()
    with pytest.raises(rtc.ConnectError):
        await asyncio.wait_for(room.connect(server_url(), token("ann", room_name, secret="wrong")), TIMEOUT)


@pytest.mark.asyncio
async def test_without_auto_subscribe_one_hears_what_one_asks_for(room_name):
    async with joined("ann", room_name) as (ann, _), joined("bob", room_name, auto_subscribe=False) as (_, events), tone(ann):
        publication, _ = await events.wait("track_published")
        assert not any(name == "track_subscribed" for name, _ in events.seen)
        publication.set_subscribed(True)
        track, _, _ = await events.wait("track_subscribed")
        assert abs(await asyncio.wait_for(loudest_frequency(track), TIMEOUT) - TONE_HZ) < 10
        publication.set_subscribed(False)
        await events.wait("track_unsubscribed")
