"""Encoders: what is read of their folders, and what is written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from glm3edge_convert import convert
from glm3edge_convert.errors import (
    CheckpointError,
    ConfigError,
    ConvertError,
    MissingTensorError,
    NotACheckpointError,
    TensorShapeError,
    TokenizerError,
    UnexpectedTensorError,
    UnknownTypeError,
    UnsupportedArchitectureError,
)
from tests.support.encoders import (
    FFN,
    HEADS,
    HIDDEN,
    LAYERS,
    NUM_UNIGRAMS,
    WORDPIECES,
    make_bert,
    make_xlm_roberta,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    make_bert(tmp_path / "bert")
    return tmp_path / "bert"


@pytest.fixture
def roberta(tmp_path: Path) -> Path:
    make_xlm_roberta(tmp_path / "roberta")
    return tmp_path / "roberta"


def converted(folder: Path, type: str | None = None) -> gguf.GGUFReader:  # noqa: A002
    path = folder.parent / "model.gguf"
    convert(folder, path, quant_type=type, overwrite=True)
    return gguf.GGUFReader(path)


def value(reader: gguf.GGUFReader, key: str) -> Any:
    return reader.fields[key].contents()


def tensors(reader: gguf.GGUFReader) -> dict[str, gguf.ReaderTensor]:
    return {tensor.name: tensor for tensor in reader.tensors}


def edit(path: Path, **fields: Any) -> None:
    """Set fields of a JSON object, or drop them (None)."""
    content = json.loads(path.read_text("utf-8")) | fields
    content = {key: field for key, field in content.items() if field is not None}
    path.write_text(json.dumps(content), "utf-8")


def edit_weights(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")


def test_sizes(bert: Path) -> None:
    reader = converted(bert)
    expected = {
        "general.architecture": "bert",
        "general.name": "bert",
        "bert.context_length": 64,  # as trained, though there are 96 positions
        "bert.embedding_length": HIDDEN,
        "bert.feed_forward_length": FFN,
        "bert.block_count": LAYERS,
        "bert.attention.head_count": HEADS,
        "bert.attention.causal": False,
        "bert.pooling_type": int(gguf.PoolingType.CLS),
        "tokenizer.ggml.token_type_count": 2,
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.normalizer.lowercase": True,
        "tokenizer.ggml.normalizer.strip_accents": True,
        "tokenizer.ggml.bos_token_id": WORDPIECES.index("[CLS]"),
        "tokenizer.ggml.seperator_token_id": WORDPIECES.index("[SEP]"),
        "tokenizer.ggml.unknown_token_id": WORDPIECES.index("[UNK]"),
    }
    assert {key: value(reader, key) for key in expected} == expected
    assert value(reader, "bert.attention.layer_norm_epsilon") == pytest.approx(1e-12)


def test_word_pieces_are_marked_where_words_begin(bert: Path) -> None:
    tokens = value(converted(bert), "tokenizer.ggml.tokens")
    found = {text: tokens[WORDPIECES.index(text)] for text in ("[CLS]", "hello", "##ing", "你")}
    assert found == {"[CLS]": "[CLS]", "hello": "▁hello", "##ing": "ing", "你": "▁你"}


def test_positions_of_roberta_begin_behind_its_padding(roberta: Path) -> None:
    weights = load_file(roberta / "model.safetensors")["embeddings.position_embeddings.weight"]
    reader = converted(roberta)
    table = tensors(reader)["position_embd.weight"].data
    assert value(reader, "bert.context_length") == 64 == len(weights) - 2
    np.testing.assert_array_equal(table, weights[2:])


def test_unigrams_are_in_fairseqs_order(roberta: Path) -> None:
    reader = converted(roberta)
    tokens = value(reader, "tokenizer.ggml.tokens")
    assert len(tokens) == NUM_UNIGRAMS + 2
    assert [*tokens[:4], tokens[-1]] == ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    assert value(reader, "tokenizer.ggml.model") == "t5"
    assert value(reader, "tokenizer.ggml.add_bos_token") is True
    assert value(reader, "tokenizer.ggml.add_eos_token") is True
    assert value(reader, "tokenizer.ggml.precompiled_charsmap")


@pytest.mark.parametrize(
    ("type_name", "query", "attention_value"),
    [
        (None, "F16", "F16"),
        ("f32", "F32", "F32"),
        ("bf16", "BF16", "BF16"),
        ("Q8_0", "Q8_0", "F16"),
    ],
)
def test_types(bert: Path, type_name: str | None, query: str, attention_value: str) -> None:
    reader = converted(bert, type_name)
    found = {name: tensor.tensor_type.name for name, tensor in tensors(reader).items()}
    assert found["blk.0.attn_q.weight"] == found["token_embd.weight"] == query
    assert found["blk.0.attn_v.weight"] == attention_value
    for name in ("position_embd.weight", "token_types.weight", "blk.0.attn_q.bias"):
        assert found[name] == "F32"


def test_smaller_types_are_refused(bert: Path) -> None:
    with pytest.raises(UnknownTypeError, match="f32, f16, bf16, q8_0"):
        converted(bert, "q4_k_m")


def test_the_names_of_models_with_heads_and_of_tensorflow(bert: Path) -> None:
    plain = {name: tensor.data.tobytes() for name, tensor in tensors(converted(bert)).items()}

    def rename(weights: dict[str, Any]) -> None:
        old = dict(weights)
        weights.clear()
        for new_name, tensor in old.items():
            name = new_name.replace("LayerNorm.weight", "LayerNorm.gamma")
            weights["bert." + name.replace("LayerNorm.bias", "LayerNorm.beta")] = tensor
        weights["cls.predictions.bias"] = np.zeros(3, np.float32)

    edit_weights(bert, rename)
    renamed = {name: tensor.data.tobytes() for name, tensor in tensors(converted(bert)).items()}
    assert renamed == plain


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "MEAN"),
        ({"pooling_mode_cls_token": False, "pooling_mode_lasttoken": True}, "LAST"),
        ({"pooling_mode_cls_token": None, "pooling_mode": "mean"}, "MEAN"),
    ],
)
def test_pooling(bert: Path, config: dict[str, Any], expected: str) -> None:
    edit(bert / "1_Pooling" / "config.json", **config)
    assert value(converted(bert), "bert.pooling_type") == int(gguf.PoolingType[expected])


def test_without_modules_vectors_are_means_of_texts_of_any_length(bert: Path) -> None:
    (bert / "modules.json").unlink()
    (bert / "sentence_bert_config.json").unlink()
    reader = converted(bert)
    assert value(reader, "bert.pooling_type") == int(gguf.PoolingType.MEAN)
    assert value(reader, "bert.context_length") == 96


def add_module(folder: Path, **module: Any) -> None:
    path = folder / "modules.json"
    path.write_text(json.dumps([*json.loads(path.read_text("utf-8")), module]), "utf-8")


def add_tensor(folder: Path, name: str) -> None:
    edit_weights(folder, lambda weights: weights.update({name: np.zeros((2, 2), np.float32)}))


POOLING = "1_Pooling/config.json"
PROBLEMS: dict[str, tuple[Callable[[Path], object], type[ConvertError], str]] = {
    "activation": (lambda f: edit(f / "config.json", hidden_act="relu"), ConfigError, "hidden_act"),
    "positions": (
        lambda f: edit(f / "config.json", position_embedding_type="relative_key"),
        ConfigError,
        "position_embedding_type",
    ),
    "heads": (
        lambda f: edit(f / "config.json", num_attention_heads=5),
        ConfigError,
        "must divide hidden_size",
    ),
    "no size": (
        lambda f: edit(f / "config.json", intermediate_size=None),
        ConfigError,
        "intermediate_size",
    ),
    "another size": (
        lambda f: edit(f / "config.json", intermediate_size=128),
        TensorShapeError,
        "160",
    ),
    "two poolings": (
        lambda f: edit(f / POOLING, pooling_mode_mean_tokens=True),
        ConfigError,
        "pooling_mode",
    ),
    "no pooling": (
        lambda f: edit(f / POOLING, pooling_mode_cls_token=False),
        ConfigError,
        "not given",
    ),
    "unknown pooling": (
        lambda f: edit(f / POOLING, pooling_mode_cls_token=False, pooling_mode_max_tokens=True),
        ConfigError,
        "max_tokens",
    ),
    "dense module": (
        lambda f: add_module(f, path="3_Dense", type="sentence_transformers.models.Dense"),
        ConfigError,
        "Dense",
    ),
    **{
        f"module at {path}": (
            lambda f, path=path: add_module(  # type: ignore[misc]
                f, path=path, type="sentence_transformers.models.Pooling"
            ),
            ConfigError,
            "modules",
        )
        for path in ("../x", "/etc", "a/b", "\\\\host\\share", "C:x", "x\n")
    },
    "modules": (lambda f: (f / "modules.json").write_text("{}"), CheckpointError, "array"),
    "limit": (
        lambda f: edit(f / "sentence_bert_config.json", max_seq_length=-1),
        ConfigError,
        "max_seq_length",
    ),
    "missing tensor": (
        lambda f: edit_weights(f, lambda w: w.pop("encoder.layer.1.output.dense.bias")),
        MissingTensorError,
        "encoder.layer.1.output.dense.bias",
    ),
    "another tensor": (
        lambda f: add_tensor(f, "encoder.layer.3.output.dense.weight"),
        UnexpectedTensorError,
        "encoder.layer.3",
    ),
    "no vocabulary": (lambda f: (f / "vocab.txt").unlink(), NotACheckpointError, "vocab.txt"),
    "a token twice": (
        lambda f: (f / "vocab.txt").write_text("\n".join([*WORDPIECES[:-1], "hello"])),
        TokenizerError,
        "twice",
    ),
    "no special token": (
        lambda f: (f / "vocab.txt").write_text("\n".join(WORDPIECES[5:])),
        TokenizerError,
        "lacks",
    ),
    "too many tokens": (
        lambda f: (f / "vocab.txt").write_text("\n".join([*WORDPIECES, "more"])),
        TokenizerError,
        "vocab_size",
    ),
    "no UTF-8": (
        lambda f: (f / "vocab.txt").write_bytes(b"\xff\xfe"),
        TokenizerError,
        "UTF-8",
    ),
    "Chinese words": (
        lambda f: edit(f / "tokenizer_config.json", tokenize_chinese_chars=False),
        TokenizerError,
        "Chinese",
    ),
    "another normalizer": (
        lambda f: (f / "tokenizer.json").write_text('{"normalizer": {"type": "NFKC"}}'),
        TokenizerError,
        "NFKC",
    ),
    "another model": (
        lambda f: edit(f / "config.json", model_type="distilbert"),
        UnsupportedArchitectureError,
        "distilbert",
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_problems(bert: Path, name: str) -> None:
    break_it, error, message = PROBLEMS[name]
    break_it(bert)
    with pytest.raises(error, match=message) as caught:
        converted(bert)
    assert "\n" not in str(caught.value)
    assert not (bert.parent / "model.gguf").exists()


def replace_unigrams(folder: Path) -> None:
    make_xlm_roberta(folder.parent / "other", num_unigrams=112)
    name = "sentencepiece.bpe.model"
    (folder / name).write_bytes((folder.parent / "other" / name).read_bytes())


ROBERTA_PROBLEMS: dict[str, tuple[Callable[[Path], object], type[ConvertError], str]] = {
    "no model": (
        lambda f: (f / "sentencepiece.bpe.model").unlink(),
        NotACheckpointError,
        "sentencepiece.bpe.model",
    ),
    "no model file": (
        lambda f: (f / "sentencepiece.bpe.model").write_bytes(b"\xff" * 99),
        TokenizerError,
        "not a SentencePiece model",
    ),
    "another vocabulary": (
        replace_unigrams,
        TokenizerError,
        "makes 114 tokens, and config.json's vocab_size is 118",
    ),
    "too few positions": (
        lambda f: edit(f / "config.json", max_position_embeddings=2),
        ConfigError,
        "max_position_embeddings",
    ),
}


@pytest.mark.parametrize("name", ROBERTA_PROBLEMS)
def test_problems_of_roberta(roberta: Path, name: str) -> None:
    break_it, error, message = ROBERTA_PROBLEMS[name]
    break_it(roberta)
    with pytest.raises(error, match=message):
        converted(roberta)


def test_a_vocabulary_in_tokenizer_json(bert: Path) -> None:
    plain = value(converted(bert), "tokenizer.ggml.tokens")
    (bert / "vocab.txt").unlink()
    model = {
        "type": "WordPiece",
        "continuing_subword_prefix": "##",
        "vocab": {text: index for index, text in enumerate(WORDPIECES)},
    }
    normalizer = {"type": "BertNormalizer", "lowercase": False, "strip_accents": None}
    content = {"model": model, "normalizer": normalizer}
    (bert / "tokenizer.json").write_text(json.dumps(content), "utf-8")
    reader = converted(bert)
    assert value(reader, "tokenizer.ggml.tokens") == plain
    assert value(reader, "tokenizer.ggml.normalizer.lowercase") is False
    assert value(reader, "tokenizer.ggml.normalizer.strip_accents") is False
