"""Stores of every kind of index, made from chance by the oldest and by today's LlamaIndex, asked by Python and by us: the same nodes, in the
same order, with the same scores and texts; and rankings fused alike."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import fresh
import pytest
from conftest import binary
from llama_index.core import Settings, StorageContext, load_index_from_storage
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import MetadataMode, NodeWithScore, TextNode
from llama_index.core.vector_stores import MetadataFilters, VectorStoreQuery
from llama_index.core.vector_stores.types import VectorStoreQueryMode
from llama_index.retrievers.bm25 import BM25Retriever

HERE = Path(__file__).parent
RELEASES = {"newest": sys.executable, "oldest": os.environ.get("LLAMA_INDEX_0_9_PYTHON")}
KINDS = ["vector", "deleted", "list", "tree", "keyword", "summary", "kg", "graph"]
OPERATORS = ["==", "!=", ">", "<", ">=", "<=", "in", "nin", "any", "all", "contains", "text_match", "text_match_insensitive", "is_empty"]
VALUES = [0, 1, 2, 2.5, True, "", "Visit", "visit", "it's", "2", ["a"], ["a", "b"], [1, 2.5], ["Visit", 2], [], None]
# any other by FRESH_SEED; one alone in a run that others wait for
SEED = os.environ.get("FRESH_SEED", "1")


@pytest.fixture(autouse=True)
def no_models(monkeypatch):
    monkeypatch.setattr(Settings, "_embed_model", fresh.Chance())
    monkeypatch.setattr(Settings, "_llm", MockLLM())


@pytest.fixture(scope="module", params=RELEASES)
def stores(request, tmp_path_factory) -> Path:
    python = RELEASES[request.param]
    if not python:
        pytest.skip("LlamaIndex 0.9 is not installed; name an interpreter that has it by LLAMA_INDEX_0_9_PYTHON")
    folder = tmp_path_factory.mktemp(request.param)
    print(f"FRESH_SEED={SEED}")
    subprocess.run([python, str(HERE / "fresh.py"), SEED, str(folder)], check=True, timeout=300)
    return folder


def asked(folder: Path, questions: list[dict]) -> list[dict]:
    done = subprocess.run(
        [str(binary("examples/ask_index")), str(folder)], input="".join(json.dumps(question) + "\n" for question in questions),
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def is_same(ours: list, theirs: list, close: float) -> bool:
    """Where scores are equal, either order is right; of those that end the list, either may stand there."""
    if len(ours) != len(theirs) or any(abs(a[1] - b[1]) > close * max(1, abs(b[1])) for a, b in zip(ours, theirs)):
        return False
    last = theirs[-1][1] if theirs else 0
    for score in {round(hit[1], 6) for hit in theirs}:
        if abs(score - last) <= 2e-6:
            continue
        group = lambda hits: {hit[0] for hit in hits if abs(hit[1] - score) <= 2e-6}  # noqa: E731, B023
        if group(ours) != group(theirs):
            return False
    return True


def any_filter(chance: random.Random) -> dict:
    terms = [{"key": chance.choice(["n", "s", "l", "z", "file_name", "ref_doc_id", "missing"]), "operator": chance.choice(OPERATORS), "value": chance.choice(VALUES)} for _ in range(chance.randint(1, 3))]
    return {"filters": terms, "condition": chance.choice(["and", "or", "not"])}


def test_a_vector_store_is_asked_as_python_asks_it(stores):
    chance = random.Random(SEED + "questions")
    context = StorageContext.from_defaults(persist_dir=str(stores / "vector"))
    questions, theirs = [], []
    while len(questions) < 600:
        vector = [chance.gauss(0, 1) for _ in range(fresh.WIDTH)]
        question = {"vector": vector, "top_k": chance.choice([1, 2, 5, 30, 100])}
        arguments = {}
        if chance.random() < 0.75:
            question["filter"] = any_filter(chance)
        mode = VectorStoreQueryMode.DEFAULT
        if chance.random() < 0.3:
            question["mmr"] = arguments["mmr_threshold"] = chance.choice([0.1, 0.3, 0.5, 0.9, 1.0])
            mode = VectorStoreQueryMode.MMR
        try:
            filters = MetadataFilters.model_validate(question["filter"]) if "filter" in question else None
            query = VectorStoreQuery(query_embedding=vector, similarity_top_k=question["top_k"], filters=filters, mode=mode)
            result = context.vector_store.query(query, **arguments)
        except (TypeError, ValueError, AssertionError, AttributeError):
            continue  # what Python raises for finds nothing here, or is refused
        questions.append(question)
        theirs.append(list(map(list, zip(result.ids, result.similarities))))
    different = []
    for question, ours, expected in zip(questions, asked(stores / "vector", questions), theirs):
        if "mmr" in question:
            # after two that are as good, everything may differ
            same = len(ours["hits"]) == len(expected) and (ours["hits"] == [] or abs(ours["hits"][0][1] - expected[0][1]) < 1e-6)
            ties = len({round(score, 6) for _, score in expected}) < len(expected)
            same = same and (ties or is_same(ours["hits"], expected, 1e-6))
        else:
            same = is_same(ours["hits"], expected, 1e-6)
        if not same:
            different.append((question, ours, expected))
    assert not different, f"{len(different)} of {len(questions)}, seed {SEED}; the first: {different[0]}"


@pytest.mark.parametrize("kind", KINDS)
def test_the_nodes_of_every_kind_are_read_with_their_texts_and_ranked_by_words(stores, kind):
    folder = stores / kind
    if not folder.is_dir():
        pytest.skip("that release had no such index")
    context = StorageContext.from_defaults(persist_dir=str(folder))
    if kind == "graph":
        nodes = [node for node in context.property_graph_store.get_llama_nodes(list(context.property_graph_store.graph.nodes)) if node.text.strip()]
    else:
        index = load_index_from_storage(context, **({"llm": MockLLM()} if kind != "vector" else {}))
        struct = index.index_struct
        ids = {
            "vector": lambda: struct.nodes_dict.values(), "deleted": lambda: struct.nodes_dict.values(), "list": lambda: struct.nodes,
            "tree": lambda: struct.all_nodes.values(), "keyword": lambda: struct.node_ids, "kg": lambda: struct.node_ids,
            "summary": lambda: [node for nodes in struct.summary_id_to_node_ids.values() for node in nodes],
        }[kind]()  # fmt: skip
        nodes = [node for node in context.docstore.get_nodes(list(dict.fromkeys(ids))) if node.get_content(MetadataMode.NONE).strip()]
    (listed,) = asked(folder, [{}])
    ours = {node: (embed, llm) for node, embed, llm in listed["nodes"]}
    theirs = {node.node_id: (node.get_content(MetadataMode.EMBED), node.get_content(MetadataMode.LLM)) for node in nodes}
    assert ours == theirs, f"seed {SEED}"

    chance = random.Random(SEED + kind)
    questions = [" ".join(chance.choice(fresh.WORDS) for _ in range(chance.randint(1, 5))) for _ in range(60)]
    retriever = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=len(nodes))
    answers = asked(folder, [{"words": question, "top_k": len(nodes)} for question in questions])
    for question, answer in zip(questions, answers):
        expected = [[hit.node.node_id, hit.score] for hit in retriever.retrieve(question) if hit.score > 0]
        # float32 on both sides, summed in another order
        assert {i for i, _ in answer["hits"]} == {i for i, _ in expected} and dict_close(answer["hits"], expected), f"{question}, seed {SEED}"


def dict_close(ours: list, theirs: list) -> bool:
    known = dict(map(tuple, theirs))
    return all(abs(score - known[node]) <= 1e-3 * max(known[node], 1e-3) for node, score in ours)


class Canned(BaseRetriever):
    def __init__(self, hits: list) -> None:
        super().__init__()
        self._hits = hits

    def _retrieve(self, _):
        return [NodeWithScore(node=TextNode(id_=name, text=name), score=score) for name, score in self._hits]


def test_rankings_are_fused_as_query_fusion_retriever_fuses_them(stores):
    chance = random.Random(SEED + "fusion")
    questions, theirs = [], []
    for _ in range(400):
        rankings = []
        for _ in range(chance.randint(1, 4)):
            names = chance.sample([f"n{number}" for number in range(12)], chance.randint(0, 8))
            flat = chance.random() < 0.1
            rankings.append(sorted(([name, 0.5 if flat else round(chance.uniform(-1, 9), 4)] for name in names), key=lambda hit: -hit[1]))
        weights = [chance.uniform(0.1, 1) for _ in rankings]
        mode = chance.choice(["reciprocal_rerank", "relative_score", "dist_based_score", "simple"])
        retriever = QueryFusionRetriever([Canned(hits) for hits in rankings], llm=MockLLM(), mode=mode, similarity_top_k=100, num_queries=1, use_async=False, retriever_weights=weights)
        theirs.append([[hit.node.node_id, hit.score] for hit in retriever.retrieve("?")])
        questions.append({"rankings": rankings, "weights": [weight / sum(weights) for weight in weights], "mode": mode})
    for question, answer, expected in zip(questions, asked(stores / "vector", questions), theirs):
        assert len(answer["hits"]) == len(expected), question
        for (ours, score), (their, wanted) in zip(answer["hits"], expected):
            assert ours == their and abs(score - wanted) < 1e-9, (question, answer["hits"], expected, SEED)
