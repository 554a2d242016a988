"""The trained model as a checkpoint folder in the Hugging Face layout."""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import save_file

from glm3edge_convert._layout import CONFIG, TOKENIZER_CONFIG
from glm3edge_convert.vocab import SPECIAL_TOKENS
from recipe.dialogue import Encoder
from recipe.model import ChatGLM3, Shape

_NAME = "glm3edge/glm3-tiny"
_VOCAB_MULTIPLE = 64


def shape_for(encoder: Encoder) -> Shape:
    """The sizes of glm3-tiny with this tokenizer."""
    num_tokens = encoder.vocab_size() + len(SPECIAL_TOKENS)
    return Shape(padded_vocab_size=math.ceil(num_tokens / _VOCAB_MULTIPLE) * _VOCAB_MULTIPLE)


def export(model: ChatGLM3, folder: Path) -> None:
    """Write config.json, tokenizer_config.json and model.safetensors (float16) into ``folder``."""
    shape = model.shape
    tensors = {
        name: value.to(torch.float16).contiguous() for name, value in model.state_dict().items()
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    sizes = {
        "ffn_hidden_size": shape.ffn_hidden_size,
        "hidden_size": shape.hidden_size,
        "kv_channels": shape.kv_channels,
        "multi_query_group_num": shape.multi_query_group_num,
        "num_attention_heads": shape.num_attention_heads,
        "num_layers": shape.num_layers,
        "padded_vocab_size": shape.padded_vocab_size,
        "seq_length": shape.seq_length,
        "torch_dtype": "float16",
    }
    _write_json(folder / "config.json", CONFIG | sizes | {"_name_or_path": _NAME})
    _write_json(folder / "tokenizer_config.json", TOKENIZER_CONFIG | {"name_or_path": _NAME})


def _write_json(path: Path, value: dict[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
