"""Bad configuration and bad files: refused before a port is bound, with an error that says what to do, and no secret in it."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest
from conftest import SECRETS, binary, free_port

# Distinct, so that any of them is found in any output.
KEYS = {
    "DEEPGRAM_API_KEY": "dg-0123456789abcdef-never-print",
    "OPENAI_API_KEY": "sk-0123456789abcdef-never-print",
    "LIVEKIT_API_SECRET": "lk-0123456789abcdef-never-print",
}


def refused(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> str:
    """Runs antiphon, which has to end by itself with an error; gives what it says."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(SECRETS)}
    done = subprocess.run(
        [str(binary("antiphon")), *arguments], cwd=folder, env={**clean, **(env or {})}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    output = done.stdout + done.stderr
    assert done.returncode not in (0, 101), output
    assert "error" in output and "panicked" not in output, output
    assert "never-print" not in output, "a secret was printed"
    assert len(output) < 3000, "too much to read"
    return output


CONFIGS = {
    "a typo": ('name = "x"\ngreting = "hello"\n', ["antiphon.toml:2", "greting", "did you mean `greeting`"]),
    "a typo in a section": ("[turn]\nmin_endpoint_delay = 1\n", ["antiphon.toml:2", "min_endpointing_delay"]),
    "an unknown provider": ('[stt]\nprovider = "deepgrm"\n', ["antiphon.toml:2", "did you mean `deepgram`"]),
    "a wrong kind": ("[server]\nport = 99999\n", ["antiphon.toml:2", "99999"]),
    "a wrong value": ("[turn]\nmin_endpointing_delay = -1\n", ["antiphon.toml:2"]),
    "no TOML": ("name = \n", ["antiphon.toml:1"]),
    "a folder that is not there": ('[knowledge]\npath = "nowhere"\n', ["nowhere"]),
    "a tool without a name": ('[[tool]]\nurl = "https://example.com"\n', ["antiphon.toml", "name"]),
    "a key in the file": ('[llm]\napi_key = "sk-0123456789abcdef-never-print"\n', ["antiphon.toml:2", "api_key"]),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_that_cannot_be_names_line_and_remedy_before_a_port_is_bound(name, tmp_path):
    text, expected = CONFIGS[name]
    (tmp_path / "antiphon.toml").write_text(text)
    # The port is taken: whoever tried to bind it would complain about that instead.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        output = refused(tmp_path, "dev", "--port", str(taken.getsockname()[1]), "--config", "antiphon.toml")
    for words in expected:
        assert words in output, output
    assert "is taken" not in output, "the port was bound before the file was checked"


def test_a_missing_file_is_named_once(tmp_path):
    output = refused(tmp_path, "dev", "--config", "missing.toml")
    assert "missing.toml" in output and output.count("No such file") == 1, output


@pytest.mark.parametrize(
    ("section", "provider", "key"), [("stt", "deepgram", "DEEPGRAM_API_KEY"), ("llm", "openai", "OPENAI_API_KEY"), ("tts", "openai", "OPENAI_API_KEY")]
)
def test_a_provider_without_its_key_is_refused_and_the_port_stays_free(section, provider, key, tmp_path):
    (tmp_path / "antiphon.toml").write_text(f'[{section}]\nprovider = "{provider}"\n')
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        output = refused(tmp_path, "dev", "--port", str(taken.getsockname()[1]), env={name: value for name, value in KEYS.items() if name != key})
    assert key in output and "is taken" not in output, output


@pytest.mark.parametrize("missing", ["LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "LIVEKIT_URL"])
def test_livekit_half_set_names_the_half_that_is_missing(missing, tmp_path):
    everything = {"LIVEKIT_URL": "ws://127.0.0.1:1", "LIVEKIT_API_KEY": "somekey", "LIVEKIT_API_SECRET": KEYS["LIVEKIT_API_SECRET"]}
    given = {name: value for name, value in everything.items() if name != missing}
    output = refused(tmp_path, "start", "--port", "0", env=given)
    assert missing in output, output
    assert not [name for name in given if f"{name} is not set" in output or f"{name} and" in output], output


def test_a_port_in_use_is_said_once(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        output = refused(tmp_path, "serve", "--dev", "--port", str(port), "--udp-port", "0")
    assert str(port) in output and output.count("is taken") == 1, output


@pytest.mark.parametrize("keys", ["rubbish", "key:", "short: x"])
def test_keys_that_cannot_be_are_refused_without_repeating_the_secret(keys, tmp_path):
    refused(tmp_path, "serve", "--port", "0", "--udp-port", "0", env={"LIVEKIT_KEYS": f"{keys}\n{KEYS['LIVEKIT_API_SECRET']}"})


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\x24\x00\x00\x00WAVEfmt ", b"ID3\x04" + bytes(4000), b"RIFF\xff\xff\xff\xffWAVE" + bytes(4000)])
def test_a_wav_that_is_none_is_refused(content, tmp_path):
    (tmp_path / "voice.wav").write_bytes(content)
    output = refused(tmp_path, "console", "--audio", "voice.wav")
    assert "voice.wav" in output and "WAV" in output, output


def test_a_missing_wav_is_named_once(tmp_path):
    output = refused(tmp_path, "console", "--audio", "missing.wav")
    assert "missing.wav" in output and output.count("No such file") == 1, output


def test_a_worker_with_the_wrong_secret_ends_with_a_clear_error(run, tmp_path):
    server = run("serve", "--dev", "--port", "0", "--udp-port", "0")
    env = {"LIVEKIT_URL": server.ws_url, "LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": KEYS["LIVEKIT_API_SECRET"]}
    output = refused(tmp_path, "start", "--port", "0", env={**env, "DEEPGRAM_API_KEY": KEYS["DEEPGRAM_API_KEY"]})
    assert "401" in output and "LIVEKIT_API_SECRET" in output, output
    assert "never-print" not in server.output() and "eyJ" not in server.output() + output, "a token or a secret was printed"
