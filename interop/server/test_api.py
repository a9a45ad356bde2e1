"""LiveKit's server API package against our Twirp services."""

import asyncio

import pytest
from support import KEY, SECRET, TIMEOUT, http_url, joined
from livekit import api, rtc
from test_room import tone


def client() -> api.LiveKitAPI:
    return api.LiveKitAPI(http_url(), KEY, SECRET)


@pytest.mark.asyncio
async def test_rooms_are_made_listed_and_deleted(room_name):
    async with client() as lk:
        made = await lk.room.create_room(api.CreateRoomRequest(name=room_name, metadata="m", max_participants=2))
        assert made.sid.startswith("RM_") and made.metadata == "m"
        again = await lk.room.create_room(api.CreateRoomRequest(name=room_name))
        assert again.sid == made.sid
        listed = await lk.room.list_rooms(api.ListRoomsRequest(names=[room_name]))
        assert [room.sid for room in listed.rooms] == [made.sid]
        await lk.room.delete_room(api.DeleteRoomRequest(room=room_name))
        listed = await lk.room.list_rooms(api.ListRoomsRequest(names=[room_name]))
        assert not listed.rooms


@pytest.mark.asyncio
async def test_a_room_that_is_full_refuses_the_next(room_name):
    async with client() as lk:
        await lk.room.create_room(api.CreateRoomRequest(name=room_name, max_participants=1))
        async with joined("ann", room_name):
            with pytest.raises(rtc.ConnectError):
                async with joined("bob", room_name):
                    pass


@pytest.mark.asyncio
async def test_participants_are_listed_changed_muted_and_removed(room_name):
    async with client() as lk, joined("ann", room_name) as (ann, events), joined("bob", room_name) as (_, b), tone(ann) as publication:
        await b.wait("track_subscribed")
        listed = await lk.room.list_participants(api.ListParticipantsRequest(room=room_name))
        assert {p.identity for p in listed.participants} == {"ann", "bob"}
        one = await lk.room.get_participant(api.RoomParticipantIdentity(room=room_name, identity="ann"))
        assert [t.sid for t in one.tracks] == [publication.sid]
        await lk.room.update_participant(api.UpdateParticipantRequest(room=room_name, identity="ann", attributes={"k": "v"}))
        await b.wait("participant_attributes_changed", lambda changed, p: changed == {"k": "v"})
        await lk.room.mute_published_track(
            api.MuteRoomTrackRequest(room=room_name, identity="ann", track_sid=publication.sid, muted=True)
        )
        await b.wait("track_muted")
        await lk.room.remove_participant(api.RoomParticipantIdentity(room=room_name, identity="ann"))
        (reason,) = await events.wait("disconnected")
        assert reason == rtc.DisconnectReason.PARTICIPANT_REMOVED
        with pytest.raises(api.TwirpError) as error:
            await lk.room.get_participant(api.RoomParticipantIdentity(room=room_name, identity="ann"))
        assert error.value.code == "not_found"


@pytest.mark.asyncio
async def test_data_metadata_and_calls_go_from_api_to_participant(room_name):
    async with client() as lk, joined("ann", room_name) as (ann, events):
        await lk.room.send_data(api.SendDataRequest(room=room_name, data=b"x", kind=0, topic="t"))
        (packet,) = await events.wait("data_received")
        assert (packet.data, packet.topic, packet.participant) == (b"x", "t", None)
        await lk.room.update_room_metadata(api.UpdateRoomMetadataRequest(room=room_name, metadata="new"))
        await events.wait("room_metadata_changed", lambda old, new: new == "new")


@pytest.mark.asyncio
async def test_a_token_of_another_secret_is_refused(room_name):
    async with api.LiveKitAPI(http_url(), KEY, "wrong") as lk:
        with pytest.raises(api.TwirpError) as error:
            await lk.room.list_rooms(api.ListRoomsRequest())
        assert error.value.code == "unauthenticated"


@pytest.mark.asyncio
async def test_dispatches_are_made_listed_and_deleted(room_name):
    async with client() as lk:
        request = api.CreateAgentDispatchRequest(agent_name="desk", room=room_name, metadata="m")
        made = await lk.agent_dispatch.create_dispatch(request)
        assert made.id.startswith("AD_") and made.agent_name == "desk"
        listed = await lk.agent_dispatch.list_dispatch(room_name=room_name)
        assert [d.id for d in listed] == [made.id]
        await lk.agent_dispatch.delete_dispatch(made.id, room_name)
        assert not await lk.agent_dispatch.list_dispatch(room_name=room_name)
