"""GGUF files as llama.cpp's own converter writes them.

What differs from ours was found by running it (``convert_hf_to_gguf.py`` of llama-cpp-python
0.3.36) on the same checkpoints: four texts, seven keys and the feed-forward width.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf

from tests.support.gguf_files import metadata, write_gguf

TOKENS, TYPES = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type"
TEXTS = {"<s>": "<bos>", "</s>": "<eos>", "<|sop|>": "sop", "<|eop|>": "eop"}
ABSENT = {
    "chatglm.vocab_size",
    "tokenizer.ggml.add_eos_token",
    "tokenizer.ggml.add_space_prefix",
    "tokenizer.ggml.bos_token_id",
    "tokenizer.ggml.eom_token_id",
    "tokenizer.ggml.eot_token_id",
    "tokenizer.ggml.unknown_token_id",
}
FFN_SIZE, PADDED_FFN_SIZE = 640, 768  # of glm3-tiny and of the tests' random models


def as_llama_cpp_writes(path: Path, copy: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """Rewrite ``path``, an f16 file of our converter; ``changes`` are other metadata."""
    reader = gguf.GGUFReader(path)
    values = {name: value for name, value in metadata(reader).items() if name not in ABSENT}
    values[TOKENS] = [TEXTS.get(text, text) for text in values[TOKENS]]
    values["chatglm.feed_forward_length"] = FFN_SIZE
    values |= changes or {}
    tensors = {tensor.name: _unpadded(tensor.name, tensor.data) for tensor in reader.tensors}
    write_gguf(copy, values, tensors, types_of=reader)
    return copy


def adapter_as_llama_cpp_writes(path: Path, copy: Path) -> Path:
    """Rewrite ``path``, a LoRA adapter of our converter, as ``convert_lora_to_gguf.py`` has it."""
    reader = gguf.GGUFReader(path)
    tensors = {tensor.name: _unpadded(tensor.name, tensor.data) for tensor in reader.tensors}
    write_gguf(copy, metadata(reader), tensors, types_of=reader)
    return copy


def _unpadded(name: str, data: Any) -> Any:
    if name.endswith(("ffn_down.weight", "ffn_down.weight.lora_a")):
        return data[:, :FFN_SIZE].copy()
    if name.endswith(("ffn_up.weight", "ffn_up.weight.lora_b")):  # gate rows, then up rows
        halves = data.reshape(2, PADDED_FFN_SIZE, -1)
        return halves[:, :FFN_SIZE].reshape(2 * FFN_SIZE, -1).copy()
    return data
