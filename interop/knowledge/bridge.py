"""HTTP interfaces of databases whose servers no package registry has. Behind them is the official client's own engine: requests are
parsed and judged by its models, and searched by it. Only what LlamaIndex and we ask for is here."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, object]


@contextlib.contextmanager
def serving(port: int, answer: Callable[[str, list[str], dict], Answer]) -> Iterator[str]:
    """A server that gives `answer(method, parts of the path, body)`; one request at a time, as the engines want it."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            with lock:
                try:
                    status, given = answer(self.command, self.path.split("?")[0].strip("/").split("/"), body)
                except ValueError as error:  # the engines raise it for what is missing and for what makes no sense
                    status, given = (404 if "not found" in str(error) else 400), {"status": {"error": str(error)}}
            sent = json.dumps(given).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PUT = do

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def qdrant_bridge(port: int) -> Iterator[str]:
    """Qdrant's REST over `QdrantClient(":memory:")`."""
    from pydantic import TypeAdapter
    from qdrant_client import QdrantClient, models

    client = QdrantClient(":memory:")

    def result(value: object) -> Answer:
        plain = value.model_dump(mode="json") if hasattr(value, "model_dump") else value
        return 200, {"result": plain, "status": "ok", "time": 0.0}

    def answer(method: str, path: list[str], body: dict) -> Answer:
        match (method, *path):
            case ("GET", "collections", name, "exists"):
                return result({"exists": client.collection_exists(name)})
            case ("GET", "collections", name):
                return result(client.get_collection(name))
            case ("PUT", "collections", name):
                asked = models.CreateCollection.model_validate(body)
                return result(client.create_collection(name, vectors_config=asked.vectors, sparse_vectors_config=asked.sparse_vectors))
            case ("PUT", "collections", name, "index"):
                return result({"operation_id": 0, "status": "completed"})
            case ("PUT", "collections", name, "points"):
                points = TypeAdapter(list[models.PointStruct]).validate_python(body["points"])
                return result(client.upsert(name, points))
            case ("POST", "collections", name, "points", "query"):
                asked = models.QueryRequest.model_validate(body)
                found = client.query_points(name, query=asked.query, using=asked.using, query_filter=asked.filter, limit=asked.limit or 10, with_payload=asked.with_payload)
                return result(found)
        return 400, {"status": {"error": f"{method} {path} is not bridged"}}

    with serving(port, answer) as url:
        yield url


@contextlib.contextmanager
def milvus_bridge(port: int, client: object) -> Iterator[str]:
    """Milvus' second REST interface over a client of Milvus Lite; its answers have the shape that Milvus' reference shows."""

    def answer(method: str, path: list[str], body: dict) -> Answer:
        name = body.get("collectionName", "")
        if not client.has_collection(name):
            return 200, {"code": 100, "message": f"can't find collection[database=default][collection={name}]"}
        match (method, *path):
            case ("POST", "v2", "vectordb", "collections", "describe"):
                told = client.describe_collection(name)
                fields = [{"name": field["name"], "params": [{"key": key, "value": str(value)} for key, value in field["params"].items()]} for field in told["fields"]]
                indexes = [client.describe_index(name, index) for index in client.list_indexes(name)]
                indexes = [{"fieldName": index["field_name"], "metricType": index["metric_type"]} for index in indexes]
                return 200, {"code": 0, "data": {"collectionName": name, "fields": fields, "indexes": indexes}}
            case ("POST", "v2", "vectordb", "entities", "search"):
                found = client.search(
                    name, data=body["data"], anns_field=body["annsField"], limit=body["limit"], filter=body.get("filter", ""), output_fields=body["outputFields"],
                )  # fmt: skip
                rows = [{**hit["entity"], "id": hit["id"], "distance": hit["distance"]} for hit in found[0]]
                return 200, {"code": 0, "cost": 0, "data": rows}
        return 404, {"code": 404, "message": f"{method} {path} is not bridged"}

    with serving(port, answer) as url:
        yield url
