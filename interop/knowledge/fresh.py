"""Makes stores of every kind of index from chance, with whatever LlamaIndex runs it: 0.9 and today's. `fresh.py SEED FOLDER`."""

from __future__ import annotations

import random
import sys
from pathlib import Path

try:
    from llama_index.core import (
        Document, DocumentSummaryIndex, KnowledgeGraphIndex, Settings, SimpleKeywordTableIndex, StorageContext, SummaryIndex, TreeIndex, VectorStoreIndex,
    )  # fmt: skip
    from llama_index.core.embeddings import BaseEmbedding
    from llama_index.core.llms import MockLLM
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.core.schema import ImageNode, IndexNode, NodeRelationship, RelatedNodeInfo, TextNode

    IS_OLD = False
except ImportError:
    from llama_index import (
        Document, DocumentSummaryIndex, KnowledgeGraphIndex, ServiceContext, SimpleKeywordTableIndex, StorageContext, SummaryIndex, TreeIndex, VectorStoreIndex,
    )  # fmt: skip
    from llama_index.embeddings.base import BaseEmbedding
    from llama_index.llms import MockLLM
    from llama_index.node_parser import SentenceSplitter
    from llama_index.schema import ImageNode, IndexNode, NodeRelationship, RelatedNodeInfo, TextNode

    IS_OLD = True

WIDTH = 8
WORDS = "opening hours kitchen Grüße naïve 東京 price dog terrace running runs skies e-mail snake_case 6,50 it's \"quoted\" {brace} Straße tab\tin".split(" ")


class Chance(BaseEmbedding):
    """A vector that a text decides."""

    def _get_text_embedding(self, text: str) -> list[float]:
        chance = random.Random(text)
        return [chance.gauss(0, 1) for _ in range(WIDTH)]

    _get_query_embedding = _get_text_embedding

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


def text(chance: random.Random) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(chance.randint(1, 40))) + chance.choice(["", ".", "\n\nMore.", "  ", "!\n"])


def metadata(chance: random.Random) -> dict:
    values = {
        "n": lambda: chance.choice([0, 1, 2, 3, 2.5, -1, 1e-5, 1e16, True, False, 2**63]), "s": lambda: chance.choice(["", "Visit", "visit us", "it's", "a\nb", "東京", "2"]),
        "l": lambda: chance.choice([[], ["a"], ["a", "b"], [1, 2.5], ["2", None], [["a"]]]), "z": lambda: None, "d": lambda: {"k": [1, "x", {"y": None}]},
        "file_name": lambda: chance.choice(["a.pdf", "b.md"]),
    }  # fmt: skip
    keys = [key for key in values if chance.random() < 0.6]
    chance.shuffle(keys)
    return {key: values[key]() for key in keys}


def nodes(chance: random.Random, count: int) -> list:
    made = []
    for number in range(count):
        kind = chance.choice([TextNode, TextNode, TextNode, IndexNode, ImageNode])
        more = {"index_id": f"i{number}"} if kind is IndexNode else {"image": "aGk=", "image_path": "/x.png"} if kind is ImageNode else {}
        known = metadata(chance)
        hidden = lambda: [key for key in known if chance.random() < 0.3]  # noqa: E731
        node = kind(id_=f"node{number}", text=text(chance), metadata=known, excluded_embed_metadata_keys=hidden(), excluded_llm_metadata_keys=hidden(), **more)
        if chance.random() < 0.3:
            node.metadata_template = "<{key}={value}>"
            node.text_template = "{metadata_str} | {content}"
        if chance.random() < 0.8:
            node.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=f"doc{number % 5}")
        made.append(node)
    return made


def make(seed: str, folder: Path) -> None:
    chance = random.Random(seed)
    embedding, llm = Chance(), MockLLM(max_tokens=12)
    if IS_OLD:
        context = {"service_context": ServiceContext.from_defaults(llm=llm, embed_model=embedding, node_parser=SentenceSplitter(chunk_size=32, chunk_overlap=0))}
    else:
        Settings.embed_model, Settings.llm, context = embedding, llm, {}
        Settings.node_parser = SentenceSplitter(chunk_size=32, chunk_overlap=0)
    documents = [Document(id_=f"document{number}", text=text(chance), metadata={"file_name": f"{number}.md"}) for number in range(5)]
    # vectors of no length and equal ones, too
    same = nodes(chance, 40)
    same[7].text = same[8].text = same[9].text

    def kept(name: str, index: object) -> None:
        index.storage_context.persist(str(folder / name))

    kept("vector", VectorStoreIndex(same, **context))
    deleted = VectorStoreIndex(nodes(chance, 12), **context)
    for number in range(2):
        deleted.delete_ref_doc(f"doc{number}", delete_from_docstore=number == 0)
    kept("deleted", deleted)
    kept("list", SummaryIndex(nodes(chance, 12), **context))
    kept("tree", TreeIndex(nodes(chance, 12), num_children=3, **context))
    kept("keyword", SimpleKeywordTableIndex(nodes(chance, 12), **context))
    kept("summary", DocumentSummaryIndex.from_documents(documents, **context))
    triplets = lambda _: [("a", "knows", "b")]  # noqa: E731
    kept("kg", KnowledgeGraphIndex(nodes(chance, 6), kg_triplet_extract_fn=triplets, storage_context=StorageContext.from_defaults(), **context))
    if not IS_OLD:
        from llama_index.core import PropertyGraphIndex
        from llama_index.core.indices.property_graph import ImplicitPathExtractor

        kept("graph", PropertyGraphIndex(nodes(chance, 6), kg_extractors=[ImplicitPathExtractor()]))


if __name__ == "__main__":
    make(sys.argv[1], Path(sys.argv[2]))
