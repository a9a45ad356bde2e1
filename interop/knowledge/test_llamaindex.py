"""What LlamaIndex has made is read as it is: an index that the real llama-index-core persists here answers a caller, and
passages are ranked as llama-index-retrievers-bm25 ranks them. No network and no model: the embedding is a mock."""

from __future__ import annotations

import importlib
import inspect
import json
import random
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, binary
from llama_index.core import Document, Settings, SimpleDirectoryReader, StorageContext, SummaryIndex, VectorStoreIndex, load_index_from_storage
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.retrievers.bm25 import BM25Retriever

RESTAURANT = ROOT / "examples" / "restaurant" / "knowledge"
CONFIGURATION = """
name = "desk"
greeting = "Good day."

[llm]
provider = "builtin"

[knowledge]
path = "storage"
"""
TOP_K = 5


@pytest.fixture(autouse=True)
def no_models(monkeypatch):
    monkeypatch.setattr(Settings, "_embed_model", MockEmbedding(embed_dim=8))
    monkeypatch.setattr(Settings, "_llm", MockLLM())


def asked(folder: Path, *questions: str) -> list[str]:
    """What the agent of this folder answers to what is typed."""
    done = subprocess.run(
        [str(binary("antiphon")), "console", "--config", "antiphon.toml"],
        cwd=folder, input="\n".join(questions) + "\n", capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    answers = [line.removeprefix("agent: ") for line in done.stdout.splitlines() if line.startswith("agent: ")]
    assert answers[0] == "Good day." and len(answers) == 1 + len(questions), done.stdout + done.stderr
    return answers[1:]


@pytest.mark.parametrize("index_class", [VectorStoreIndex, SummaryIndex])
def test_an_index_that_llamaindex_persisted_answers_a_caller(index_class, tmp_path):
    documents = SimpleDirectoryReader(str(RESTAURANT)).load_data()
    index = index_class.from_documents(documents, transformations=[SentenceSplitter(chunk_size=128, chunk_overlap=0)])
    index.storage_context.persist(str(tmp_path / "storage"))
    (tmp_path / "antiphon.toml").write_text(CONFIGURATION)
    parking, dogs, nothing = asked(tmp_path, "where can I park", "may I bring my dog", "who won the war of the roses")
    assert "car park" in parking.lower() or "garage" in parking.lower(), parking
    assert "dog" in dogs.lower(), dogs
    assert "did not find" in nothing, nothing


def test_an_index_is_not_changed_by_being_read(tmp_path):
    storage = tmp_path / "storage"
    documents = [Document(text="The weather in Paris is mild, with a little rain.", metadata={"file_name": "weather.txt"})]
    VectorStoreIndex.from_documents(documents).storage_context.persist(str(storage))
    (tmp_path / "antiphon.toml").write_text(CONFIGURATION)
    before = {file.name: file.read_bytes() for file in storage.iterdir()}
    (answer,) = asked(tmp_path, "what is the weather in paris")
    assert "mild" in answer, answer
    assert {file.name: file.read_bytes() for file in storage.iterdir()} == before
    loaded = load_index_from_storage(StorageContext.from_defaults(persist_dir=str(storage)))
    assert len(loaded.docstore.docs) == 1


def test_what_was_deleted_from_an_index_is_not_told_to_callers(tmp_path):
    texts = {"old": "A haircut costs 20 euros.", "new": "A haircut costs 35 euros.", "hours": "The salon opens at nine."}
    index = VectorStoreIndex.from_documents([Document(text=text, id_=name) for name, text in texts.items()])
    index.delete_ref_doc("old")
    assert any("20 euros" in node.get_content() for node in index.docstore.docs.values()), "LlamaIndex keeps the node"
    index.storage_context.persist(str(tmp_path / "storage"))
    (tmp_path / "antiphon.toml").write_text(CONFIGURATION)
    (answer,) = asked(tmp_path, "what does a haircut cost")
    assert "35 euros" in answer and "20 euros" not in answer, answer


def test_of_two_indexes_in_one_folder_the_configuration_names_one(tmp_path):
    storage = StorageContext.from_defaults()
    for name, price in [("salon-a", 20), ("salon-b", 35)]:
        index = VectorStoreIndex.from_documents([Document(text=f"A haircut costs {price} euros.")], storage_context=storage)
        index.set_index_id(name)
    storage.persist(str(tmp_path / "storage"))
    (tmp_path / "antiphon.toml").write_text(CONFIGURATION)
    command = [str(binary("antiphon")), "console", "--config", "antiphon.toml"]
    done = subprocess.run(command, cwd=tmp_path, input="", capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0 and "salon-a" in done.stderr and "salon-b" in done.stderr and "index_id" in done.stderr, done.stderr
    (tmp_path / "antiphon.toml").write_text(CONFIGURATION + 'index_id = "salon-b"\n')
    (answer,) = asked(tmp_path, "what does a haircut cost")
    assert "35 euros" in answer and "20 euros" not in answer, answer


def handbook() -> list[Document]:
    """English that is on every machine that runs these tests: what Python's modules say about themselves."""
    documents = [Document(text=file.read_text(), metadata={"file_name": file.name}) for file in sorted(RESTAURANT.iterdir())]
    for name in ["argparse", "asyncio", "calendar", "datetime", "decimal", "email.message", "heapq", "json", "logging", "pathlib", "random", "socket", "statistics", "textwrap"]:
        module = importlib.import_module(name)
        texts = [inspect.getdoc(module)] + [inspect.getdoc(member) for _, member in inspect.getmembers(module)]
        text = "\n\n\n".join(dict.fromkeys(text for text in texts if text and len(text) > 80))
        documents.append(Document(text=text, metadata={"file_name": f"{name}.txt", "pages": 3, "tags": ["python", "it's"], "checked": True}))
    # words that are cut up differently by careless hands
    documents.append(Document(text="Grüße aus Köln: Crème brûlée kostet 6,50 €. Οδυσσεύς, Straße, ÉCLAIR, naïve; snake_case x1 b2b don't e-mail.\n日本語 のメニュー 1st 2nd."))
    return documents


QUESTIONS = [
    "when are you open on sunday", "Do you have anything without gluten?", "may I bring my dog", "crème brûlée", "οδυσσεύσ ΟΔΥΣΣΕΎΣ", "STRASSE straße",
    "snake_case x1 b2b", "don't", "日本語 のメニュー", "the of and", "zzz qqq", "the the dog dog", "6,50", "running runs ran runner", "generously skies dying happily news",
]  # fmt: skip


def test_passages_are_ranked_as_bm25_retriever_ranks_them(tmp_path):
    nodes = SentenceSplitter(chunk_size=96, chunk_overlap=16).get_nodes_from_documents(handbook())
    assert len(nodes) > 400
    VectorStoreIndex(nodes).storage_context.persist(str(tmp_path / "storage"))
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    sentences = [" ".join(chance.choice(nodes).text.split()[:chance.randint(2, 14)]) for _ in range(200)]
    words = [" ".join(chance.choice(chance.choice(nodes).text.split()) for _ in range(4)) for _ in range(200)]
    questions = [question for question in QUESTIONS + sentences + words if question.strip()]
    done = subprocess.run(
        [str(binary("examples/search_index")), str(tmp_path / "storage"), str(TOP_K)],
        input="\n".join(questions) + "\n", capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert not done.stderr, done.stderr
    ours = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["question"] for line in ours] == questions

    retriever = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=TOP_K + 1)
    different = []
    for question, line in zip(questions, ours):
        theirs = [(hit.node.node_id, hit.score) for hit in retriever.retrieve(question) if hit.score > 0]
        if not same_ranking(line["hits"], theirs):
            different.append((question, line["hits"], theirs))
    assert not different, f"{len(different)} of {len(questions)}; the first: {different[0]}"


def same_ranking(ours: list, theirs: list) -> bool:
    """The same nodes in the same order with the same scores; where scores are equal, either order is right (theirs depends on
    numpy's partial sort), and one more is asked of them so that a tie across the end is seen."""
    if len(ours) != min(len(theirs), TOP_K) or any(abs(a[1] - b[1]) > 1e-3 * b[1] for a, b in zip(ours, theirs)):
        return False
    at = 0
    while at < len(ours):
        end = at
        while end < len(theirs) and abs(theirs[end][1] - theirs[at][1]) < 1e-4:
            end += 1
        mine, other = {node for node, _ in ours[at : min(end, TOP_K)]}, {node for node, _ in theirs[at:end]}
        # a tie that goes on beyond what was asked of them cannot be compared
        if end < len(theirs) and not mine <= other:
            return False
        at = end
    return True
