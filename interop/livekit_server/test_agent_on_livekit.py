"""The agent on LiveKit's own server: as a worker that is sent to rooms, and in one room by name. The caller is LiveKit's SDK."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from caller import Caller, recognise, speak
from livekit import api, rtc
from simulated import start_simulator
from waiting import eventually, get

pytestmark = pytest.mark.asyncio

SPEECH = Path(__file__).resolve().parents[1] / "speech"
CONFIGURATION = """
name = "{name}"
greeting = "Good day."
instructions = "You are the desk of a weather station."
"""
SUNSHINE = "The sun is shining in Paris today."
STORY = " ".join(f"This is sentence number {n} of a very long story about the sea." for n in "one two three four five six seven eight".split())
PATIENCE = 60


@pytest.fixture
def simulator(run):
    simulator = start_simulator(run)
    simulator.script(
        utterances=["What is the weather in Paris?", "Please stop, I want to know about Paris."],
        rules=[{"when": "story", "text": STORY}, {"when": "paris", "text": SUNSHINE}],
    )
    return simulator


@pytest.fixture
def worker(agent_process, simulator, livekit):
    """`antiphon start`, registered at LiveKit's server. A busy test machine is no reason to refuse a call."""

    async def starter(*arguments: str):
        process = agent_process(
            livekit, "start", "--port", "0", "--load-threshold", "1000", *arguments,
            configuration=CONFIGURATION.format(name="desk"), env=simulator.environment, ready=r"(http://[\w.:\[\]-]+)",
        )  # fmt: skip
        await eventually("registration", lambda: get(process.url + "/")[0] == 200)
        return process

    return starter


async def greeted(caller: Caller) -> None:
    await caller.until("the greeting", lambda: caller.words("agent") and caller.states[-1:] == ["listening"], PATIENCE)


async def test_a_caller_on_livekits_server_is_heard_answered_and_may_interrupt(worker, livekit, room, artifacts, tmp_path):
    process = await worker()
    async with Caller(livekit.ws_url, room) as caller:
        await greeted(caller)
        caller.say(SPEECH / "weather_question.wav")
        await caller.until("the answer", lambda: caller.words("agent")[-1:] == [SUNSHINE] and caller.states[-1] == "listening", PATIENCE)
        assert caller.words("user") == ["What is the weather in Paris?"]
        heard = recognise(caller.save_heard(artifacts / "livekit_server_call.wav"))
        assert {"sun", "shining", "paris", "today"} & set(heard.split()), f"a recogniser heard: {heard}"

        await caller.type("Tell me a story")
        await caller.until("three sentences", lambda: any("number three" in text for text in caller.words("agent", final=False)), PATIENCE)
        caller.say(speak("please stop I want to know about Paris and nothing else at all", tmp_path))
        await caller.until("the interruption", lambda: caller.of_type("interrupted"))
        await caller.until("the answer", lambda: caller.words("agent")[-1:] == [SUNSHINE] and caller.states[-1] == "listening", PATIENCE)
        story = next(text for text in caller.words("agent") if text.startswith("This is sentence"))
        assert STORY.startswith(" ".join(story.split())) and len(story) < len(STORY), "the transcript shows what was heard"

    def jobs() -> int:
        return json.loads(get(process.url + "/worker")[1])["active_jobs"]

    await eventually("the end of the job", lambda: jobs() == 0)


async def test_livekit_sends_a_named_agent_only_where_it_is_asked_for(worker, livekit, room):
    await worker("--agent-name", "weather-desk")
    async with Caller(livekit.ws_url, room) as caller:
        agents = [p for p in caller.room.remote_participants.values() if p.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT]
        assert not agents
        async with api.LiveKitAPI(livekit.url, "devkey", "secret") as client:
            request = api.CreateAgentDispatchRequest(agent_name="weather-desk", room=room, metadata="{}")
            await client.agent_dispatch.create_dispatch(request)
        await greeted(caller)


async def test_the_agent_joins_one_room_of_livekits_server_by_name(agent_process, simulator, livekit, room):
    async with Caller(livekit.ws_url, room) as caller:
        agent_process(livekit, "connect", "--room", room, configuration=CONFIGURATION.format(name="desk"), env=simulator.environment, ready="joins room")
        await greeted(caller)
        await caller.type("And the weather in Paris?")
        await caller.until("the answer", lambda: caller.words("agent")[-1:] == [SUNSHINE], PATIENCE)
