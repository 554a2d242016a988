"""Random checkpoints of ChatGLM3 in the Hugging Face layout.

A folder holds config.json and tokenizer_config.json with the official fields, tokenizer.model, and
safetensors shards with their index. The weights are random: the logits are well spread and depend
on every tensor, but the text is noise. The same arguments give the same bytes.
"""

import io
import math
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from glm3edge_convert.checkpoint import safetensors
from glm3edge_convert.errors import OutputError
from glm3edge_convert.synth import corpus
from glm3edge_convert.synth.layout import write_configs, write_json
from glm3edge_convert.tokenizer.sentencepiece import parse_model
from glm3edge_convert.tokenizer.vocab import SPECIAL_TOKENS

NUM_PIECES = 1600
VOCAB_MULTIPLE = 64
# Values drawn for a tensor; larger ones repeat them. A prime, so that no two rows are alike.
BLOCK_VALUES = 4_194_301
TRAINER_OPTIONS: dict[str, Any] = {
    "model_type": "bpe",
    "byte_fallback": True,
    "split_digits": True,
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
    "unk_id": 0,
    "bos_id": 1,
    "eos_id": 2,
    "pad_id": -1,
    "num_threads": 1,
    "minloglevel": 2,
}
"""SentencePiece's options for a tokenizer of ChatGLM3's kind, whose training is repeatable."""
DTYPES = {"float16": "F16", "bfloat16": "BF16", "float32": "F32"}


@dataclass(frozen=True)
class Shape:
    """Sizes of a model, named as in config.json.

    ``rope_ratio`` None leaves the key out; ``padded_vocab_size`` None stands for the tokenizer's
    size, rounded up to a multiple of 64.
    """

    hidden_size: int
    num_layers: int
    num_heads: int
    num_groups: int
    kv_channels: int
    ffn_hidden_size: int
    seq_length: int
    rope_ratio: float | None = None
    padded_vocab_size: int | None = None


SHAPES = {
    "tiny": Shape(256, 4, 4, 2, 64, 640, 1024),
    "6b": Shape(4096, 28, 32, 2, 128, 13696, 8192, None, 65024),
}
NUM_SHARDS = {"tiny": 2, "6b": 7}


@dataclass(frozen=True)
class _Tensor:
    """A tensor to make; its values are ``mean`` plus normal noise of deviation ``std``."""

    name: str
    shape: tuple[int, ...]
    std: float
    mean: float = 0.0

    @property
    def num_values(self) -> int:
        return math.prod(self.shape)


def make_checkpoint(
    out: Path,
    *,
    shape: Shape,
    tokenizer: Path | None = None,
    seed: int = 0,
    dtype: str = "float16",
    num_shards: int = 2,
) -> None:
    """Write a random checkpoint into the new or empty folder ``out``.

    Args:
        out: the folder.
        shape: the model's sizes.
        tokenizer: a tokenizer.model to use; without one a small bilingual one is trained.
        seed: of the weights.
        dtype: one of ``DTYPES``.
        num_shards: number of safetensors files.

    Raises:
        OutputError: ``out`` is not empty or cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(out, "it exists and is not an empty folder; choose another name")
    part = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    try:
        part.mkdir(parents=True)
        _fill(part, shape, tokenizer, seed=seed, dtype=dtype, num_shards=num_shards)
        if out.exists():
            out.rmdir()
        part.rename(out)
    except OSError as exc:
        raise OutputError(out, f"{exc.strerror or exc}; check the folder") from exc
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _fill(
    folder: Path, shape: Shape, tokenizer: Path | None, *, seed: int, dtype: str, num_shards: int
) -> None:
    model = tokenizer.read_bytes() if tokenizer else train_tokenizer()
    (folder / "tokenizer.model").write_bytes(model)
    shape = replace(shape, padded_vocab_size=shape.padded_vocab_size or _vocab_size(model))
    write_configs(folder, _sizes(shape, dtype), name="glm3edge/synthetic")
    _write_shards(folder, list(_tensors(shape)), seed, DTYPES[dtype], num_shards)


def train_tokenizer() -> bytes:
    """A SentencePiece model of NUM_PIECES pieces with ChatGLM3's settings; some two seconds."""
    import sentencepiece  # noqa: PLC0415  (not needed with a given tokenizer)

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=corpus.sentences(),
        model_writer=model,
        vocab_size=NUM_PIECES,
        character_coverage=0.9995,
        **TRAINER_OPTIONS,
    )
    return model.getvalue()


def _vocab_size(model: bytes) -> int:
    num_tokens = len(parse_model(model).pieces) + len(SPECIAL_TOKENS)
    return math.ceil(num_tokens / VOCAB_MULTIPLE) * VOCAB_MULTIPLE


