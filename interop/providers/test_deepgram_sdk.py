"""The official deepgram-sdk package against the simulator."""

import math
import struct
import time

import pytest
from deepgram import DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment


@pytest.fixture
def client(simulator):
    ws = simulator.url.replace("http", "ws", 1)
    environment = DeepgramClientEnvironment(base=simulator.url, production=ws, agent=ws, agent_rest=simulator.url)
    return DeepgramClient(api_key="dg-any", environment=environment)


def tone(seconds: float) -> bytes:
    samples = (int(8000 * math.sin(n / 10)) for n in range(int(16_000 * seconds)))
    return b"".join(struct.pack("<h", sample) for sample in samples)


def live(client):
    return client.listen.v1.connect(
        model="nova-3",
        language="en-US",
        encoding="linear16",
        sample_rate=16000,
        interim_results="true",
        vad_events="true",
        utterance_end_ms=1000,
    )


def results(socket, wanted):
    """Messages up to and with the first that is wanted."""
    seen = []
    for message in socket:
        seen.append(message)
        if wanted(message):
            return seen
    raise AssertionError(f"the stream ended after {seen}")


def is_final(message) -> bool:
    return message.type == "Results" and message.is_final


def transcript(message) -> str:
    return message.channel.alternatives[0].transcript


def test_interim_then_final_by_finalize(simulator, client):
    simulator.script(utterances=["a table for four", "tonight"])
    with live(client) as socket:
        socket.send_media(tone(1.2))
        socket.send_finalize()
        seen = results(socket, is_final)
        assert seen[0].type == "SpeechStarted"
        interims = [transcript(message) for message in seen[1:-1]]
        assert interims and all("a table for four".startswith(text) for text in interims)
        assert transcript(seen[-1]) == "a table for four"
        assert seen[-1].from_finalize and not seen[-1].speech_final
        assert [word.word for word in seen[-1].channel.alternatives[0].words] == ["a", "table", "for", "four"]
        socket.send_media(tone(0.6))
        socket.send_finalize()
        assert transcript(results(socket, is_final)[-1]) == "tonight"


def test_silence_ends_an_utterance(simulator, client):
    simulator.script(utterances=["hello there"])
    with live(client) as socket:
        socket.send_media(tone(0.8) + bytes(32_000))
        final = results(socket, is_final)[-1]
        assert transcript(final) == "hello there" and final.speech_final
        assert results(socket, lambda message: message.type == "UtteranceEnd")


def test_close_stream_gives_the_rest_and_metadata(simulator, client):
    with live(client) as socket:
        socket.send_media(tone(0.5))
        socket.send_close_stream()
        seen = list(socket)
    assert any(is_final(message) and transcript(message) == "hello" for message in seen)
    assert seen[-1].type == "Metadata"


def test_keep_alive_keeps_a_silent_stream(simulator, client):
    simulator.script(delays={"stt_idle_ms": 500})
    with live(client) as socket:
        for _ in range(8):
            socket.send_keep_alive()
            time.sleep(0.1)  # simulated silence, longer than the limit in sum
        socket.send_media(tone(0.5))
        socket.send_finalize()
        assert transcript(results(socket, is_final)[-1]) == "hello"
    assert simulator.requests("/v1/listen")[0]["messages"].count("KeepAlive") == 8


def test_a_stream_without_sound_is_closed_as_deepgram_does(simulator, client):
    simulator.script(delays={"stt_idle_ms": 100})
    with live(client) as socket, pytest.raises(Exception, match="NET-0001"):
        list(socket)


def test_prerecorded(simulator, client):
    simulator.script(utterances=["what is the weather in paris"])
    answer = client.listen.v1.media.transcribe_file(request=tone(1), model="nova-3")
    assert answer.results.channels[0].alternatives[0].transcript == "what is the weather in paris"
    request = simulator.requests("/v1/listen")[0]
    assert ["model", "nova-3"] in request["query"]
    assert request["headers"]["authorization"] == "Token [key]"


def test_a_wrong_key_is_refused(simulator, client):
    simulator.script(api_key="dg-right")
    with pytest.raises(ApiError) as refused:
        client.listen.v1.media.transcribe_file(request=tone(0.1), model="nova-3")
    assert refused.value.status_code == 401
    with pytest.raises(Exception, match="401"), live(client) as socket:
        list(socket)
