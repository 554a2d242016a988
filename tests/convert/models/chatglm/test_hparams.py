"""Hyperparameters of ChatGLM3: checked values, GGUF keys."""

from pathlib import Path
from typing import Any

import pytest

from glm3edge_convert.checkpoint.config import read_config
from glm3edge_convert.errors import ConfigError
from glm3edge_convert.models.chatglm.hparams import hparams_from_gguf, parse_hparams
from glm3edge_convert.synth.layout import CONFIG
from tests.support.optional import missing
from tests.support.paths import OFFICIAL as OFFICIAL_MODEL

SIZES: dict[str, Any] = {
    "ffn_hidden_size": 13696,
    "hidden_size": 4096,
    "kv_channels": 128,
    "multi_query_group_num": 2,
    "num_attention_heads": 32,
    "num_layers": 28,
    "padded_vocab_size": 65024,
    "seq_length": 8192,
}
OFFICIAL = CONFIG | SIZES
FOLDER = Path("folder")


def test_official_keys() -> None:
    assert parse_hparams(FOLDER, OFFICIAL).to_gguf() == {
        "chatglm.context_length": 8192,
        "chatglm.embedding_length": 4096,
        "chatglm.feed_forward_length": 13824,
        "chatglm.block_count": 28,
        "chatglm.attention.head_count": 32,
        "chatglm.attention.head_count_kv": 2,
        "chatglm.attention.layer_norm_rms_epsilon": 1e-5,
        "chatglm.rope.dimension_count": 64,
        "chatglm.rope.freq_base": 10000.0,
        "chatglm.vocab_size": 65024,
    }


def test_the_official_file_parses() -> None:
    if not OFFICIAL_MODEL.is_dir():
        missing(f"the official config.json is not at {OFFICIAL_MODEL}")
    config = read_config(OFFICIAL_MODEL)
    assert parse_hparams(OFFICIAL_MODEL, config) == parse_hparams(FOLDER, OFFICIAL)
    assert {key: value for key, value in config.items() if key not in SIZES} == CONFIG | {
        "_name_or_path": "THUDM/chatglm3-6b",
        "torch_dtype": "float16",
    }


@pytest.mark.parametrize(("ratio", "base"), [(1, 1e4), (50, 5e5), (500, 5e6), (2.5, 2.5e4)])
def test_rope_ratio_scales_the_base(ratio: float, base: float) -> None:
    keys = parse_hparams(FOLDER, OFFICIAL | {"rope_ratio": ratio}).to_gguf()
    assert keys["chatglm.rope.freq_base"] == base
    assert isinstance(keys["chatglm.rope.freq_base"], float)


@pytest.mark.parametrize(
    ("ffn", "padded"), [(1, 256), (255, 256), (256, 256), (257, 512), (13696, 13824)]
)
def test_padded_width(ffn: int, padded: int) -> None:
    assert parse_hparams(FOLDER, OFFICIAL | {"ffn_hidden_size": ffn}).padded_ffn_size == padded


@pytest.mark.parametrize("key", SIZES)
@pytest.mark.parametrize("value", [None, 0, -1, "28", 28.0, True, [28], 2**31])
def test_counts_must_be_positive_whole_numbers(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key) as info:
        parse_hparams(FOLDER, OFFICIAL | {key: value})
    assert info.value.key == key


@pytest.mark.parametrize("key", ["rope_ratio", "layernorm_epsilon"])
@pytest.mark.parametrize("value", [None, 0, -1.0, "1", True, float("nan"), float("inf"), 10**400])
def test_numbers_must_be_positive(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key):
        parse_hparams(FOLDER, OFFICIAL | {key: value})


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"hidden_size": 4095}, "hidden_size"),
        ({"kv_channels": 64}, "hidden_size"),
        ({"multi_query_group_num": 3}, "multi_query_group_num"),
        ({"num_attention_heads": 2048, "kv_channels": 2}, "kv_channels"),
        ({"rmsnorm": False}, "rmsnorm"),
        ({"post_layer_norm": False}, "post_layer_norm"),
        ({"apply_residual_connection_post_layernorm": True}, "apply_residual"),
        ({"add_bias_linear": True}, "add_bias_linear"),
        ({"add_qkv_bias": False}, "add_qkv_bias"),
        ({"multi_query_attention": False}, "multi_query_attention"),
        ({"original_rope": False}, "original_rope"),
        ({"tie_word_embeddings": True}, "tie_word_embeddings"),
    ],
)
def test_contradictions_and_unknown_options(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        parse_hparams(FOLDER, OFFICIAL | changes)


def test_options_may_be_absent_or_null() -> None:
    assert parse_hparams(FOLDER, SIZES) == parse_hparams(FOLDER, OFFICIAL)
    assert parse_hparams(FOLDER, OFFICIAL | {"multi_query_attention": None})


def test_gguf_keys_are_read_back() -> None:
    hparams = parse_hparams(FOLDER, OFFICIAL | {"rope_ratio": 50, "ffn_hidden_size": 13824})
    keys = hparams.to_gguf()

    def get(key: str) -> str | None:
        return str(keys[key]) if key in keys else None

    assert hparams_from_gguf(get, hparams.vocab_size) == hparams
    del keys["chatglm.block_count"]
    with pytest.raises(KeyError, match="block_count"):
        hparams_from_gguf(get, hparams.vocab_size)
