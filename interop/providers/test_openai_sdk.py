"""The official openai package against the simulator."""

import json

import httpx
import openai
import pytest

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "book_table",
            "description": "Books a table.",
            "parameters": {"type": "object", "properties": {"guests": {"type": "integer"}}},
        },
    }
]


@pytest.fixture
def client(simulator):
    return openai.OpenAI(base_url=simulator.url + "/v1", api_key="sk-any", max_retries=0, timeout=10)


def test_streamed_chat_with_a_tool_and_its_result(simulator, client):
    simulator.script(
        rules=[
            {"when": "book", "text": "One moment.", "tool_calls": [{"name": "book_table", "arguments": {"guests": 4}}]},
            {"after_tool": "book_table", "text": "It is done: {tool}"},
        ]
    )
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Please book for four"}]
    text, name, call_id, arguments, usage, reason = "", None, None, "", None, None
    options = {"include_usage": True}
    for chunk in client.chat.completions.create(
        model="gpt-4.1-mini", messages=messages, tools=TOOLS, stream=True, stream_options=options
    ):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reason = choice.finish_reason or reason
            for call in choice.delta.tool_calls or []:
                name = call.function.name or name
                call_id = call.id or call_id
                arguments += call.function.arguments or ""
    assert (text, name, json.loads(arguments), reason) == ("One moment.", "book_table", {"guests": 4}, "tool_calls")
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens

    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    messages += [
        {"role": "assistant", "content": text, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": "table 7"},
    ]
    answer = client.chat.completions.create(model="gpt-4.1-mini", messages=messages, tools=TOOLS)
    assert answer.choices[0].message.content == "It is done: table 7"
    assert "sk-any" not in json.dumps(simulator.requests("/v1/chat/completions"))


def test_a_call_without_its_result_is_refused_as_openai_does(client):
    call = {"id": "a", "type": "function", "function": {"name": "x", "arguments": "{}"}}
    messages = [{"role": "assistant", "tool_calls": [call]}, {"role": "user", "content": "hello"}]
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="m", messages=messages)


@pytest.mark.parametrize("format", ["pcm", "wav"])
def test_speech_is_streamed(client, format):
    pieces = []
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="ash", input="Good evening, how can I help you?", response_format=format
    ) as response:
        pieces = list(response.iter_bytes(1024))
    sound = b"".join(pieces)
    assert len(pieces) > 3
    assert len(sound) > 24_000 * 2
    assert sound.startswith(b"RIFF") == (format == "wav")


def test_embeddings_are_the_same_as_base64_and_as_floats(client):
    texts = ["opening hours of the kitchen", "kitchen hours", "vegan pizza"]
    packed = client.embeddings.create(model="text-embedding-3-small", input=texts)  # base64 on the wire
    plain = client.embeddings.create(model="text-embedding-3-small", input=texts, encoding_format="float")
    assert len(packed.data[0].embedding) == 1536
    for a, b in zip(packed.data, plain.data):
        assert a.embedding == pytest.approx(b.embedding, abs=1e-6)

    def near(a, b):
        return sum(x * y for x, y in zip(packed.data[a].embedding, packed.data[b].embedding))

    assert near(0, 1) > near(0, 2)
    assert len(client.embeddings.create(model="m", input="x", dimensions=64).data[0].embedding) == 64


def test_models(client):
    assert "gpt-4.1-mini" in [model.id for model in client.models.list()]


def test_errors_are_the_sdks_own(simulator, client):
    simulator.script(api_key="sk-right")
    with pytest.raises(openai.AuthenticationError):
        client.models.list()
    simulator.script(faults=[{"endpoint": "models", "fault": "status", "status": 429, "retry_after_s": 7}])
    with pytest.raises(openai.RateLimitError) as limited:
        client.models.list()
    assert limited.value.response.headers["retry-after"] == "7"
    simulator.script(faults=[{"endpoint": "models", "fault": "hang"}])
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).models.list()


def test_a_refused_parameter_is_named(simulator, client):
    simulator.script(refuses=["seed"])
    messages = [{"role": "user", "content": "hello"}]
    with pytest.raises(openai.BadRequestError, match="'seed'"):
        client.chat.completions.create(model="m", messages=messages, seed=1)
    assert client.chat.completions.create(model="m", messages=messages).choices[0].message.content


def test_comments_that_keep_a_thinking_models_stream_alive_do_not_matter(simulator, client):
    simulator.script(delays={"llm_first_token_ms": 200, "llm_ping_ms": 50}, rules=[{"text": "At nine."}])
    stream = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}], stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == "At nine."


def test_a_stream_cut_in_the_middle_is_noticed(simulator, client):
    simulator.script(faults=[{"endpoint": "chat", "fault": "cut", "after_chunks": 3}])
    stream = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}], stream=True)
    with pytest.raises((httpx.RemoteProtocolError, openai.APIConnectionError)):
        list(stream)
