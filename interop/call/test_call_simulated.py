"""Whole calls with simulated Deepgram and OpenAI; the caller is LiveKit's Python SDK."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from caller import Caller, recognise, speak
from conftest import SPEECH
from simulated import content, start_agent, start_simulator

pytestmark = pytest.mark.asyncio

AGENT = """
name = "desk"
greeting = "Good day."
instructions = "You are the desk of a weather station."

[knowledge]
path = "knowledge"

[[tool]]
name = "list_stations"
description = "Lists the stations."
url = "{url}/v1/models"
allowed_hosts = ["127.0.0.1"]
"""
FACT = "In Paris the weather station stands on the tower and reports sunshine."
SUNSHINE = "The sun is shining in Paris today."
STORY = " ".join(f"This is sentence number {n} of a very long story about the sea." for n in "one two three four five six seven eight nine ten".split())


@pytest.fixture
def simulator(run):
    return start_simulator(run)


@pytest.fixture
def server(run, simulator, tmp_path):
    (tmp_path / "knowledge").mkdir()
    (tmp_path / "knowledge" / "paris.md").write_text(f"# Paris\n\n{FACT}\n")
    return start_agent(run, simulator, tmp_path, AGENT.format(url=simulator.url))


@contextlib.asynccontextmanager
async def greeted(server, room: str, identity: str = "caller"):
    """A caller in a call whose greeting is over."""
    async with Caller(server.ws_url, room, identity) as caller:
        await caller.until("the greeting", lambda: caller.words("agent") and caller.states[-1] == "listening", 30)
        yield caller


def answers(caller: Caller) -> list[str]:
    """What the agent has said, the greeting left out."""
    return [" ".join(text.split()) for text in caller.words("agent")[1:]]


async def test_a_recorded_question_is_heard_answered_and_measured(simulator, server, room, artifacts):
    simulator.script(utterances=["What is the weather in Paris?"], rules=[{"when": "weather", "text": SUNSHINE}])
    async with greeted(server, room) as caller:
        # only now: the address, by which the start is known, is printed before the providers
        for part in ("STT", "LLM", "TTS"):
            assert any(line.strip().startswith(part) and "127.0.0.1" in line for line in server.output().splitlines()), server.output()
        shown: list[str] = []
        caller.say(SPEECH / "weather_question.wav")

        def heard_of_user() -> bool:
            shown.extend(text for text in caller.words("user", final=False) if not shown or shown[-1] != text)
            return bool(caller.words("user"))

        await caller.until("the caller's words", heard_of_user)
        assert caller.words("user") == ["What is the weather in Paris?"]
        interim = shown[0]
        assert interim != caller.words("user")[0] and "What is the weather in Paris?".startswith(interim), shown
        await caller.until("the whole answer", lambda: answers(caller) == [SUNSHINE] and caller.states[-1] == "listening", 30)
        after_greeting = caller.states[caller.states.index("speaking") :]
        assert after_greeting == ["speaking", "listening", "thinking", "speaking", "listening"], caller.states
        assert set(caller.states[: caller.states.index("speaking")]) <= {"initializing", "listening", "thinking"}, caller.states

        await caller.until("metrics", lambda: caller.of_type("turn_metrics"))
        metrics = caller.of_type("turn_metrics")[-1]
        for name in ("end_of_turn_delay_ms", "transcription_delay_ms", "llm_ttft_ms", "tts_ttfb_ms", "e2e_latency_ms"):
            assert metrics[name] is not None and metrics[name] >= 0, metrics
        assert metrics["e2e_latency_ms"] >= metrics["end_of_turn_delay_ms"] > 0, metrics

        passages = caller.of_type("knowledge_used")[-1]["passages"]
        assert FACT in passages[0]["text"] and "paris.md" in passages[0]["source"], passages
        heard = recognise(caller.save_heard(artifacts / "simulated_call.wav"))
        assert {"sun", "shining", "paris", "today"} & set(heard.split()), f"a recogniser heard: {heard}"

    asked = simulator.chats()[-1]
    system = [content(message) for message in asked if message["role"] == "system"]
    assert any("weather station" in text for text in system)
    assert not any(FACT in text for text in system), "knowledge has no business in the system role"
    question = [message for message in asked if message["role"] == "user"][-1]
    assert FACT in content(question) and "paris.md" in content(question), question
    assert content(question).endswith("What is the weather in Paris?"), question


async def test_a_tool_is_called_and_its_result_is_spoken(simulator, server, room):
    simulator.script(
        models=["Montmartre"],
        rules=[
            {"when": "stations", "tool_calls": [{"name": "list_stations", "arguments": {}}]},
            {"after_tool": "list_stations", "text": "There is one station."},
        ],
    )
    async with greeted(server, room) as caller:
        await caller.type("Which stations are there?")
        await caller.until("the answer", lambda: answers(caller) == ["There is one station."] and caller.states[-1] == "listening", 30)
        started, ended = caller.of_type("tool_started"), caller.of_type("tool_ended")
        assert [event["name"] for event in started] == ["list_stations"], caller.report()
        assert [event["call_id"] for event in ended] == [started[0]["call_id"]]
        assert "Montmartre" in ended[0]["output"] and not ended[0]["is_error"], ended
        assert ended[0]["duration_ms"] > 0
    call, result = simulator.chats()[-1][-2:]
    assert call["tool_calls"][0]["id"] == result["tool_call_id"] and "Montmartre" in content(result)


@pytest.fixture
def stories(simulator):
    """A recogniser hears what the script says when the call begins."""
    simulator.script(
        utterances=["Please stop, I want to know about Paris."],
        rules=[{"when": "story", "text": STORY}, {"when": "paris", "text": SUNSHINE}, {"when": "weather", "text": SUNSHINE}],
    )
    return simulator


async def begin_story(caller: Caller) -> None:
    await caller.type("Tell me a story")
    await caller.until("three sentences", lambda: any("number three" in text for text in caller.words("agent", final=False)), 40)


def assert_cut(messages: list[dict]) -> None:
    """The model is told what the caller heard of the story: some of it, not all."""
    told = [content(message) for message in messages if message["role"] == "assistant"]
    story = next(text for text in told if text.startswith("This is sentence"))
    assert STORY.startswith(story) and "number two" in story and len(story) < len(STORY), story


async def test_a_caller_who_speaks_up_silences_the_agent_and_is_answered(stories, server, room, tmp_path):
    async with greeted(server, room) as caller:
        await begin_story(caller)
        caller.say(speak("please stop I want to know about Paris and nothing else at all", tmp_path))
        await caller.until("the interruption", lambda: caller.of_type("interrupted"))
        told = len(caller.words("agent"))
        # the caller is still speaking: nothing of the agent's may be heard until he has finished
        await caller.until("silence", lambda: not caller.heard_within(0.4), 5)
        assert len(caller.words("agent")) == told, "it was silent before its next words, not between two sentences"
        await caller.until("the answer", lambda: answers(caller)[-1:] == [SUNSHINE] and caller.states[-1] == "listening", 30)
        story = answers(caller)[0]
        assert STORY.startswith(story) and len(story) < len(STORY), "the transcript shows what was heard"
    asked = stories.chats()[-1]
    assert_cut(asked)
    assert content(asked[-1]).endswith("Please stop, I want to know about Paris."), asked[-1]


async def test_typed_text_interrupts_and_is_answered(stories, server, room):
    async with greeted(server, room) as caller:
        await begin_story(caller)
        await caller.type("And the weather?")
        await caller.until("the interruption", lambda: caller.of_type("interrupted"))
        await caller.until("the answer", lambda: answers(caller)[-1:] == [SUNSHINE] and caller.states[-1] == "listening", 30)
    assert_cut(stories.chats()[-1])


async def test_two_callers_at_once_do_not_hear_each_other(simulator, server, room, tmp_path):
    simulator.script(utterances=["Apples please"])
    async with greeted(server, f"{room}-a", "ada") as ada, greeted(server, f"{room}-b", "bob") as bob:
        ada.say(speak("apples please", tmp_path))
        await bob.type("Bananas please")
        await asyncio.gather(
            ada.until("ada's answer", lambda: len(answers(ada)) == 1 and ada.states[-1] == "listening", 40),
            bob.until("bob's answer", lambda: len(answers(bob)) == 1 and bob.states[-1] == "listening", 40),
        )
        assert answers(ada) == ["You said: Apples please. What else can I do for you?"]
        # what is typed is shown by the client that sent it, not transcribed
        assert answers(bob) == ["You said: Bananas please. What else can I do for you?"]
        assert ada.words("user") == ["Apples please"] and bob.words("user") == [], (ada.report(), bob.report())
        assert {p.identity for p in bob.room.remote_participants.values()} == {bob.agent.identity}
        assert ada.agent.identity != bob.agent.identity
    for asked in simulator.chats():
        said = " ".join(content(message) for message in asked)
        assert not ("Apples" in said and "Bananas" in said), asked