def _tensors(shape: Shape) -> Iterator[_Tensor]:
    """All tensors in the official order, scaled to keep activations near 1 in every layer."""
    hidden, ffn = shape.hidden_size, shape.ffn_hidden_size
    vocab = shape.padded_vocab_size or 0
    qkv = (shape.num_heads + 2 * shape.num_groups) * shape.kv_channels
    root = "transformer"
    yield _Tensor(f"{root}.embedding.word_embeddings.weight", (vocab, hidden), 0.5)
    yield _Tensor(f"{root}.rotary_pos_emb.inv_freq", (shape.kv_channels // 4,), 0.02, 0.5)
    for index in range(shape.num_layers):
        layer = f"{root}.encoder.layers.{index}"
        attention, mlp = f"{layer}.self_attention", f"{layer}.mlp"
        yield _Tensor(f"{layer}.input_layernorm.weight", (hidden,), 0.1, 1.0)
        yield _Tensor(f"{attention}.query_key_value.weight", (qkv, hidden), hidden**-0.5)
        yield _Tensor(f"{attention}.query_key_value.bias", (qkv,), 0.5)
        yield _Tensor(f"{attention}.dense.weight", (hidden, hidden), hidden**-0.5)
        yield _Tensor(f"{layer}.post_attention_layernorm.weight", (hidden,), 0.1, 1.0)
        yield _Tensor(f"{mlp}.dense_h_to_4h.weight", (2 * ffn, hidden), hidden**-0.5)
        yield _Tensor(f"{mlp}.dense_4h_to_h.weight", (hidden, ffn), ffn**-0.5)
    yield _Tensor(f"{root}.encoder.final_layernorm.weight", (hidden,), 0.1, 1.0)
    yield _Tensor(f"{root}.output_layer.weight", (vocab, hidden), 2 * hidden**-0.5)


def _write_shards(
    folder: Path, tensors: Sequence[_Tensor], seed: int, dtype: str, num_shards: int
) -> None:
    file_of_tensor: dict[str, str] = {}
    rng = np.random.default_rng(seed)
    for index, shard in enumerate(_split(tensors, num_shards), start=1):
        name = f"model-{index:05d}-of-{num_shards:05d}.safetensors"
        file_of_tensor |= dict.fromkeys((tensor.name for tensor in shard), name)
        with (folder / name).open("wb") as file:
            safetensors.write_header(file, [(t.name, dtype, t.shape) for t in shard])
            for tensor in shard:
                _write_values(file, tensor, rng, dtype)
    num_bytes = sum(t.num_values for t in tensors) * safetensors.DTYPE_SIZES[dtype]
    index_json = {
        "metadata": {"total_size": num_bytes},
        "weight_map": dict(sorted(file_of_tensor.items())),
    }
    write_json(folder / "model.safetensors.index.json", index_json)


def _split(tensors: Sequence[_Tensor], num_shards: int) -> list[list[_Tensor]]:
    """Consecutive tensors in ``num_shards`` lists of about the same size."""
    total = sum(tensor.num_values for tensor in tensors)
    shards: list[list[_Tensor]] = [[] for _ in range(num_shards)]
    num_before = 0
    for tensor in tensors:
        middle = num_before + tensor.num_values // 2
        shards[middle * num_shards // total].append(tensor)
        num_before += tensor.num_values
    return shards


def _write_values(file: BinaryIO, tensor: _Tensor, rng: np.random.Generator, dtype: str) -> None:
    values = rng.standard_normal(min(tensor.num_values, BLOCK_VALUES), np.float32)
    data = _encode(values * np.float32(tensor.std) + np.float32(tensor.mean), dtype)
    remaining = tensor.num_values
    while remaining:
        file.write(data[:remaining].data)
        remaining -= min(remaining, data.size)


def _encode(values: NDArray[np.float32], dtype: str) -> NDArray[np.generic]:
    """``values`` as stored: float16, float32, or bfloat16 by dropping the lower half."""
    match dtype:
        case "F16":
            return values.astype("<f2")
        case "BF16":
            return (values.view(np.uint32) >> 16).astype("<u2")
    return values.astype("<f4")


def _sizes(shape: Shape, dtype: str) -> dict[str, Any]:
    """The sizes and the type as config.json has them."""
    sizes: dict[str, Any] = {
        "ffn_hidden_size": shape.ffn_hidden_size,
        "hidden_size": shape.hidden_size,
        "kv_channels": shape.kv_channels,
        "multi_query_group_num": shape.num_groups,
        "num_attention_heads": shape.num_heads,
        "num_layers": shape.num_layers,
        "padded_vocab_size": shape.padded_vocab_size,
        "seq_length": shape.seq_length,
        "torch_dtype": dtype,
    }
    if shape.rope_ratio is not None:
        sizes["rope_ratio"] = shape.rope_ratio
    return sizes
