"""Data packets, text streams and RPC through our server."""

import asyncio
import json

import pytest
from support import TIMEOUT, joined
from livekit import rtc


@pytest.mark.asyncio
@pytest.mark.parametrize("reliable", [True, False])
async def test_a_packet_reaches_everybody_but_its_sender(room_name, reliable):
    async with joined("ann", room_name) as (ann, own), joined("bob", room_name) as (_, b), joined("cyd", room_name) as (_, c):

        async def send():
            # A lossy packet may be lost, most of all while the others are still connecting: send until stopped.
            while True:
                await ann.local_participant.publish_data(b"hello", reliable=reliable, topic="t")
                await asyncio.sleep(0.2)

        sending = asyncio.create_task(send())
        for events in (b, c):
            (packet,) = await events.wait("data_received")
            assert (packet.data, packet.topic, packet.participant.identity) == (b"hello", "t", "ann")
        sending.cancel()
        assert not any(name == "data_received" for name, _ in own.seen)


@pytest.mark.asyncio
async def test_a_packet_for_one_reaches_only_that_one(room_name):
    async with joined("ann", room_name) as (ann, _), joined("bob", room_name) as (_, b), joined("cyd", room_name) as (_, c):
        await ann.local_participant.publish_data(b"secret", destination_identities=["bob"])
        await ann.local_participant.publish_data(b"open")
        await b.wait("data_received", lambda p: p.data == b"secret")
        await c.wait("data_received", lambda p: p.data == b"open")
        assert [args[0].data for name, args in c.seen if name == "data_received"] == [b"open"]


@pytest.mark.asyncio
async def test_many_reliable_packets_arrive_once_and_in_order(room_name):
    async with joined("ann", room_name) as (ann, _), joined("bob", room_name) as (_, events):
        for i in range(200):
            await ann.local_participant.publish_data(json.dumps(i))
        await events.wait("data_received", lambda p: p.data == b"199")
        assert [int(args[0].data) for name, args in events.seen if name == "data_received"] == list(range(200))


@pytest.mark.asyncio
async def test_who_may_not_send_data_is_not_heard(room_name):
    async with joined("ann", room_name, can_publish_data=False) as (ann, _), joined("bob", room_name) as (bob, events):
        async with joined("cyd", room_name) as (cyd, _):
            try:
                await ann.local_participant.publish_data(b"no")
            except Exception:
                pass
            await cyd.local_participant.publish_data(b"yes")
            await events.wait("data_received", lambda p: p.data == b"yes")
            assert not any(name == "data_received" and args[0].data == b"no" for name, args in events.seen)


@pytest.mark.asyncio
async def test_a_text_stream_passes_whole_with_topic_and_attributes(room_name):
    text = "Zwei Töne sind ein Akkord. " * 3000
    async with joined("ann", room_name) as (ann, _), joined("bob", room_name) as (bob, _):
        received = asyncio.get_running_loop().create_future()

        def handler(reader: rtc.TextStreamReader, identity: str):
            async def read():
                received.set_result((await reader.read_all(), identity, dict(reader.info.attributes)))

            asyncio.create_task(read())

        bob.register_text_stream_handler("lk.chat", handler)
        await ann.local_participant.send_text(text, topic="lk.chat", attributes={"a": "b"})
        got, identity, attributes = await asyncio.wait_for(received, TIMEOUT)
        assert (got, identity, attributes["a"]) == (text, "ann", "b")


@pytest.mark.asyncio
async def test_rpc_is_answered_and_errors_come_back(room_name):
    async with joined("ann", room_name) as (ann, _), joined("bob", room_name) as (bob, _):

        @bob.local_participant.register_rpc_method("greet")
        async def greet(data: rtc.RpcInvocationData) -> str:
            if data.payload == "nobody":
                raise rtc.RpcError(1999, "nobody to greet")
            return f"hello {data.payload} from {data.caller_identity}"

        call = ann.local_participant.perform_rpc
        answer = await asyncio.wait_for(call(destination_identity="bob", method="greet", payload="you"), TIMEOUT)
        assert answer == "hello you from ann"
        with pytest.raises(rtc.RpcError) as error:
            await asyncio.wait_for(call(destination_identity="bob", method="greet", payload="nobody"), TIMEOUT)
        assert error.value.code == 1999
