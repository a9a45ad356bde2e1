"""Agents in processes of their own, as they are run on many machines: shared out, drained, killed, asked for by name."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from caller import Caller, speak
from processes import LIVEKIT
from livekit import api, rtc
from waiting import eventually, get

pytestmark = pytest.mark.asyncio

GREETING = "scale test"
PATIENCE = 60


def agents(caller: Caller) -> list[str]:
    everybody = caller.room.remote_participants.values()
    return [p.identity for p in everybody if p.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT]


async def greeted(caller: Caller) -> None:
    await caller.until("the greeting", lambda: any(GREETING in words for words in caller.words("agent")), PATIENCE)
    assert len(agents(caller)) == 1, agents(caller)


async def answered(caller: Caller, text: str) -> None:
    """A typed question gets an answer (a spoken one would test the recogniser)."""
    before = len(caller.words("agent"))
    await caller.type(text)
    await caller.until(f"an answer to {text!r}", lambda: len(caller.words("agent")) > before, PATIENCE)


def livekit_api(server) -> api.LiveKitAPI:
    return api.LiveKitAPI(server.url, "devkey", "secret")


async def test_rooms_are_shared_out_and_each_has_exactly_one_agent(serve, work, room):
    server = serve()
    workers = [work(server.ws_url), work(server.ws_url)]
    async with contextlib.AsyncExitStack() as stack:
        callers = []
        # the choice is random, so ask until both have been chosen: twelve times the same happens once in two thousand
        for number in range(12):
            caller = await stack.enter_async_context(Caller(server.ws_url, f"{room}-{number}"))
            await greeted(caller)
            callers.append(caller)
            await eventually("all jobs counted", lambda: sum(w.jobs() for w in workers) == len(callers))
            if len(callers) >= 4 and all(w.jobs() for w in workers):
                break
        assert all(w.jobs() for w in workers), [w.info() for w in workers]
        for caller in callers:
            await answered(caller, "hello")
            assert len(agents(caller)) == 1
    await eventually("jobs end with their callers", lambda: all(w.jobs() == 0 for w in workers))


async def test_a_worker_told_to_stop_answers_its_caller_to_the_end_and_gets_nobody_new(serve, work, room):
    server = serve()
    old = work(server.ws_url)
    async with Caller(server.ws_url, room) as caller:
        await greeted(caller)
        new = work(server.ws_url)
        old.process.child.send_signal(signal.SIGTERM)
        await eventually("draining", lambda: "draining" in old.process.output())
        async with contextlib.AsyncExitStack() as stack:
            for number in range(4):
                await greeted(await stack.enter_async_context(Caller(server.ws_url, f"{room}-{number}")))
            await eventually("four calls of the new one", lambda: new.jobs() == 4)
            await answered(caller, "are you still there?")
            assert old.process.child.poll() is None and not caller.agent_left
    assert await asyncio.to_thread(old.process.child.wait, PATIENCE) == 0, old.process.output()


async def test_a_killed_workers_callers_are_served_by_the_other(serve, work, room):
    server = serve()
    doomed = work(server.ws_url)
    async with Caller(server.ws_url, room) as caller:
        await greeted(caller)
        other = work(server.ws_url)
        doomed.process.child.kill()
        for number in range(3):
            async with Caller(server.ws_url, f"{room}-{number}") as next_caller:
                await greeted(next_caller)
        # who was talking with the dead one gets another agent in the same room
        await caller.until("another greeting", lambda: len(caller.words("agent")) >= 2, 90)
        await answered(caller, "hello again")
        assert len(agents(caller)) == 1
        # the agents of the three who left wait for a moment, in case they return
        await caller.until("the other calls are over", lambda: other.jobs() == 1, PATIENCE)


async def test_an_agent_with_a_name_comes_when_it_is_called_and_only_then(serve, work, room):
    server = serve()
    work(server.ws_url, "--agent-name", "waiter")
    async with livekit_api(server) as livekit, Caller(server.ws_url, room) as caller:
        request = api.CreateAgentDispatchRequest(agent_name="waiter", room=room, metadata="table 4")
        created = await livekit.agent_dispatch.create_dispatch(request)
        await greeted(caller)
        listed = await livekit.agent_dispatch.list_dispatch(room)
        assert [d.id for d in listed] == [created.id]
        assert [job.state.participant_identity for job in listed[0].state.jobs] == agents(caller)
        await livekit.agent_dispatch.delete_dispatch(created.id, room)
        await caller.until("the agent leaves", lambda: caller.agent_left, PATIENCE)
        # a caller of another room, who did not ask, is alone with whoever was asked for later: nobody came uninvited
        async with Caller(server.ws_url, f"{room}-2") as other:
            await livekit.agent_dispatch.create_dispatch(api.CreateAgentDispatchRequest(agent_name="waiter", room=f"{room}-2"))
            await greeted(other)
            assert len((await livekit.agent_dispatch.list_dispatch(f"{room}-2"))[0].state.jobs) == 1


async def test_a_token_can_ask_for_the_agent(serve, work, run, room):
    server = serve()
    work(server.ws_url, "--agent-name", "waiter")
    command = [run.binary, "token", "create", "--room", room, "--identity", "caller", "--agent", "waiter"]
    made = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True, env={**os.environ, **LIVEKIT})
    token = next(word for word in made.stdout.split() if word.count(".") == 2)
    listener = rtc.Room()
    came = asyncio.Event()
    listener.on("participant_connected", lambda _participant: came.set())
    await listener.connect(server.ws_url, token)
    try:
        if not listener.remote_participants:
            await asyncio.wait_for(came.wait(), PATIENCE)
        kinds = [p.kind for p in listener.remote_participants.values()]
        assert kinds == [rtc.ParticipantKind.PARTICIPANT_KIND_AGENT]
    finally:
        await listener.disconnect()


async def test_an_agent_can_be_sent_into_one_room_without_dispatch(serve, run, room, configuration):
    server = serve()
    env = {**LIVEKIT, "LIVEKIT_URL": server.ws_url}
    agent = run("connect", "--room", room, "--config", configuration, env=env, ready="joins room")
    async with Caller(server.ws_url, room) as caller:
        await greeted(caller)
        await answered(caller, "hello")
    assert await asyncio.to_thread(agent.child.wait, PATIENCE) == 0, agent.output()


async def test_health_and_metrics_tell_about_a_spoken_call(serve, work, room, tmp_path):
    server = serve()
    assert get(server.url + "/") == (200, "OK")
    worker = work(server.ws_url, config=None)  # the example, which hears
    async with Caller(server.ws_url, room) as caller:
        await caller.until("the greeting", lambda: caller.words("agent") and caller.states[-1] == "listening", PATIENCE)
        assert worker.metric("antiphon_sessions") == 1
        caller.say(speak("do you have vegan dishes", tmp_path))
        await caller.until("an answer", lambda: len(caller.words("agent")) >= 2, 90)
        await caller.until("its metrics", lambda: caller.of_type("turn_metrics"), PATIENCE)
    await eventually("the session ended", lambda: worker.metric("antiphon_sessions") == 0)
    assert worker.metric("antiphon_sessions_closed_total") == 1
    for name in ("e2e", "end_of_turn", "llm_ttft"):
        assert worker.metric(f"antiphon_turn_{name}_seconds_count") >= 1, name
    assert worker.metric("antiphon_turn_e2e_seconds_bucket") >= 1
    assert "antiphon_server_rooms" in get(server.url + "/metrics")[1]
    server.stop()
    await eventually("the worker says that it has no server", lambda: worker.health() == 503)


async def test_a_server_told_to_stop_lets_the_call_end_and_opens_no_new_room(serve, work, room):
    server = serve()
    work(server.ws_url)
    async with Caller(server.ws_url, room) as caller:
        await greeted(caller)
        server.child.send_signal(signal.SIGTERM)
        await eventually("draining", lambda: "draining" in server.output())
        with pytest.raises(rtc.ConnectError):
            async with Caller(server.ws_url, f"{room}-2"):
                pass
        await answered(caller, "may I finish?")
        assert server.child.poll() is None
    assert await asyncio.to_thread(server.child.wait, 120) == 0, server.output()


async def test_with_a_certificate_of_its_own_the_server_serves_those_who_trust_it(serve, run, configuration, room):
    server = serve("--tls-self-signed", ready=r"(https://[\w.:\[\]-]+)")
    token = api.AccessToken("devkey", "secret").with_identity("ann").with_grants(api.VideoGrants(room_join=True, room=room)).to_jwt()
    request = urllib.request.Request(server.url + "/rtc/validate", headers={"Authorization": f"Bearer {token}"})
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE

    def validate(context: ssl.SSLContext) -> str:
        with urllib.request.urlopen(request, timeout=20, context=context) as response:
            return response.read().decode()

    assert await asyncio.to_thread(validate, trusting) == "success"
    with pytest.raises(urllib.error.URLError, match="certificate"):
        await asyncio.to_thread(validate, ssl.create_default_context())
    # our own worker does not trust it, says so and does not try for minutes
    env = {**os.environ, **LIVEKIT, "LIVEKIT_URL": server.url.replace("https", "wss")}
    command = [run.binary, "start", "--port", "0", "--config", configuration]
    ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, env=env, timeout=PATIENCE)
    assert ended.returncode != 0
    assert "certificate" in ended.stderr and "not trusted" in ended.stderr, ended.stderr


def python_with_livekit_agents() -> str | None:
    """An interpreter that has LiveKit's own agents framework: LIVEKIT_AGENTS_PYTHON, else this one."""
    python = os.environ.get("LIVEKIT_AGENTS_PYTHON", sys.executable)
    found = subprocess.run([python, "-c", "import livekit.agents"], capture_output=True)
    return python if found.returncode == 0 else None


