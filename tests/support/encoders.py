"""Small random encoders in the layout that sentence-transformers writes, the same each time."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
from numpy.typing import NDArray
from safetensors.numpy import save_file

HIDDEN, FFN, LAYERS, HEADS = 64, 160, 3, 4
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_CHINESE = "你好世界北京天气怎么样请用几句话介绍这个地方的历史风景和美食文本向量模型"
_MARKS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~。，！？、；：“”‘’（）《》…—￥"
_WORDS = ("hello", "world", "the", "model", "vector", "text")
_ENDINGS = ("##ing", "##ed")
WORDPIECES = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *_LETTERS,
    *(f"##{letter}" for letter in _LETTERS),
    *dict.fromkeys(_CHINESE),
    *_MARKS,
    *_WORDS,
    *_ENDINGS,
)

_CORPUS = [
    "你好，世界！今天北京的天气怎么样？",
    "The quick brown fox jumps over the lazy dog, and the dog sleeps.",
    "请用几句话介绍这个地方的历史、风景和美食，并说明怎样去那里最方便。",
    "Vectors of texts are compared by the cosine of the angle between them.",
    "文本向量模型把句子变成一串数字。",
    "0123456789 !?,.;:()[]",
]
NUM_UNIGRAMS = 116


def make_bert(folder: Path, *, pooling: str = "cls") -> None:
    """BERT with a vocabulary of WORDPIECES, as bge-zh is made."""
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(WORDPIECES) + "\n", "utf-8")
    settings = {"do_lower_case": True, "tokenizer_class": "BertTokenizer"}
    _write_json(folder / "tokenizer_config.json", settings)
    sizes = {"vocab_size": len(WORDPIECES), "max_position_embeddings": 96, "type_vocab_size": 2}
    _write_model(folder, model_type="bert", pad_token_id=0, layer_norm_eps=1e-12, **sizes)
    _write_modules(folder, pooling=pooling, max_seq_length=64)


def make_xlm_roberta(folder: Path, *, num_unigrams: int = NUM_UNIGRAMS) -> None:
    """XLM-RoBERTa with unigrams of a small corpus, as bge-m3 is made."""
    sizes = _write_unigrams(folder, num_unigrams)
    _write_model(folder, model_type="xlm-roberta", pad_token_id=1, layer_norm_eps=1e-5, **sizes)
    _write_modules(folder, pooling="cls", max_seq_length=8192)


def make_reranker(folder: Path, *, seed: int = 0) -> None:
    """XLM-RoBERTa with a classification head of one label, as bge-reranker is made."""
    sizes = _write_unigrams(folder, NUM_UNIGRAMS)
    head = {
        "architectures": ["XLMRobertaForSequenceClassification"],
        "id2label": {"0": "LABEL_0"},
        "label2id": {"LABEL_0": 0},
    }
    config = {"model_type": "xlm-roberta", "pad_token_id": 1, "layer_norm_eps": 1e-5}
    _write_model(folder, seed=seed, **config, **sizes, **head)


def _write_unigrams(folder: Path, num_unigrams: int) -> dict[str, int]:
    """Write a tokenizer; returns what config.json says of it."""
    folder.mkdir(parents=True)
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(_CORPUS) + "\n", "utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=str(folder / "sentencepiece.bpe"),
        model_type="unigram",
        vocab_size=num_unigrams,
        character_coverage=1.0,
        minloglevel=2,
    )
    return {
        "vocab_size": num_unigrams + 2,
        "max_position_embeddings": 66,
        "type_vocab_size": 1,
    }


def _write_model(folder: Path, *, seed: int = 3, **config: Any) -> None:
    config = {
        "architectures": ["Model"],
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": FFN,
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",
        **config,
    }
    _write_json(folder / "config.json", config)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config["vocab_size"], HIDDEN),
        "embeddings.position_embeddings.weight": (config["max_position_embeddings"], HIDDEN),
        "embeddings.token_type_embeddings.weight": (config["type_vocab_size"], HIDDEN),
        **_norm("embeddings.LayerNorm"),
    }
    if "id2label" not in config:
        shapes |= _dense("pooler.dense", HIDDEN, HIDDEN)
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            shapes |= _dense(f"{at}.attention.self.{part}", HIDDEN, HIDDEN)
        shapes |= _dense(f"{at}.attention.output.dense", HIDDEN, HIDDEN)
        shapes |= _norm(f"{at}.attention.output.LayerNorm")
        shapes |= _dense(f"{at}.intermediate.dense", FFN, HIDDEN)
        shapes |= _dense(f"{at}.output.dense", HIDDEN, FFN)
        shapes |= _norm(f"{at}.output.LayerNorm")
    if "id2label" in config:
        shapes = {f"roberta.{name}": shape for name, shape in shapes.items()}
        shapes |= _dense("classifier.dense", HIDDEN, HIDDEN)
        shapes |= _dense("classifier.out_proj", 1, HIDDEN)
    rng = np.random.default_rng(seed)
    save_file(
        {name: _values(rng, name, shape) for name, shape in shapes.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )


def _values(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Multiples of 1/1024, which are the same in f16: what is measured is the arithmetic."""
    spread = 0.02 if len(shape) == 1 else 0.12
    if name == "classifier.out_proj.weight":
        spread = 1  # logits from -5 to 5
    values = np.round(rng.uniform(-1, 1, shape) * 1024 * spread * 2) / 1024
    return (values + ("LayerNorm.weight" in name)).astype(np.float32)


def _norm(name: str) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (HIDDEN,), f"{name}.bias": (HIDDEN,)}


def _dense(name: str, num_rows: int, num_columns: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (num_rows, num_columns), f"{name}.bias": (num_rows,)}


def _write_modules(folder: Path, *, pooling: str, max_seq_length: int) -> None:
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (path, kind) in enumerate(kinds)
    ]
    _write_json(folder / "modules.json", modules)
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": max_seq_length})
    (folder / "1_Pooling").mkdir()
    modes = {"cls": "cls_token", "mean": "mean_tokens"}
    pooling_config = {f"pooling_mode_{mode}": name == pooling for name, mode in modes.items()}
    config = {"word_embedding_dimension": HIDDEN, **pooling_config}
    _write_json(folder / "1_Pooling" / "config.json", config)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2), "utf-8")
