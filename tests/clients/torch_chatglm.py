"""ChatGLM3's modules in PyTorch, by their names: enough for the libraries that save it."""

import json
from pathlib import Path
from typing import Any, ClassVar

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel


class ChatGLMConfig(PretrainedConfig):
    """Configuration of any values."""

    model_type = "chatglm"


class ChatGLM(PreTrainedModel):
    """The modules; they compute nothing."""

    config_class = ChatGLMConfig
    _tied_weights_keys: ClassVar[dict[str, str]] = {}

    def __init__(self, config: Any, *, num_labels: int = 0) -> None:
        """With ``num_labels``, the model classifies instead of generating text."""
        super().__init__(config)
        self.transformer = nn.Module()
        self.transformer.embedding = nn.Module()
        self.transformer.embedding.word_embeddings = nn.Embedding(
            config.padded_vocab_size, config.hidden_size
        )
        self.transformer.encoder = nn.Module()
        self.transformer.encoder.layers = nn.ModuleList(
            _layer(config) for _ in range(config.num_layers)
        )
        self.transformer.encoder.final_layernorm = nn.RMSNorm(config.hidden_size)
        if num_labels:
            self.classifier_head = nn.Linear(config.hidden_size, num_labels)
        else:
            self.transformer.output_layer = _linear(config.hidden_size, config.padded_vocab_size)
        self.post_init()

    def _init_weights(self, module: Any) -> None:
        """Leave the weights as PyTorch makes them."""

    def get_input_embeddings(self) -> Any:
        return self.transformer.embedding.word_embeddings

    def set_input_embeddings(self, value: Any) -> None:
        self.transformer.embedding.word_embeddings = value

    def forward(self, **_inputs: Any) -> None:
        """PEFT looks at the signature."""

    def prepare_inputs_for_generation(self, **_inputs: Any) -> None:
        """PEFT asks for it."""


def read_config(folder: Path) -> ChatGLMConfig:
    """The configuration in a checkpoint's folder."""
    values = json.loads((folder / "config.json").read_text("utf-8"))
    return ChatGLMConfig(**values, vocab_size=values["padded_vocab_size"])


def _layer(config: Any) -> Any:
    num_rows = config.num_attention_heads + 2 * config.multi_query_group_num
    layer = nn.Module()
    layer.input_layernorm = nn.RMSNorm(config.hidden_size)
    layer.self_attention = nn.Module()
    layer.self_attention.query_key_value = nn.Linear(
        config.hidden_size, num_rows * config.kv_channels
    )
    layer.self_attention.dense = _linear(config.hidden_size, config.hidden_size)
    layer.post_attention_layernorm = nn.RMSNorm(config.hidden_size)
    layer.mlp = nn.Module()
    layer.mlp.dense_h_to_4h = _linear(config.hidden_size, 2 * config.ffn_hidden_size)
    layer.mlp.dense_4h_to_h = _linear(config.ffn_hidden_size, config.hidden_size)
    return layer


def _linear(num_inputs: int, num_outputs: int) -> Any:
    return nn.Linear(num_inputs, num_outputs, bias=False)
