"""Without any key, with the models of this machine: Moonshine hears, hibari speaks, and Whisper judges what was said."""

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

pytestmark = pytest.mark.asyncio


async def test_a_person_is_understood_word_for_word_and_the_answer_by_another_recogniser(run, room, models, tmp_path, artifacts):
    (tmp_path / "knowledge").mkdir()
    (tmp_path / "knowledge" / "weather.md").write_text("# Weather\n\nThe weather in Paris is mild, with a little rain in the evening.\n")
    (tmp_path / "antiphon.toml").write_text(CONFIGURATION)
    server = run("dev", "--port", "0", "--udp-port", "0", env=models)
    async with Caller(server.ws_url, room) as caller:
        await caller.until("the greeting", lambda: any("olive press" in words.lower() for words in caller.words("agent")))
        assert "Moonshine" in server.output() and "hibari" in server.output()
        await caller.until("listening again", lambda: caller.states[-1] == "listening")
        before = len(caller.heard)
        caller.say(SPEECH / "weather_question.wav")
        await caller.until("the caller's own words", lambda: any("weather in paris" in words.lower() for words in caller.words("user")), 30)
        await caller.until("an answer", lambda: any("mild" in words.lower() for words in caller.words("agent")) and caller.states[-1] == "listening", 60)
        assert caller.words("user")[-1].lower().strip(" ?.") == "what is the weather in paris", caller.report()
        del caller.heard[:before]
        heard = set(recognise(caller.save_heard(artifacts / "models_call.wav")).split())
        assert len({"weather", "paris", "mild", "little", "rain", "evening"} & heard) >= 5, f"a recogniser heard: {heard}"


async def test_the_transcript_of_an_interrupted_answer_ends_at_the_word_that_was_heard(run, room, models, tmp_path):
    sentence = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty"
    (tmp_path / "antiphon.toml").write_text(f'name = "counter"\ngreeting = "{", ".join(sentence.split())}."\n')
    server = run("dev", "--port", "0", "--udp-port", "0", env=models)
    async with Caller(server.ws_url, room) as caller:
        await caller.until("some numbers", lambda: any("three" in words for words in caller.words("agent", final=False)), 60)
        caller.say(SPEECH / "weather_question.wav")
        await caller.until("the interruption", lambda: caller.of_type("interrupted"), 60)
        await caller.until("its transcript", lambda: caller.words("agent"), 30)
        said = caller.words("agent")[0].replace(",", "").replace(".", "").split()
        assert said == sentence.split()[: len(said)] and 3 <= len(said) < 20, said
