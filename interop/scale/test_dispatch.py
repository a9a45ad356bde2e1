"""What becomes of a call when its agent, its worker or its caller goes and comes back, and of callers whom nobody answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from urllib.parse import urlsplit

import pytest
from caller import Caller
from fake_worker import FakeWorker
from livekit import api, rtc
from processes import CONFIGURATION
from waiting import eventually, get

pytestmark = pytest.mark.asyncio

GREETING = "scale test"
PATIENCE = 60


def agents(room: rtc.Room) -> list[str]:
    return [p.identity for p in room.remote_participants.values() if p.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT]


async def greeted(caller: Caller) -> str:
    await caller.until("the greeting", lambda: any(GREETING in words for words in caller.words("agent")), PATIENCE)
    (agent,) = agents(caller.room)
    return agent


async def answered(caller: Caller, text: str) -> None:
    before = len(caller.words("agent"))
    await caller.type(text)
    await caller.until(f"an answer to {text!r}", lambda: len(caller.words("agent")) > before, PATIENCE)


class Proxy:
    """Between workers and the server; it can cut every connection whose request began with a path, and keep them out."""

    def __init__(self, url: str) -> None:
        self.target = urlsplit(url)
        self.open: list[tuple[str, asyncio.StreamWriter, asyncio.StreamWriter]] = []
        self.paths: list[str] = []
        self.closed_paths: tuple[str, ...] = ()

    async def __aenter__(self) -> Proxy:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        self.cut("/")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readline()
        path = first.split(b" ")[1].decode()
        self.paths.append(path)
        if any(path.startswith(closed) for closed in self.closed_paths):
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection(self.target.hostname, self.target.port)
        back.write(first)
        self.open.append((path, writer, back))

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
            sink.close()

        await asyncio.gather(pump(reader, back), pump(there, writer))

    def cut(self, path: str) -> int:
        hit = [connection for connection in self.open if connection[0].startswith(path)]
        for connection in hit:
            self.open.remove(connection)
            for writer in connection[1:]:
                writer.transport.abort()
        return len(hit)


@pytest.mark.parametrize("seconds", [0, 0.5, 3])
async def test_an_agent_whose_signalling_breaks_comes_back_to_the_same_call(serve, work, room, seconds):
    server = serve()
    async with Proxy(server.ws_url) as proxy:
        worker = await asyncio.to_thread(work, proxy.url)
        async with Caller(server.ws_url, room) as caller:
            agent = await greeted(caller)
            proxy.closed_paths = ("/rtc",) if seconds else ()
            assert proxy.cut("/rtc") == 1
            await asyncio.sleep(seconds)
            proxy.closed_paths = ()
            joins = len(proxy.paths)
            await eventually("the agent's return", lambda: proxy.open and any(p.startswith("/rtc") for p, *_ in proxy.open))
            assert len(proxy.paths) >= joins
            await answered(caller, "are you there?")
            # longer than the server waits for anybody to come back
            await asyncio.sleep(15)
            assert agents(caller.room) == [agent]
            await answered(caller, "and now?")
            assert worker.jobs() == 1
            assert "JobShutdown" not in worker.process.output()


async def test_a_whole_host_that_is_cut_off_for_a_moment_keeps_its_call(serve, work, room):
    server = serve()
    async with Proxy(server.ws_url) as proxy:
        worker = await asyncio.to_thread(work, proxy.url)
        async with Caller(server.ws_url, room) as caller:
            agent = await greeted(caller)
            assert proxy.cut("/") >= 2
            await asyncio.sleep(15)
            assert agents(caller.room) == [agent]
            await answered(caller, "are you there?")
            assert worker.jobs() == 1


async def test_a_job_that_crashes_while_its_caller_waits_is_given_to_a_worker_again(serve, room):
    server = serve()
    async with FakeWorker(server.ws_url) as worker, Caller(server.ws_url, room) as caller:
        for attempt in range(2):
            job = await worker.offered()
            agent = await worker.join(job)
            await caller.until("the agent", lambda: len(agents(caller.room)) == 1, PATIENCE)
            # as LiveKit's own framework does it: the room is left in good order, then the worker says that the job failed
            await agent.disconnect()
            await worker.ended(job, failed=True)
        job = await worker.offered()
        await worker.join(job)
        await caller.until("the agent", lambda: len(agents(caller.room)) == 1, PATIENCE)
        await worker.quiet(12)
        assert len(agents(caller.room)) == 1


async def test_an_agent_that_is_slow_to_join_is_sent_once(serve, room):
    server = serve()
    async with FakeWorker(server.ws_url) as worker, FakeWorker(server.ws_url) as other, Caller(server.ws_url, room) as caller:
        first = asyncio.create_task(worker.offered())
        second = asyncio.create_task(other.offered())
        done, waiting = await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
        chosen = worker if first in done else other
        job = done.pop().result()
        token = await chosen.take(job)
        await asyncio.sleep(35)
        await chosen.enter(token)
        await caller.until("the agent", lambda: len(agents(caller.room)) == 1, PATIENCE)
        await asyncio.sleep(12)
        assert len(agents(caller.room)) == 1 and not waiting.pop().done()
        assert chosen.terminated == []


async def test_the_caller_of_a_frozen_agent_is_told_in_seconds_and_another_takes_over(serve, work, room):
    server = serve()
    workers = [await asyncio.to_thread(work, server.ws_url) for _ in range(2)]
    async with Caller(server.ws_url, room) as caller:
        told: list[dict] = []
        caller.room.on("data_received", lambda packet: told.append({"topic": packet.topic, **json.loads(packet.data)}))
        crowd: list[int] = []
        caller.room.on("participant_connected", lambda _: crowd.append(len(agents(caller.room))))
        first = await greeted(caller)
        frozen = next(worker.process.child for worker in workers if worker.jobs() == 1)
        frozen.send_signal(signal.SIGSTOP)
        start = time.monotonic()
        try:
            await caller.until("the news", lambda: any(news.get("reason") == "unreachable" for news in told), 12)
            after_told = time.monotonic() - start
            await caller.until("another agent", lambda: agents(caller.room) not in ([], [first]), 30)
            after_replaced = time.monotonic() - start
            print(f"told after {after_told:.1f} s, replaced after {after_replaced:.1f} s")
            (second,) = agents(caller.room)
            await answered(caller, "are you another one?")
        finally:
            frozen.send_signal(signal.SIGCONT)
        # it wakes up, and does not come back
        await asyncio.sleep(8)
        assert agents(caller.room) == [second]
        assert max(crowd) == 1
        await answered(caller, "and still the same?")


@pytest.mark.parametrize("pause", [0.05, 1, 13])
async def test_a_caller_who_comes_back_to_the_room_is_greeted_and_answered(serve, work, room, pause):
    server = serve()
    await asyncio.to_thread(work, server.ws_url)
    async with Caller(server.ws_url, room) as caller:
        await greeted(caller)
    await asyncio.sleep(pause)
    async with Caller(server.ws_url, room) as caller:
        await greeted(caller)
        await answered(caller, "hello again")
        assert len(agents(caller.room)) == 1


async def test_a_second_caller_is_answered_when_the_first_has_left(serve, work, room):
    server = serve()
    await asyncio.to_thread(work, server.ws_url)
    async with Caller(server.ws_url, room, "ann") as ann:
        await greeted(ann)
        async with Caller(server.ws_url, room, "bob") as bob:
            await ann.__aexit__()
            await greeted(bob)
            await answered(bob, "is anybody there?")
            assert len(agents(bob.room)) == 1


async def test_everybody_is_heard_if_the_configuration_says_so(serve, work, room, tmp_path):
    configuration = tmp_path / "any.toml"
    configuration.write_text(CONFIGURATION + '\n[room]\ncallers = "any"\n')
    server = serve()
    await asyncio.to_thread(work, server.ws_url, config=str(configuration))
    async with Caller(server.ws_url, room, "ann") as ann, Caller(server.ws_url, room, "bob") as bob:
        await greeted(ann)
        for caller in (bob, ann):
            await answered(caller, "and what about me?")
        await ann.__aexit__()
        await answered(bob, "do you still hear me?")


def asking_token(identity: str, room: str, agent: str) -> str:
    config = api.RoomConfiguration(agents=[api.RoomAgentDispatch(agent_name=agent)])
    grants = api.VideoGrants(room_join=True, room=room)
    return api.AccessToken("devkey", "secret").with_identity(identity).with_grants(grants).with_room_config(config).to_jwt()


async def test_a_token_asks_for_an_agent_in_a_room_that_is_open_already_and_only_one_comes(serve, work, room):
    server = serve()
    await asyncio.to_thread(work, server.ws_url, "--agent-name", "waiter")
    async with contextlib.AsyncExitStack() as stack:

        async def enter(identity: str, token: str | None = None) -> rtc.Room:
            grants = api.VideoGrants(room_join=True, room=room)
            plain = api.AccessToken("devkey", "secret").with_identity(identity).with_grants(grants).to_jwt()
            joined = rtc.Room()
            await joined.connect(server.ws_url, token or plain)
            stack.push_async_callback(joined.disconnect)
            return joined

        first = await enter("ann")
        await asyncio.sleep(2)
        assert agents(first) == []
        await enter("bob", asking_token("bob", room, "waiter"))
        await eventually("the agent", lambda: len(agents(first)) == 1)
        await enter("cid", asking_token("cid", room, "waiter"))
        await asyncio.sleep(5)
        assert len(agents(first)) == 1


async def test_a_caller_whom_nobody_answers_is_told_and_so_is_the_operator(serve, room):
    server = serve()
    waiting = rtc.Room()
    told: list[dict] = []
    waiting.on("data_received", lambda packet: told.append({"topic": packet.topic, **json.loads(packet.data)}))
    await waiting.connect(server.ws_url, asking_token("ann", room, "nobody"))
    try:
        await eventually("the news", lambda: told, 20)
        assert told[0]["topic"] == "antiphon.dispatch" and told[0]["type"] == "no_agent" and told[0]["reason"] == "no_worker"
        assert told[0]["agent_name"] == "nobody" and told[0]["message"]
        metrics = get(server.url + "/metrics")[1]
        assert "antiphon_server_callers_without_agent 1" in metrics
        assert "a caller waits and no agent is there" in server.output()
    finally:
        await waiting.disconnect()


async def test_a_worker_that_is_full_says_why(serve, work, run, room, tmp_path):
    configuration = tmp_path / "one.toml"
    configuration.write_text(CONFIGURATION + "max_sessions = 1\n")
    server = serve()
    worker = await asyncio.to_thread(work, server.ws_url, config=str(configuration))
    async with Caller(server.ws_url, room) as caller:
        await greeted(caller)
        await eventually("full", lambda: worker.info()["takes_calls"] is False)
        assert "1 of 1 sessions" in worker.info()["full"]
        assert worker.metric("antiphon_worker_full") == 1
        assert "takes no more calls" in worker.process.output()
    await eventually("free again", lambda: worker.info()["takes_calls"])


async def test_a_worker_beside_a_busy_compiler_takes_calls_with_its_defaults(serve, run, room, configuration):
    """Whatever else the machine does: all processors are busy here for the time of the test."""
    server = serve()
    env = {"LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret", "LIVEKIT_URL": server.ws_url}
    worker = run("start", "--port", "0", "--config", configuration, env=env)
    await eventually("registration", lambda: get(worker.url + "/")[0] == 200)
    busy = [await asyncio.create_subprocess_exec("sh", "-c", "while :; do :; done") for _ in range(4)]
    try:
        end = time.monotonic() + 6
        while time.monotonic() < end:
            assert json.loads((await asyncio.to_thread(get, worker.url + "/worker"))[1])["takes_calls"]
            await asyncio.sleep(0.5)
        async with Caller(server.ws_url, room) as caller:
            await greeted(caller)
    finally:
        for process in busy:
            process.kill()
            await process.wait()
