"""A GGUF file without its data, to find out what one of some type needs.

Metadata and list of tensors are those of a conversion; in place of the weights there is a hole that
takes no space on the disk, and no vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from glm3edge_convert.checkpoint.chatglm_tensors import chatglm_mappings
from glm3edge_convert.checkpoint.hparams import ARCHITECTURE, ROPE_BASE, HParams
from glm3edge_convert.gguf.writer import TensorInfo, gguf_header
from glm3edge_convert.models.chatglm import add_hparams
from glm3edge_convert.quantize.recipe import get_recipe, tensor_type

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gguf import GGUFWriter

NO_VOCABULARY = "no_vocab"
"""llama.cpp then takes the vocabulary's size from the model's sizes; reading one takes it long."""

CHATGLM3_6B = HParams(
    num_layers=28,
    hidden_size=4096,
    num_heads=32,
    num_groups=2,
    head_size=128,
    ffn_size=13696,
    context_size=8192,
    vocab_size=65024,
    norm_epsilon=1e-5,
    rope_ratio=1.0,
)
"""What config.json of zai-org/chatglm3-6b says."""


def tensor_infos(hparams: HParams, type_name: str) -> list[TensorInfo]:
    """The tensors of a model of these sizes, quantized to a type. Raises UnknownTypeError.

    Types that need an importance matrix are taken to have been made with one.
    """
    recipe = get_recipe(type_name)
    return [
        TensorInfo(
            mapping.name,
            mapping.shape,
            tensor_type(
                recipe,
                mapping.name,
                mapping.shape,
                hparams.num_layers,
                n_gqa=hparams.num_heads // hparams.num_groups,
                has_importances=recipe.needs_importances,
            ),
        )
        for mapping in chatglm_mappings(hparams)
    ]


def write_outline(path: Path, hparams: HParams, type_name: str) -> int:
    """Write the outline of a model to `path`. Returns the size that the whole file would have.

    Raises UnknownTypeError, and OSError if the file cannot be written.
    """
    infos = tensor_infos(hparams, type_name)

    def add_metadata(writer: GGUFWriter) -> None:
        writer.add_file_type(get_recipe(type_name).file_type)
        add_hparams(writer, hparams)
        writer.add_tokenizer_model(NO_VOCABULARY)

    beginning = gguf_header(ARCHITECTURE, add_metadata, infos)
    num_bytes = len(beginning) + sum(info.num_bytes_padded for info in infos)
    with path.open("wb") as file:
        file.write(beginning)
        file.truncate(num_bytes)
    return num_bytes


def read_hparams(get: Callable[[str], str | None], vocab_size: int) -> HParams:
    """The sizes of a model from its GGUF file's metadata, of which `get` gives a value as text.

    `vocab_size` is how many tokens it lists: llama.cpp's own converter has no key for that.
    Raises KeyError naming the key that is missing.
    """

    def value(key: str) -> str:
        found = get(f"{ARCHITECTURE}.{key}")
        if found is None:
            raise KeyError(key)
        return found

    num_heads, hidden_size = int(value("attention.head_count")), int(value("embedding_length"))
    return HParams(
        num_layers=int(value("block_count")),
        hidden_size=hidden_size,
        num_heads=num_heads,
        num_groups=int(value("attention.head_count_kv")),
        head_size=hidden_size // num_heads,
        ffn_size=int(value("feed_forward_length")),
        context_size=int(value("context_length")),
        vocab_size=vocab_size,
        norm_epsilon=float(value("attention.layer_norm_rms_epsilon")),
        rope_ratio=float(value("rope.freq_base")) / ROPE_BASE,
    )
