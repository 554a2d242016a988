"""Quantized checkpoints are refused as such, whatever made them."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from glm3edge.placement.variants import read_planned_model
from glm3edge_convert import convert
from glm3edge_convert.conversion import check_before_weights
from glm3edge_convert.errors import QuantizedCheckpointError
from glm3edge_convert.models.chatglm.architecture import check_config
from glm3edge_convert.synth.layout import CONFIG
from tests.support.checkpoints import Tensors, edit_json, load_tensors, merge_shards
from tests.support.encoders import make_bert

# As the libraries write them, shortened.
CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "GPTQ": (
        {"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128}},
        r"with 4-bit GPTQ \(quantization_config in config\.json\)",
    ),
    "AWQ": (
        {"quantization_config": {"quant_method": "awq", "bits": 4, "zero_point": True}},
        "with 4-bit AWQ",
    ),
    "bitsandbytes, 4 bits": (
        {
            "quantization_config": {
                "quant_method": "bitsandbytes",
                "load_in_4bit": True,
                "load_in_8bit": False,
                "bnb_4bit_quant_type": "nf4",
            }
        },
        "with 4-bit bitsandbytes",
    ),
    "bitsandbytes, 8 bits, old": (
        {"quantization_config": {"load_in_4bit": False, "load_in_8bit": True}},
        "with 8-bit bitsandbytes",
    ),
    "FP8": (
        {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}},
        "with FP8",
    ),
    "another": (
        {"quantization_config": {"quant_method": "compressed-tensors", "format": "x"}},
        "with compressed-tensors",
    ),
    "MLX": (  # which leaves both
        {
            "quantization": {"group_size": 64, "bits": 4},
            "quantization_config": {"group_size": 64, "bits": 4},
        },
        r"with MLX \(quantization in config\.json\)",
    ),
    "ChatGLM's own": (
        {"quantization_bit": 4},
        r"with ChatGLM's own quantize\(4\) \(quantization_bit in config\.json\)",
    ),
    "hostile": ({"quantization_config": {"quant_method": ["x" * 5000], "bits": "4"}}, "with"),
}
UNQUANTIZED: list[dict[str, Any]] = [
    {"quantization_bit": 0},
    {"quantization_bit": None, "quantization_config": None},
    {"quantization_config": {}},
    {
        "quantization_config": {
            "quant_method": "bitsandbytes",
            "load_in_4bit": False,
            "load_in_8bit": False,
        }
    },
]


@pytest.mark.parametrize("name", CONFIGS)
def test_by_the_configuration(name: str, checkpoint: Path, tmp_path: Path) -> None:
    """It was called damaged, or another model's; plan recommended types for it."""
    changes, expected = CONFIGS[name]
    edit_json(checkpoint / "config.json", **changes)
    output = tmp_path / "a.gguf"
    for refuse in (
        lambda: convert(checkpoint, output, quant_type="q8_0"),
        lambda: check_before_weights(checkpoint, "model.safetensors", None),
        lambda: read_planned_model("a", checkpoint),
    ):
        with pytest.raises(QuantizedCheckpointError, match=expected) as caught:
            refuse()
        assert caught.value.exit_code == 4
        assert "take the checkpoint that it was made from, such as zai-org/chatglm3-6b" in str(
            caught.value
        )
        assert len(str(caught.value)) < 500
    assert not output.exists()


@pytest.mark.parametrize("changes", UNQUANTIZED)
def test_what_quantizes_nothing_is_accepted(changes: dict[str, Any], checkpoint: Path) -> None:
    edit_json(checkpoint / "config.json", **changes)
    check_before_weights(checkpoint, "model.safetensors", None)


@pytest.mark.parametrize(
    ("length", "repository"), [(8192, ""), (32768, "-32k"), (131072, "-128k"), ("8192", "")]
)
def test_the_repository_that_is_named(length: object, repository: str, tmp_path: Path) -> None:
    config = CONFIG | {"seq_length": length, "rope_ratio": 50, "quantization_bit": 8}
    with pytest.raises(QuantizedCheckpointError, match=f"such as zai-org/chatglm3-6b{repository}$"):
        check_config(tmp_path, config)


def test_another_model_is_called_that_first(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="a qwen2 model"):
        check_config(tmp_path, {"model_type": "qwen2", **CONFIGS["GPTQ"][0]})


@pytest.mark.parametrize(
    ("name", "method"), [("quantize_config.json", "GPTQ"), ("quant_config.json", "AWQ")]
)
def test_by_the_file_of_an_older_tool(name: str, method: str, checkpoint: Path) -> None:
    (checkpoint / name).write_text(json.dumps({"bits": 4, "group_size": 128}))
    with pytest.raises(QuantizedCheckpointError, match=rf"with {method} \({name}\)"):
        convert(checkpoint, checkpoint / "a.gguf", quant_type="q8_0")


def _gptq(name: str, values: np.ndarray) -> Tensors:
    rows, columns = values.shape
    return {
        f"{name}.qweight": np.zeros((columns // 8, rows), np.int32),
        f"{name}.qzeros": np.zeros((1, rows // 8), np.int32),
        f"{name}.scales": np.ones((1, rows), np.float16),
        f"{name}.g_idx": np.zeros(columns, np.int32),
    }


def _bitsandbytes(name: str, values: np.ndarray) -> Tensors:
    return {
        f"{name}.weight": np.zeros((values.size // 2, 1), np.uint8),
        f"{name}.weight.absmax": np.ones(values.size // 64, np.float32),
        f"{name}.weight.quant_map": np.zeros(16, np.float32),
        f"{name}.weight.quant_state.bitsandbytes__nf4": np.zeros(80, np.uint8),
    }


def _chatglm(name: str, values: np.ndarray) -> Tensors:
    rows, columns = values.shape
    return {
        f"{name}.weight": np.zeros((rows, columns // 2), np.int8),
        f"{name}.weight_scale": np.ones(rows, np.float16),
    }


@pytest.mark.parametrize("pack", [_gptq, _bitsandbytes, _chatglm], ids=lambda made: made.__name__)
def test_by_the_tensors_where_the_configuration_is_silent(pack: Any, checkpoint: Path) -> None:
    merge_shards(checkpoint)
    tensors = load_tensors(checkpoint)
    name = "transformer.encoder.layers.0.self_attention.dense"
    tensors |= pack(name, tensors.pop(f"{name}.weight"))
    save_file(tensors, checkpoint / "model.safetensors")
    with pytest.raises(QuantizedCheckpointError, match=rf"it has the tensor {name}\."):
        convert(checkpoint, checkpoint / "a.gguf", quant_type="q8_0")


def test_an_encoder(tmp_path: Path) -> None:
    make_bert(tmp_path / "bert")
    edit_json(tmp_path / "bert" / "config.json", **CONFIGS["GPTQ"][0])
    with pytest.raises(QuantizedCheckpointError, match=r"that it was made from$"):
        convert(tmp_path / "bert", tmp_path / "a.gguf")
    shutil.rmtree(tmp_path / "bert")
