"""The trained model as a checkpoint folder in the Hugging Face layout."""

import math
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file

from glm3edge_convert.synth.layout import write_configs
from glm3edge_convert.synth.random_checkpoint import VOCAB_MULTIPLE
from glm3edge_convert.tokenizer.vocab import SPECIAL_TOKENS
from recipe.dialogue import Encoder
from recipe.model import ChatGLM3, Shape


def shape_for(encoder: Encoder) -> Shape:
    """The sizes of glm3-tiny with this tokenizer."""
    num_tokens = encoder.vocab_size() + len(SPECIAL_TOKENS)
    return Shape(padded_vocab_size=math.ceil(num_tokens / VOCAB_MULTIPLE) * VOCAB_MULTIPLE)


def export(model: ChatGLM3, folder: Path) -> None:
    """Write config.json, tokenizer_config.json and model.safetensors (float16) into ``folder``."""
    tensors = {
        name: value.to(torch.float16).contiguous() for name, value in model.state_dict().items()
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    sizes = asdict(model.shape) | {"torch_dtype": "float16"}
    write_configs(folder, sizes, name="glm3edge/glm3-tiny")
