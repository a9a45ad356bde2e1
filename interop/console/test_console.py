"""`antiphon console`: a conversation by typing, and one with a WAV file for a caller, from beginning to end."""

from __future__ import annotations

import os
import subprocess
import time
import wave
from pathlib import Path

import pytest
from conftest import SECRETS, SPEECH, binary

WEATHER = SPEECH / "weather_question.wav"


def console(folder: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(SECRETS)}
    return subprocess.run(
        [str(binary("antiphon")), "console", *arguments], cwd=folder, env=clean, input=typed, capture_output=True, text=True, timeout=180
    )


def agent(folder: Path, text: str) -> None:
    (folder / "antiphon.toml").write_text('name = "short"\ninstructions = "Say yes."\n[llm]\nprovider = "builtin"\n' + text)


def test_typed_questions_are_answered_and_the_end_of_the_input_ends_the_call(tmp_path):
    done = console(tmp_path, typed="What time do you open on Sunday?\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("agent: ") >= 2, done.stdout


@pytest.mark.parametrize("tts", ["auto", "none"])
def test_a_file_is_spoken_to_an_agent_without_greeting_and_its_answer_ends_the_call(tts, tmp_path):
    agent(tmp_path, f'[tts]\nprovider = "{tts}"\n')
    begun = time.monotonic()
    done = console(tmp_path, "--audio", str(WEATHER), "--output", "call.wav")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "you:   " in done.stdout and "agent: " in done.stdout, done.stdout
    with wave.open(str(tmp_path / "call.wav")) as call:
        assert call.getnchannels() == 2
        seconds = call.getnframes() / call.getframerate()
    with wave.open(str(WEATHER)) as speech:
        spoken = speech.getnframes() / speech.getframerate()
    # The call is as long as what was said in it, not as long as the patience of the console.
    assert spoken < seconds < spoken + 40, seconds
    assert time.monotonic() - begun < 120


def test_a_greeting_is_heard_before_the_file_is_spoken(tmp_path):
    agent(tmp_path, '[tts]\nprovider = "none"\n')
    text = (tmp_path / "antiphon.toml").read_text()
    (tmp_path / "antiphon.toml").write_text('greeting = "Good evening."\n' + text)
    done = console(tmp_path, "--audio", str(WEATHER))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.index("agent: Good evening.") < done.stdout.index("you:   "), done.stdout
    assert (tmp_path / "answer.wav").exists()


def test_an_output_that_cannot_be_written_is_said_before_the_call(tmp_path):
    done = console(tmp_path, "--audio", str(WEATHER), "--output", "/no/such/folder/x.wav")
    output = done.stdout + done.stderr
    assert done.returncode not in (0, 101), output
    assert "/no/such/folder/x.wav" in output and "--output" in output and output.count("No such file") == 1, output
    assert "agent: " not in output and "you: " not in output, output
