"""GGUF files as llama.cpp's own converter writes them.

What differs from ours was found by running it (``convert_hf_to_gguf.py`` of llama-cpp-python
0.3.36) on the same checkpoints: four texts, seven keys and the feed-forward width.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf

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
    values = {
        name: field.contents()
        for name, field in reader.fields.items()
        if not name.startswith("GGUF.") and name not in ABSENT
    }
    values[TOKENS] = [TEXTS.get(text, text) for text in values[TOKENS]]
    values["chatglm.feed_forward_length"] = FFN_SIZE
    values |= changes or {}
    writer = gguf.GGUFWriter(copy, values.pop("general.architecture"))
    for name, value in values.items():
        known = reader.fields.get(name)
        types = known.types if known else [gguf.GGUFValueType.get_type(value)]
        writer.add_key_value(name, value, types[0], types[-1] if len(types) > 1 else None)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, _unpadded(tensor.name, tensor.data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return copy


def _unpadded(name: str, data: Any) -> Any:
    if name.endswith("ffn_down.weight"):
        return data[:, :FFN_SIZE].copy()
    if name.endswith("ffn_up.weight"):  # gate rows, then up rows
        halves = data.reshape(2, PADDED_FFN_SIZE, -1)
        return halves[:, :FFN_SIZE].reshape(2 * FFN_SIZE, -1).copy()
    return data
