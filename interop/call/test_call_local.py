"""Without any key: speech recognition, thinking and speech on this machine, and the caller is LiveKit's Python SDK."""

from __future__ import annotations

from pathlib import Path

import pytest
from caller import Caller, recognise

SPEECH = Path(__file__).resolve().parents[1] / "speech"
CONFIGURATION = """
name = "weather"
greeting = "The Olive Press, good day! How can I help you?"

[knowledge]
path = "knowledge"
"""

LONG_GREETING = " ".join(f"This is sentence number {n} of a very long greeting." for n in "one two three four five six seven eight nine ten".split())

pytestmark = pytest.mark.asyncio


async def test_a_caller_without_any_account_is_greeted_and_answered_from_the_knowledge(run, room, tmp_path, artifacts):
    (tmp_path / "knowledge").mkdir()
    (tmp_path / "knowledge" / "weather.md").write_text("# Weather\n\nThe weather in Paris is mild, with a little rain in the evening.\n")
    (tmp_path / "antiphon.toml").write_text(CONFIGURATION)
    server = run("dev", "--port", "0", "--udp-port", "0")
    async with Caller(server.ws_url, room) as caller:
        await caller.until("the greeting", lambda: any("olive press" in words.lower() for words in caller.words("agent")))
        assert "pocketsphinx" in server.output().lower()
        await caller.until("listening again", lambda: caller.states[-1] == "listening")
        # a recording of a person: a small recogniser hears synthetic voices behind Opus too unevenly to be a test
        caller.say(SPEECH / "weather_question.wav")
        await caller.until("the caller's own words", lambda: any("weather in paris" in words.lower() for words in caller.words("user")), 30)
        # on a machine without a moment to spare the question may be heard in two turns: the first has an answer of its own
        answers = lambda: [words.lower() for words in caller.words("agent") if "mild" in words.lower()]
        await caller.until("an answer", lambda: answers() and caller.states[-1] == "listening", 60)
        assert "paris" in answers()[-1], caller.report()
        assert caller.of_type("knowledge_used"), caller.report()
        metrics = caller.of_type("turn_metrics")[-1]
        assert metrics["e2e_latency_ms"] > 0 and metrics["end_of_turn_delay_ms"] > 0
        # an answer that was ready before its turn was decided goes from listening to speaking with no thought between
        states = [state for state in caller.states if state not in ("initializing", "thinking")]
        assert states[-4:] == ["speaking", "listening", "speaking", "listening"], caller.states
        # words of the answer alone: the greeting has none of them. Not the recogniser that heard the question is asked.
        heard = recognise(caller.save_heard(artifacts / "local_call.wav"))
        assert len({"mild", "rain", "evening", "weather", "paris"} & set(heard.split())) >= 4, f"a recogniser heard: {heard}"


async def test_without_any_account_too_the_caller_may_speak_into_a_sentence_and_is_answered(run, room, tmp_path):
    (tmp_path / "knowledge").mkdir()
    (tmp_path / "knowledge" / "weather.md").write_text("# Weather\n\nThe weather in Paris is mild, with a little rain in the evening.\n")
    (tmp_path / "antiphon.toml").write_text(CONFIGURATION.replace("The Olive Press, good day! How can I help you?", LONG_GREETING))
    server = run("dev", "--port", "0", "--udp-port", "0")
    async with Caller(server.ws_url, room) as caller:
        await caller.until("some words", lambda: any("sentence number two" in words for words in caller.words("agent", final=False)), 60)
        caller.say(SPEECH / "weather_question.wav")
        await caller.until("the interruption", lambda: caller.of_type("interrupted"), 60)
        await caller.until("an answer", lambda: any("mild" in words for words in caller.words("agent")) and caller.states[-1] == "listening", 60)
        greeting = " ".join(caller.words("agent")[0].split())
        assert LONG_GREETING.startswith(greeting) and len(greeting) < len(LONG_GREETING), "the transcript shows what was heard"


async def test_a_table_is_booked_by_typing_and_found_again(run, room):
    server = run("dev", "--port", "0", "--udp-port", "0")
    async with Caller(server.ws_url, room) as caller:
        await caller.until("the greeting", lambda: caller.words("agent"))
        await caller.type("I would like to book a table for two tomorrow at seven in the evening, my name is Ada")
        await caller.until("being asked", lambda: "Shall I book" in caller.words("agent")[-1])
        await caller.type("yes please")
        await caller.until("a tool", lambda: caller.of_type("tool_ended"), 30)
        started = caller.of_type("tool_started")[0]
        assert started["name"] == "make_booking", caller.report()
        assert '"party_size":2' in started["arguments"].replace(" ", ""), caller.report()
