"""Elasticsearch: no package registry has its server, so what LlamaIndex's own client asks a recorder is compared with what we ask it, and both read
the recorder's answer: the same request, the same nodes, scores and texts."""

from __future__ import annotations

import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import binary
from llama_index.core.schema import MetadataMode, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import FilterCondition, MetadataFilter, MetadataFilters, VectorStoreQuery
from llama_index.core.vector_stores.utils import node_to_metadata_dict

WIDTH = 8


def node(number: int) -> TextNode:
    made = TextNode(id_=f"node{number}", text=f"Passage {number}: Grüße, 東京.", metadata={"file_name": f"{number}.pdf", "year": 2000 + number}, excluded_llm_metadata_keys=["year"])
    made.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id="doc")
    return made


@pytest.fixture
def recorder():
    """Its address, and what was asked of it."""
    asked: list[tuple[str, dict]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            path, _, query = self.path.partition("?")
            if path.endswith("/_search"):
                asked.append((path + ("?" + query if query else ""), json.loads(body)))
                rows = [
                    {"_index": "rag", "_id": f"node{number}", "_score": 0.97 - number / 40,
                     "_source": {"content": node(number).text, "metadata": node_to_metadata_dict(node(number), remove_text=True)}}
                    for number in range(asked[-1][1].get("size", 10) if "size" in asked[-1][1] else 4)
                ]  # fmt: skip
                given = {"took": 1, "timed_out": False, "hits": {"total": {"value": 4}, "hits": rows}}
            elif path.endswith("/_mapping"):
                given = {"rag": {"mappings": {"properties": {"embedding": {"type": "dense_vector", "dims": WIDTH, "index": True, "similarity": "cosine"}}}}}
            else:
                given = {"name": "recorder", "cluster_name": "x", "version": {"number": "8.19.0", "build_flavor": "default"}, "tagline": "You Know, for Search"}
            sent = json.dumps(given).encode()
            self.send_response(200)
            self.send_header("content-type", "application/vnd.elasticsearch+json;compatible-with=8")
            self.send_header("x-elastic-product", "Elasticsearch")
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else sent)

        do_GET = do_POST = do_PUT = do_HEAD = do

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("terms", [[], [("file_name", "1.pdf")], [("file_name", "1.pdf"), ("department", "it's")]], ids=["all", "one", "two"])
def test_it_is_asked_as_llamaindex_asks_it_and_its_answer_is_read_alike(recorder, terms):
    from llama_index.vector_stores.elasticsearch import ElasticsearchStore

    url, asked = recorder
    vector = [number / 10 for number in range(1, WIDTH + 1)]
    filters = MetadataFilters(filters=[MetadataFilter(key=key, value=value) for key, value in terms], condition=FilterCondition.AND) if terms else None
    store = ElasticsearchStore(index_name="rag", es_url=url)
    result = store.query(VectorStoreQuery(query_embedding=vector, similarity_top_k=4, filters=filters))
    question = {"vector": vector, "top_k": 4, "filter": filters and json.loads(filters.model_dump_json())}
    place = {"kind": "elasticsearch", "url": url, "collection": "rag", "secret": "key"}
    done = subprocess.run([str(binary("examples/search_database"))], input=json.dumps(place) + "\n" + json.dumps(question) + "\n", capture_output=True, text=True, timeout=60, check=True)
    (answer,) = map(json.loads, done.stdout.splitlines())
    (their_path, theirs), (our_path, ours) = asked
    assert their_path.split("?")[0] == our_path.split("?")[0] == "/rag/_search"
    close = lambda body: {**body["knn"], "query_vector": [round(number, 5) for number in body["knn"]["query_vector"]]}  # noqa: E731
    assert close(ours) == close(theirs)
    assert ours["size"] == theirs.get("size", 4)
    expected = [[hit.node_id, score, hit.get_content(MetadataMode.LLM)] for hit, score in zip(result.nodes, result.similarities)]
    assert [[hit[0], hit[2]] for hit in answer["hits"]] == [[hit[0], hit[2]] for hit in expected]
    assert all(abs(ours[1] - theirs[1]) < 1e-6 for ours, theirs in zip(answer["hits"], expected))
