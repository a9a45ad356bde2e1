"""What Antiphon indexes, LlamaIndex loads; what LlamaIndex indexes, Antiphon asks as it does. Vectors are those of MiniLM, which both get
from `antiphon knowledge`: Python has no model here, so its embedding looks up what ours has written and is compared with nothing."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import CACHE, ROOT, binary
from llama_index.core import Document, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.node_parser import HTMLNodeParser, MarkdownNodeParser, SentenceSplitter, SentenceWindowNodeParser
from llama_index.core.schema import MetadataMode

RESTAURANT = ROOT / "examples" / "restaurant" / "knowledge"
MODELS = Path(os.environ.get("ANTIPHON_MODELS", CACHE / "models"))
ENVIRONMENT = {**os.environ, "ANTIPHON_MODELS": str(MODELS)}


class Known(BaseEmbedding):
    """Gives back the vectors of texts that it was told."""

    known: dict[str, list[float]] = {}

    def _get_text_embedding(self, text: str) -> list[float]:
        return self.known[text]

    _get_query_embedding = _get_text_embedding

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self.known[query]


def knowledge(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [str(binary("antiphon")), "knowledge", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    shutil.copytree(RESTAURANT, tmp_path / "documents")
    done = knowledge("build", "documents", "--out", "store", "--chunk-size", 128, "--chunk-overlap", 16, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path


def test_an_index_that_antiphon_built_is_loaded_and_asked_by_llamaindex(built: Path):
    storage = StorageContext.from_defaults(persist_dir=str(built / "store"))
    index = load_index_from_storage(storage, embed_model=Known())
    nodes = list(storage.docstore.docs.values())
    assert len(nodes) > len(list(RESTAURANT.iterdir())) and {node.ref_doc_id for node in nodes} == {file.name for file in RESTAURANT.iterdir()}
    vectors = storage.vector_store.data.embedding_dict
    assert all(abs(math.hypot(*vector) - 1) < 1e-5 for vector in vectors.values())
    # every node finds itself first, by its own vector
    for node in nodes:
        known = Known(known={"question": vectors[node.node_id]})
        retriever = index.as_retriever(similarity_top_k=3, embed_model=known)
        assert retriever.retrieve("question")[0].node.node_id == node.node_id


@pytest.fixture(scope="session")
def oldest() -> str:
    """An interpreter that has LlamaIndex 0.9.48, the last release before it came in parts: LLAMA_INDEX_0_9_PYTHON."""
    python = os.environ.get("LLAMA_INDEX_0_9_PYTHON")
    if python is None:
        pytest.skip("LlamaIndex 0.9 is not installed; name an interpreter that has it by LLAMA_INDEX_0_9_PYTHON")
    return python


@pytest.mark.parametrize("arguments", [[], ["--splitter", "window"]], ids=["sentence", "window"])
def test_the_oldest_llamaindex_loads_it_and_finds_the_same(built: Path, arguments: list, oldest: str):
    done = knowledge("build", "documents", "--out", "store-2", *arguments, cwd=built)
    assert done.returncode == 0, done.stderr
    storage = StorageContext.from_defaults(persist_dir=str(built / "store-2"))
    script = ROOT / "interop" / "knowledge" / "load_with_0_9.py"
    subprocess.run([oldest, str(script), str(built / "store-2"), str(built / "found.json")], check=True, timeout=120, capture_output=True)
    theirs = json.loads((built / "found.json").read_text())
    assert list(theirs) == list(storage.docstore.docs)
    index = load_index_from_storage(storage, embed_model=Known())
    for node in storage.docstore.docs.values():
        known = Known(known={"question": storage.vector_store.data.embedding_dict[node.node_id]})
        hits = index.as_retriever(similarity_top_k=3, embed_model=known).retrieve("question")
        old = theirs[node.node_id]
        assert [hit.node.node_id for hit in hits] == [node for node, _ in old["hits"]]
        assert all(abs(hit.score - score) < 1e-6 for hit, (_, score) in zip(hits, old["hits"]))
        assert (old["text"], old["hash"], old["document"]) == (node.get_content(MetadataMode.EMBED), node.hash, node.ref_doc_id)


@pytest.mark.parametrize(
    ("arguments", "parser"),
    [
        ([], SentenceSplitter(chunk_size=128, chunk_overlap=16)),
        (["--splitter", "markdown"], MarkdownNodeParser()),
        (["--splitter", "window", "--window-size", 2], SentenceWindowNodeParser(window_size=2)),
        (["--splitter", "html"], HTMLNodeParser()),
    ],
    ids=["sentence", "markdown", "window", "html"],
)
def test_its_nodes_and_hashes_are_those_that_llamaindex_makes_of_the_same_documents(built: Path, arguments: list, parser):
    if arguments:
        # a heading that skips a level, code with a heading's mark, and sentences with marks of their own
        (built / "documents/more.md").write_text("Intro. Dr. Who came!\n# A\n\n### B \ntext “quoted.” More?\n```\n# no\n```\n#\tTab\n## C\nlast e.g. this")
        if "html" in arguments:
            for file in (built / "documents").iterdir():
                file.unlink()
            (built / "documents/page.html").write_text("<title>x</title><h1>House</h1><p>We <b>open</b> at <em>nine</em>.<p>And close.</p></p><div>no</div><ul><li>Dogs<li>Cats</ul>\n")
            (built / "documents/other.html").write_text("<p>Grüße<br>now</p><section><h2>A</h2><p>B</section>")
        done = knowledge("build", "documents", "--out", "store-2", *arguments, cwd=built)
        assert done.returncode == 0, done.stderr
    ours = StorageContext.from_defaults(persist_dir=str(built / ("store-2" if arguments else "store"))).docstore
    files = sorted((built / "documents").iterdir())
    documents = [Document(text=file.read_text(), id_=file.name, metadata={"file_name": file.name}) for file in files]
    theirs = parser.get_nodes_from_documents(documents)
    def picture(node):
        return (node.ref_doc_id, node.text, node.start_char_idx, node.end_char_idx, node.hash, node.get_content(MetadataMode.EMBED), node.source_node.hash,
                list(node.metadata.items()), node.excluded_llm_metadata_keys, node.prev_node and node.prev_node.hash, node.next_node and node.next_node.hash)  # fmt: skip
    assert [picture(node) for node in ours.docs.values()] == [picture(node) for node in theirs]
    assert all(ours.get_document_hash(document.id_) == document.hash for document in documents)


def test_what_has_not_changed_is_not_embedded_again_and_what_has_gone_is_deleted(built: Path):
    before = json.loads((built / "store/default__vector_store.json").read_text())["embedding_dict"]
    same = knowledge("refresh", "store", "documents", cwd=built)
    assert same.returncode == 0 and same.stdout.startswith("store: ") and "4 unchanged" in same.stdout, same.stdout
    first, second, *_ = sorted(file.name for file in RESTAURANT.iterdir())
    (built / "documents" / first).write_text("# Parrots\nParrots are not allowed on the tables.\n")
    (built / "documents" / second).unlink()
    (built / "documents/new.md").write_text("The piano is tuned in May.")
    done = knowledge("refresh", "store", "documents", cwd=built)
    assert done.returncode == 0, done.stderr
    assert f"changed  {first}" in done.stdout and f"deleted  {second}" in done.stdout and "added    new.md" in done.stdout
    storage = StorageContext.from_defaults(persist_dir=str(built / "store"))
    load_index_from_storage(storage, embed_model=Known())
    assert set(storage.docstore.get_all_ref_doc_info()) == {file.name for file in (built / "documents").iterdir()}
    after = storage.vector_store.data.embedding_dict
    kept = set(before) & set(after)
    assert kept and all(before[node] == after[node] for node in kept)
    # LlamaIndex sees the same as unchanged
    index = load_index_from_storage(storage, embed_model=Known())
    new = Document(text=(built / "documents/new.md").read_text(), id_="new.md", metadata={"file_name": "new.md"})
    assert index.refresh_ref_docs([new]) == [False]
    gone = knowledge("delete", "store", "new.md", cwd=built)
    assert gone.returncode == 0, gone.stderr
    assert "new.md" not in StorageContext.from_defaults(persist_dir=str(built / "store")).docstore.get_all_ref_doc_info()


def test_a_file_that_was_added_is_the_one_that_the_folder_has(built: Path):
    (built / "documents/new.md").write_text("The piano is tuned in May. " * 60)
    added = knowledge("add", "store", "documents/new.md", cwd=built)
    assert added.returncode == 0 and "added    new.md" in added.stdout, added.stdout + added.stderr
    nodes = StorageContext.from_defaults(persist_dir=str(built / "store")).docstore.get_all_ref_doc_info()["new.md"].node_ids
    assert len(nodes) > 3, "cut as the others were, without saying so again"
    same = knowledge("refresh", "store", built / "documents", cwd=built)
    assert "added" not in same.stdout and "deleted" not in same.stdout and "5 unchanged" in same.stdout, same.stdout


def test_vectors_of_two_models_are_never_mixed_in_one_index(built: Path):
    known = Known(known={"Cats sleep.": [1.0, *[0.0] * 383]})
    VectorStoreIndex.from_documents([Document(text="Cats sleep.", id_="a")], embed_model=known).storage_context.persist(str(built / "theirs"))
    before = {file.name: file.read_bytes() for file in (built / "theirs").iterdir()}
    done = knowledge("add", "theirs", "documents/menu.md", cwd=built)
    assert done.returncode != 0 and "another model" in done.stderr, done.stdout + done.stderr
    assert {file.name: file.read_bytes() for file in (built / "theirs").iterdir()} == before


def test_an_index_that_llamaindex_made_with_other_vectors_is_kept_current_without_touching_them(built: Path):
    """Numbers that Python wrote stay what they are, to the last digit."""
    texts = {"a": "Cats sleep.", "b": "Dogs bark."}
    known = Known(known={text: [0.1 + number, 1e-7, -2 / 3] for number, text in enumerate(texts.values())})
    index = VectorStoreIndex.from_documents([Document(text=text, id_=name) for name, text in texts.items()], embed_model=known)
    index.storage_context.persist(str(built / "theirs"))
    before = StorageContext.from_defaults(persist_dir=str(built / "theirs")).vector_store.data.embedding_dict
    done = knowledge("delete", "theirs", "a", cwd=built)
    assert done.returncode == 0, done.stderr
    storage = StorageContext.from_defaults(persist_dir=str(built / "theirs"))
    left = storage.vector_store.data.embedding_dict
    assert len(left) == 1 and all(before[node] == vector for node, vector in left.items())
    assert [hit.text for hit in load_index_from_storage(storage, embed_model=known).as_retriever().retrieve("Dogs bark.")] == ["Dogs bark."]


def test_a_question_in_other_words_finds_the_passage_of_the_index(built: Path):
    found = knowledge("find", "store", "can my labrador come in", cwd=built)
    assert found.returncode == 0 and "dog" in re.split(r"\n\n(?=\d\.\d{3}  )", found.stdout)[0].lower(), found.stdout
    nothing = knowledge("find", "store", "who won the war of the roses", cwd=built)
    assert "Nothing fits" in nothing.stdout, nothing.stdout


def test_an_index_of_another_model_is_refused_when_the_model_was_named(built: Path):
    known = Known(known={"Cats sleep.": [1.0, 0.0, 0.0]})
    VectorStoreIndex.from_documents([Document(text="Cats sleep.", id_="a")], embed_model=known).storage_context.persist(str(built / "theirs"))
    (built / "antiphon.toml").write_text('name = "a"\n[llm]\nprovider = "builtin"\n[knowledge]\npath = "theirs"\nembedding.provider = "local"\n')
    command = [str(binary("antiphon")), "console", "--config", "antiphon.toml"]
    done = subprocess.run(command, cwd=built, env=ENVIRONMENT, input="", capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0 and "another model" in done.stderr and "3 numbers, not 384" in done.stderr, done.stderr
