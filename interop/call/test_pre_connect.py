"""What a caller said before the agent was there: the recording comes as a byte stream of LiveKit's Python SDK."""

from __future__ import annotations

import pytest
from caller import MICROPHONE_HZ, Caller, read_wav
from conftest import SPEECH
from simulated import start_agent, start_simulator

pytestmark = pytest.mark.asyncio

QUESTION = "What is the weather in Paris?"
SUNSHINE = "The sun is shining in Paris today."


@pytest.fixture
def simulator(run):
    simulator = start_simulator(run)
    simulator.script(utterances=[QUESTION], rules=[{"when": "weather", "text": SUNSHINE}])
    return simulator


@pytest.fixture
def server(run, simulator, tmp_path):
    return start_agent(run, simulator, tmp_path, 'name = "desk"\ninstructions = "You are the desk of a weather station."\n')


def answered(caller: Caller) -> bool:
    return [" ".join(text.split()) for text in caller.words("agent")] == [SUNSHINE]


async def test_a_question_asked_before_the_agent_came_is_heard_once_and_answered(server, room):
    recording = read_wav(SPEECH / "weather_question.wav", MICROPHONE_HZ).tobytes()
    async with Caller(server.ws_url, room, recorded=True) as caller:
        await caller.until("the agent", lambda: caller.states, 30)
        await caller.send_recording(recording)
        await caller.until("the answer", lambda: answered(caller) and caller.states[-1] == "listening", 30)
        assert caller.words("user") == [QUESTION], caller.report()


async def test_a_recording_that_cannot_be_read_is_named_in_the_log_and_the_call_goes_on(server, room):
    async with Caller(server.ws_url, room, recorded=True) as caller:
        await caller.until("the agent", lambda: caller.states, 30)
        await caller.send_recording(b"not PCM", mime_type="video/mp4")
        await caller.until("the reason", lambda: "the client recorded video/mp4" in server.output())
        caller.say(SPEECH / "weather_question.wav")
        await caller.until("the answer", lambda: answered(caller) and caller.states[-1] == "listening", 30)
