"""Webhooks, as LiveKit's own receiver takes them. What is asserted for our server is asserted for LiveKit's too."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from operate import KEY, SECRET
from hooks import Receiver
from livekit import api, rtc


def token(identity: str, room: str) -> str:
    grants = api.VideoGrants(room_join=True, room=room)
    return api.AccessToken(KEY, SECRET).with_identity(identity).with_name(identity.title()).with_grants(grants).to_jwt()


@contextlib.asynccontextmanager
async def joined(url: str, identity: str, room_name: str):
    room = rtc.Room()
    await asyncio.wait_for(room.connect(url, token(identity, room_name)), 20)
    try:
        yield room
    finally:
        await room.disconnect()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


async def wait(receiver: Receiver, name: str, count: int = 1) -> list:
    return await asyncio.to_thread(receiver.wait, name, count)


@pytest.mark.asyncio
async def test_a_call_is_told_from_its_beginning_to_its_end(server, receiver, room):
    running = server("room: {departure_timeout: 1}\n" + receiver.yaml)
    async with joined(running.url, "ann", room) as ann:
        await wait(receiver, "participant_joined")
        source = rtc.AudioSource(48000, 1)
        track = rtc.LocalAudioTrack.create_audio_track("voice", source)
        publication = await ann.local_participant.publish_track(track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE))
        [published] = await wait(receiver, "track_published")
        assert (published.participant.identity, published.track.sid, published.track.name) == ("ann", publication.sid, "voice")
        await ann.local_participant.unpublish_track(publication.sid)
        await wait(receiver, "track_unpublished")
    await wait(receiver, "room_finished")
    assert receiver.names(room) == ["room_started", "participant_joined", "track_published", "track_unpublished", "participant_left", "room_finished"]
    assert not receiver.refused
    started, came, *_, left, finished = receiver.events
    assert started.room.sid.startswith("RM_") and started.room.sid == finished.room.sid
    assert (came.participant.identity, came.participant.name, left.participant.sid) == ("ann", "Ann", came.participant.sid)
    assert len({event.id for event in receiver.events}) == 6 and all(event.id.startswith("EV_") and event.created_at > 1.7e9 for event in receiver.events)
    assert {kind for _, _, kind in receiver.bodies} == {"application/webhook+json"}


@pytest.mark.asyncio
async def test_tracks_of_who_leaves_are_unpublished_before_it_has_left(server, receiver, room):
    running = server(receiver.yaml)
    async with joined(running.url, "ann", room) as ann:
        track = rtc.LocalAudioTrack.create_audio_track("voice", rtc.AudioSource(48000, 1))
        await ann.local_participant.publish_track(track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE))
        await wait(receiver, "track_published")
    await wait(receiver, "participant_left")
    assert receiver.names(room)[-2:] == ["track_unpublished", "participant_left"]


@pytest.mark.asyncio
async def test_events_are_told_again_in_order_when_the_address_was_away(server, room):
    receiver = Receiver(answer=lambda number: 503 if number <= 2 else 200)
    running = server("room: {departure_timeout: 1}\n" + receiver.yaml)
    async with joined(running.url, "ann", room):
        await wait(receiver, "participant_joined")
    await wait(receiver, "room_finished")
    assert receiver.names(room) == ["room_started", "participant_joined", "participant_left", "room_finished"]
    assert len(receiver.bodies) == 6 and receiver.bodies[0][0] == receiver.bodies[2][0]
    receiver.close()


@pytest.mark.asyncio
async def test_an_address_that_refuses_is_not_asked_again_and_the_next_event_is_sent(ours, room):
    receiver = Receiver(answer=lambda number: 400 if number == 1 else 200)
    running = ours(receiver.yaml)
    async with joined(running.url, "ann", room):
        await wait(receiver, "participant_joined")
        assert "room_started" not in receiver.names(room) and len(receiver.bodies) == 2
    receiver.close()


@pytest.mark.asyncio
async def test_one_rooms_slow_event_does_not_hold_up_another_room(ours, room):
    # the first event of the first room is never taken; the second room's are told meanwhile
    receiver = Receiver()
    failing = set()

    def answer(number: int) -> int:
        name = json.loads(receiver.bodies[-1][0])["room"]["name"]
        failing.add(name) if number == 1 else None
        return 503 if name in failing else 200

    receiver.close()
    receiver = Receiver(answer)
    running = ours(receiver.yaml)
    async with joined(running.url, "ann", room), joined(running.url, "bob", f"{room}-2"):
        await asyncio.to_thread(receiver.wait, "participant_joined")
    assert receiver.by_room()[f"{room}-2"][:2] == ["room_started", "participant_joined"] and room not in receiver.by_room()
    receiver.close()


@pytest.mark.asyncio
async def test_only_events_that_were_asked_for_are_told(server, receiver, room):
    running = server(receiver.yaml + "  filter_params: {include_events: [participant_left]}\n")
    async with joined(running.url, "ann", room):
        pass
    await wait(receiver, "participant_left")
    assert receiver.names() == ["participant_left"]


@pytest.mark.asyncio
async def test_a_server_that_stops_tells_that_its_rooms_are_over(ours, receiver, room):
    running = ours(receiver.yaml)
    async with joined(running.url, "ann", room):
        await wait(receiver, "participant_joined")
        # the first signal asks to drain, the second ends; signals that come at once are one
        async with asyncio.timeout(15):
            while running.process.child.poll() is None:
                running.process.child.terminate()
                await asyncio.sleep(0.2)
    await wait(receiver, "room_finished")
    assert receiver.names(room) == ["room_started", "participant_joined", "participant_left", "room_finished"]


@pytest.mark.asyncio
async def test_a_forged_event_is_seen_by_livekits_receiver(ours, receiver, room):
    running = ours(receiver.yaml)
    async with joined(running.url, "ann", room):
        await wait(receiver, "participant_joined")
    body, signature, _ = receiver.bodies[0]
    verifier = api.WebhookReceiver(api.TokenVerifier(KEY, SECRET))
    assert verifier.receive(body, signature).event == "room_started"
    with pytest.raises(Exception, match="hash"):
        verifier.receive(body.replace("room_started", "room_finished"), signature)
    with pytest.raises(Exception):
        api.WebhookReceiver(api.TokenVerifier(KEY, "another secret, of at least 32 characters")).receive(body, signature)
