"""Providers that refuse, limit, hang or die while somebody is on the phone: the agent says so, lives on, and answers again when
they are well."""

from __future__ import annotations

import pytest
from caller import Caller, speak
from simulated import Simulator, start_agent, start_simulator

pytestmark = pytest.mark.asyncio

TROUBLE = "Sorry, there is some trouble."
AGENT = f"""
name = "desk"
greeting = "Good day."
trouble_message = "{TROUBLE}"

[llm]
timeout = 2

[tts]
timeout = 2
"""
REFUSED = {"fault": "status", "status": 401}
# longer than anybody waits on the phone
LIMITED = {"fault": "status", "status": 429, "retry_after_s": 60}
HANGS = {"fault": "hang"}
STALLS = {"fault": "stall", "after_chunks": 3}
DIES = {"fault": "cut", "after_chunks": 3}
# The model repeats what it was told; words that nobody has answered yet come first.
ANSWER = "are you well. What else can I do for you?"


@pytest.fixture
def simulator(run) -> Simulator:
    return start_simulator(run)


@pytest.fixture
def server(run, simulator, tmp_path):
    return lambda: start_agent(run, simulator, tmp_path, AGENT)


def errors(caller: Caller, component: str) -> list[str]:
    return [event["message"] for event in caller.of_type("error") if event["component"] == component]


def troubles(caller: Caller) -> list[str]:
    return [text for text in caller.words("agent") if text.strip() == TROUBLE]


async def answered_when_well(caller: Caller) -> None:
    """Everything works again: the next words are answered, in the same call."""
    await caller.type("are you well")
    await caller.until("an answer", lambda: any(text.endswith(ANSWER) for text in caller.words("agent")) and caller.states[-1] == "listening", 30)
    assert not caller.agent_left


@pytest.mark.parametrize("fault", [REFUSED, LIMITED, HANGS, STALLS, DIES], ids=["refuses", "limits", "hangs", "stalls", "dies"])
async def test_when_the_model_fails_the_caller_is_told_and_answered_later(simulator, server, room, fault):
    async with Caller(server().ws_url, room) as caller:
        await caller.until("the greeting", lambda: caller.words("agent") and caller.states[-1] == "listening", 30)
        simulator.script(faults=[{"endpoint": "chat", **fault}])
        audible = len(caller.heard_at)
        await caller.type("can you help me")
        await caller.until("an error", lambda: errors(caller, "llm"))
        await caller.until("the words of trouble", lambda: troubles(caller) and caller.states[-1] == "listening")
        assert len(caller.heard_at) > audible + 50, f"the trouble can be heard\n{caller.report()}"
        simulator.script()
        await answered_when_well(caller)


@pytest.mark.parametrize("fault", [REFUSED, LIMITED, HANGS, STALLS, DIES], ids=["refuses", "limits", "hangs", "stalls", "dies"])
async def test_when_the_voice_fails_the_agent_lives_on_and_speaks_later(simulator, server, room, fault):
    async with Caller(server().ws_url, room) as caller:
        await caller.until("the greeting", lambda: caller.words("agent") and caller.states[-1] == "listening", 30)
        simulator.script(faults=[{"endpoint": "speech", **fault}])
        await caller.type("can you help me")
        await caller.until("an error", lambda: errors(caller, "tts") and caller.states[-1] == "listening")
        simulator.script()
        await answered_when_well(caller)


async def test_a_sentence_whose_voice_fails_once_is_heard_all_the_same(simulator, server, room):
    async with Caller(server().ws_url, room) as caller:
        await caller.until("the greeting", lambda: caller.words("agent") and caller.states[-1] == "listening", 30)
        simulator.script(faults=[{"endpoint": "speech", "requests": [1], **REFUSED}])
        await caller.type("can you help me")
        await caller.until("the answer", lambda: caller.words("agent")[-1].endswith("What else can I do for you?") and caller.states[-1] == "listening", 30)
        assert not troubles(caller) and not errors(caller, "tts")