async def test_livekits_own_worker_gets_a_job_from_our_dispatcher(serve, room, tmp_path):
    python = python_with_livekit_agents()
    if python is None:
        pytest.skip("livekit-agents is not installed; name an interpreter that has it by LIVEKIT_AGENTS_PYTHON")
    server = serve()
    env = {**os.environ, **LIVEKIT, "LIVEKIT_URL": server.ws_url}
    log = tmp_path / "agent.log"
    with log.open("wb") as output:
        script = Path(__file__).with_name("livekit_agent.py")
        worker = subprocess.Popen([python, str(script), "start"], env=env, stdout=output, stderr=subprocess.STDOUT, cwd=tmp_path)
    try:
        await eventually("registration", lambda: "registered worker" in log.read_text(), 120)
        async with livekit_api(server) as livekit, Caller(server.ws_url, room) as caller:
            dispatch = await livekit.agent_dispatch.create_dispatch(
                api.CreateAgentDispatchRequest(agent_name="theirs", room=room, metadata="from Antiphon")
            )
            await caller.until("LiveKit's agent", lambda: any("hello from Antiphon" in w for w in caller.words("agent")), 120)
            (listed,) = await livekit.agent_dispatch.list_dispatch(room)
            assert listed.id == dispatch.id and [job.state.participant_identity for job in listed.state.jobs] == agents(caller)
            await answered(caller, "echo")
            assert caller.words("agent")[-1] == "you typed echo"
    except BaseException:
        print(log.read_text())
        raise
    finally:
        worker.send_signal(signal.SIGINT)
        try:
            worker.wait(30)
        except subprocess.TimeoutExpired:
            worker.kill()
