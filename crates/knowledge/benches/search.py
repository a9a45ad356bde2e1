"""The same in Python: LlamaIndex's SimpleVectorStore among 10,000 vectors of 384 numbers, in processor time."""

import random
import time

from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import VectorStoreQuery

COUNT, WIDTH = 10_000, 384
chance = random.Random(1)
store = SimpleVectorStore()
source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id="d")}
store.add([TextNode(id_=str(number), text="x", relationships=source, embedding=[chance.gauss(0, 1) for _ in range(WIDTH)]) for number in range(COUNT)])
times = []
for _ in range(10):
    query = VectorStoreQuery(query_embedding=[chance.gauss(0, 1) for _ in range(WIDTH)], similarity_top_k=10)
    began = time.process_time()
    store.query(query)
    times.append(time.process_time() - began)
print(f"LlamaIndex, vectors, 10k x {WIDTH}: p50 {1000 * sorted(times)[5]:.0f} ms cpu")
