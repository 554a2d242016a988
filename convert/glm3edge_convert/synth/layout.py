"""Configuration files of zai-org/chatglm3-6b, without the sizes."""

import json
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {
    "model_type": "chatglm",
    "architectures": ["ChatGLMModel"],
    "auto_map": {
        "AutoConfig": "configuration_chatglm.ChatGLMConfig",
        "AutoModel": "modeling_chatglm.ChatGLMForConditionalGeneration",
        "AutoModelForCausalLM": "modeling_chatglm.ChatGLMForConditionalGeneration",
        "AutoModelForSeq2SeqLM": "modeling_chatglm.ChatGLMForConditionalGeneration",
        "AutoModelForSequenceClassification": ("modeling_chatglm.ChatGLMForSequenceClassification"),
    },
    "add_bias_linear": False,
    "add_qkv_bias": True,
    "apply_query_key_layer_scaling": True,
    "apply_residual_connection_post_layernorm": False,
    "attention_dropout": 0.0,
    "attention_softmax_in_fp32": True,
    "bias_dropout_fusion": True,
    "fp32_residual_connection": False,
    "hidden_dropout": 0.0,
    "layernorm_epsilon": 1e-05,
    "multi_query_attention": True,
    "original_rope": True,
    "post_layer_norm": True,
    "rmsnorm": True,
    "use_cache": True,
    "transformers_version": "4.30.2",
    "tie_word_embeddings": False,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
TOKENIZER_CONFIG: dict[str, Any] = {
    "remove_space": False,
    "do_lower_case": False,
    "tokenizer_class": "ChatGLMTokenizer",
    "auto_map": {"AutoTokenizer": ["tokenization_chatglm.ChatGLMTokenizer", None]},
}


def write_configs(folder: Path, sizes: dict[str, Any], *, name: str) -> None:
    """Write config.json and tokenizer_config.json.

    Args:
        folder: where to.
        sizes: values of config.json besides ``CONFIG``.
        name: the model's name.
    """
    write_json(folder / "config.json", {"_name_or_path": name} | CONFIG | sizes)
    write_json(folder / "tokenizer_config.json", {"name_or_path": name} | TOKENIZER_CONFIG)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file in the layout of the official ones."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
