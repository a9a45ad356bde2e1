"""An embedding endpoint of somebody else's: what it is asked, how often, and what happens when it refuses."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from conftest import binary, free_port
from embedder import WIDTH, embedded, endpoint

DOCUMENTS = 230


def build(folder: Path, url: str, key: str = "sk-sesame-12345") -> subprocess.CompletedProcess:
    """An index of so many documents."""
    documents = folder / "documents"
    documents.mkdir(exist_ok=True)
    for number in range(DOCUMENTS):
        (documents / f"{number:03}.txt").write_text(f"Document number {number}\nis about item{number}.")
    command = [str(binary("antiphon")), "knowledge", "build", "documents", "--out", "store", "--embedding", "openai", "--model", "words", "--base-url", url]
    env = {**os.environ, "OPENAI_API_KEY": key}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, env=env, check=False)


def vectors(folder: Path) -> dict[str, list[float]]:
    return json.loads((folder / "store" / "default__vector_store.json").read_text())["embedding_dict"]


def test_texts_are_embedded_in_batches_and_a_line_end_is_a_space_as_with_llamaindex(tmp_path):
    with endpoint(free_port()) as (url, asked):
        done = build(tmp_path, url)
    assert done.returncode == 0, done.stderr
    assert all(len(batch) <= 100 for batch in asked) and sum(map(len, asked)) == DOCUMENTS, [len(batch) for batch in asked]
    assert not any("\n" in text for batch in asked for text in batch)
    assert len(vectors(tmp_path)) == DOCUMENTS
    (text,) = [text for batch in asked for text in batch if "item17." in text]
    expected = embedded(text)
    assert any(all(abs(a - b) < 1e-6 for a, b in zip(vector, expected)) for vector in vectors(tmp_path).values())


def test_an_endpoint_that_is_busy_is_asked_again_and_no_text_is_lost(tmp_path):
    busy = {2: (429, {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}}), 4: (503, {"error": {"message": "overloaded"}})}
    with endpoint(free_port(), busy.get) as (url, asked):
        done = build(tmp_path, url)
    assert done.returncode == 0, done.stderr
    assert sum(map(len, asked)) > DOCUMENTS, "nothing was asked again"
    assert asked[1] == asked[2] and asked[3] == asked[4], "the same texts are asked for again"
    assert len(vectors(tmp_path)) == DOCUMENTS and all(len(vector) == WIDTH for vector in vectors(tmp_path).values())


def test_an_endpoint_that_refuses_for_good_is_named_once_and_its_key_is_not_shown(tmp_path):
    refused = (401, {"error": {"message": "Incorrect API key provided: sk-sesame-12345.", "type": "invalid_request_error", "code": "invalid_api_key"}})
    with endpoint(free_port(), lambda _: refused) as (url, asked):
        done = build(tmp_path, url)
    assert done.returncode != 0 and len(asked) == 1, (done.stderr, len(asked))
    assert "sesame" not in done.stderr and "key" in done.stderr, done.stderr
    assert not (tmp_path / "store" / "docstore.json").exists(), "half an index is none"


def test_tokens_of_an_endpoint_are_counted(run, tmp_path):
    knowledge = tmp_path / "knowledge"
    knowledge.mkdir()
    (knowledge / "hours.md").write_text("".join(f"# Section {number}\nWe are about item{number}.\n" for number in range(9)))
    with endpoint(free_port()) as (url, asked):
        (tmp_path / "antiphon.toml").write_text(
            f'name = "desk"\n[llm]\nprovider = "builtin"\n[knowledge]\npath = "knowledge"\nembedding.model = "words"\nembedding.base_url = "{url}"\n'
        )
        process = run("dev", "--port", "0", "--udp-port", "0", env={"OPENAI_API_KEY": "sk-sesame-12345"})
        counted = metric(process, 'antiphon_embedding_tokens_total', 7 * 9)
    assert counted == 7 * 9, (counted, asked)


def metric(process, name: str, wanted: int) -> float:
    """What it is, once it is as high as this; after a minute whatever it is."""
    import time
    import urllib.request

    value = 0.0
    for _ in range(300):
        text = urllib.request.urlopen(f"{process.url}/metrics").read().decode()
        found = [line for line in text.splitlines() if line.startswith(name)]
        value = float(found[0].split()[-1]) if found else 0.0
        if value >= wanted:
            break
        time.sleep(0.2)
    return value
