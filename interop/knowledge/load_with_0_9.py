"""Run by a Python that has LlamaIndex 0.9: loads an index, and asks it with each node's own vector."""
import json
import sys

from llama_index import ServiceContext, StorageContext, load_index_from_storage
from llama_index.embeddings.base import BaseEmbedding
from llama_index.schema import MetadataMode, QueryBundle


class Nothing(BaseEmbedding):
    def _get_text_embedding(self, text):
        raise AssertionError(f"embedded again: {text}")

    _get_query_embedding = _get_text_embedding

    async def _aget_query_embedding(self, query):
        raise AssertionError(query)


storage = StorageContext.from_defaults(persist_dir=sys.argv[1])
index = load_index_from_storage(storage, service_context=ServiceContext.from_defaults(llm=None, embed_model=Nothing()))
retriever = index.as_retriever(similarity_top_k=3)
found = {}
for node in storage.docstore.docs.values():
    # a node finds itself
    hits = retriever.retrieve(QueryBundle(query_str="?", embedding=storage.vector_store.get(node.node_id)))
    found[node.node_id] = {
        "hits": [[hit.node.node_id, hit.score] for hit in hits],
        "text": node.get_content(MetadataMode.EMBED),
        "hash": node.hash,
        "document": node.ref_doc_id,
    }
with open(sys.argv[2], "w") as file:
    json.dump(found, file)