async def test_a_sentence_whose_voice_fails_twice_is_left_out_and_that_is_told(simulator, server, room, tmp_path):
    async with Caller(server().ws_url, room) as caller:
        await caller.until("the greeting", lambda: caller.words("agent") and caller.states[-1] == "listening", 30)
        # spoken: who types reads the sentence instead
        simulator.script(utterances=["can you help me"], faults=[{"endpoint": "speech", "requests": [1, 2, 3, 4], **REFUSED}])
        caller.say(speak("can you help me", tmp_path))
        await caller.until("an error", lambda: errors(caller, "tts"), 30)
        await caller.until("the words of trouble", lambda: troubles(caller) and caller.states[-1] == "listening", 30)


# A recogniser that limits is asked again after a second; one that dies does so before the first word.
@pytest.mark.parametrize(
    "fault",
    [REFUSED, {"fault": "status", "status": 429, "retry_after_s": 1}, HANGS, {"fault": "cut", "after_chunks": 0}],
    ids=["refuses", "limits", "hangs", "dies"],
)
async def test_when_the_recogniser_fails_the_caller_is_told_and_heard_later(simulator, server, room, tmp_path, fault):
    simulator.script(faults=[{"endpoint": "listen", **fault}])
    async with Caller(server().ws_url, room) as caller:
        await caller.until("an error", lambda: errors(caller, "stt"), 30)
        await caller.until("the greeting", lambda: caller.words("agent") and caller.states[-1] == "listening", 30)
        caller.say(speak("can you hear me", tmp_path))
        await caller.until("the words of trouble", lambda: troubles(caller) and caller.states[-1] == "listening", 30)
        simulator.script(utterances=["are you well"])
        simulator.forget()
        await caller.until("a new connection", lambda: simulator.requests("/v1/listen"), 40)
        caller.say(speak("are you well", tmp_path))
        await caller.until("an answer", lambda: any(text.endswith(ANSWER) for text in caller.words("agent")), 40)
        assert not caller.agent_left


async def test_a_recogniser_that_dies_in_mid_sentence_is_replaced_and_the_words_are_not_lost(simulator, server, room, tmp_path):
    fault = {"endpoint": "listen", "requests": [1], "fault": "cut", "after_chunks": 2}
    simulator.script(utterances=["are you well"], utterances_shared=False, faults=[fault])
    async with Caller(server().ws_url, room) as caller:
        await caller.until("the greeting", lambda: caller.words("agent") and caller.states[-1] == "listening", 30)
        caller.say(speak("are you well", tmp_path))
        await caller.until("an error", lambda: errors(caller, "stt"))
        await caller.until("an answer", lambda: any(text.endswith(ANSWER) for text in caller.words("agent")), 40)
        assert caller.words("user") == ["are you well"]


async def test_a_recogniser_that_falls_silent_in_mid_sentence_is_replaced_and_the_caller_is_heard_again(simulator, server, room, tmp_path):
    fault = {"endpoint": "listen", "requests": [1], "fault": "stall", "after_chunks": 2}
    simulator.script(utterances=["are you well"], utterances_shared=False, faults=[fault])
    async with Caller(server().ws_url, room) as caller:
        await caller.until("the greeting", lambda: caller.words("agent") and caller.states[-1] == "listening", 30)
        caller.say(speak("are you well", tmp_path))
        # what was heard of it is taken for what was said: nobody waits for a recogniser that hangs
        await caller.until("an answer to half of it", lambda: len(caller.words("agent")) > 1 and caller.states[-1] == "listening", 40)
        await caller.until("a new connection", lambda: len(simulator.requests("/v1/listen")) > 1, 40)
        caller.say(speak("are you well", tmp_path))
        await caller.until("an answer", lambda: any(text.endswith(ANSWER) for text in caller.words("agent")), 40)
        assert not caller.agent_left
