"""Models and adapters that transformers and PEFT save, given to the converter."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, PrefixTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import BitsAndBytesConfig, FineGrainedFP8Config, GPTQConfig

from tests.clients.torch_chatglm import ChatGLM, read_config

_ATTENTION = ["query_key_value", "dense"]


def _run(*words: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [os.environ["SERVER_PYTHON"], "-m", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def _made(folder: Path, *words: object) -> bytes:
    """Bytes of the file that a folder is converted to, in float32."""
    output = folder.parent / "made.gguf"
    command = ("glm3edge", "convert", folder, "-o", output, "--type", "f32", "--overwrite")
    result = _run(*command, *words)
    assert result.returncode == 0, result.stderr
    return output.read_bytes()


def _error(command: str, folder: Path, *words: object) -> str:
    result = _run("glm3edge", command, folder, "-o", folder.parent / "refused.gguf", *words)
    assert 3 <= result.returncode <= 5, result.stderr
    return result.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "model"
    result = _run("glm3edge_convert.synth", "--out", folder, "--dtype", "float32")
    assert result.returncode == 0, result.stderr
    return folder


def _model(base: Path) -> ChatGLM:
    model = ChatGLM(read_config(base))
    weights = [load_file(path) for path in base.glob("*.safetensors")]
    state = {name: tensor for shard in weights for name, tensor in shard.items()}
    missing, _ = model.load_state_dict(state, strict=False)
    assert not missing
    return model


def _save(model: Any, base: Path, folder: Path) -> Path:
    """Save a model as ``save_pretrained()`` does, with the base's tokenizer beside it."""
    model.save_pretrained(folder)
    for path in base.glob("token*"):
        shutil.copy(path, folder)
    return folder


def _adapter(base: Path, folder: Path, config: Any, **saving: Any) -> Any:
    """A random adapter, and its model."""
    torch.manual_seed(0)
    model = get_peft_model(_model(base), config)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    model.save_pretrained(folder, **saving)
    return model


def _lora(**options: Any) -> LoraConfig:
    return LoraConfig(target_modules=_ATTENTION, r=4, task_type="CAUSAL_LM", **options)


def test_a_model_that_transformers_saved(base: Path, tmp_path: Path) -> None:
    folder = _save(_model(base), base, tmp_path / "model")
    assert _made(folder) == _made(base)
    weights = load_file(folder / "model.safetensors")
    wrapped = {f"module.{name}": tensor for name, tensor in weights.items()}
    save_file(wrapped, folder / "model.safetensors", metadata={"format": "pt"})
    assert _made(folder) == _made(base)


def test_an_adapter_saved_with_the_embedding(base: Path, tmp_path: Path) -> None:
    """It gives the file that PEFT's own merge gives, but for the last bit of a sum."""
    model = _adapter(base, tmp_path / "lora", _lora(), save_embedding_layers=True)
    assert "with --merge-lora" in _error("convert-lora", tmp_path / "lora")
    merged = _save(model.merge_and_unload(), base, tmp_path / "model")
    expected = torch.frombuffer(bytearray(_made(merged)), dtype=torch.float32)
    found = _made(base, "--merge-lora", tmp_path / "lora")
    values = torch.frombuffer(bytearray(found), dtype=torch.float32)[-1_000_000:]
    torch.testing.assert_close(values, expected[-1_000_000:], rtol=1e-5, atol=1e-7)
    assert found != _made(base)


def test_a_resized_embedding(base: Path, tmp_path: Path) -> None:
    model = _model(base)
    num_tokens = model.config.padded_vocab_size
    model.resize_token_embeddings(num_tokens - 16, mean_resizing=False)
    _made(_save(model, base, tmp_path / "smaller"))
    model.resize_token_embeddings(num_tokens + 16, mean_resizing=False)
    error = _error("convert", _save(model, base, tmp_path / "larger"))
    assert f"call resize_token_embeddings({num_tokens})" in error


_OTHER_ADAPTERS: dict[str, tuple[Callable[[], Any], str]] = {
    "PREFIX_TUNING": (
        lambda: PrefixTuningConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=4,
            num_layers=2,
            token_dim=64,
            num_attention_heads=4,
        ),
        "train LoRA, or ChatGLM3's own P-Tuning v2",
    ),
    "IA3": (
        lambda: IA3Config(target_modules=_ATTENTION, feedforward_modules=[]),
        "merge_and_unload",
    ),
}


@pytest.mark.parametrize("name", _OTHER_ADAPTERS)
def test_other_adapters(name: str, base: Path, tmp_path: Path) -> None:
    make, reason = _OTHER_ADAPTERS[name]
    _adapter(base, tmp_path / "adapter", make())
    for error in (
        _error("convert-lora", tmp_path / "adapter"),
        _error("convert", base, "--merge-lora", tmp_path / "adapter"),
    ):
        assert f"peft_type is '{name}'" in error
        assert reason in error
    assert "it is an adapter, not a model" in _error("convert", tmp_path / "adapter")


def test_models_that_classify(base: Path, tmp_path: Path) -> None:
    model = ChatGLM(read_config(base), num_labels=3)
    folder = _save(model, base, tmp_path / "model")
    assert "holds a classifier or reward model" in _error("convert", folder)
    config = LoraConfig(target_modules=_ATTENTION, modules_to_save=["classifier_head"])
    get_peft_model(model, config).save_pretrained(tmp_path / "lora")
    assert "it classifies or rewards" in _error("convert", base, "--merge-lora", tmp_path / "lora")


def test_an_adapter_that_was_not_merged(base: Path, tmp_path: Path) -> None:
    model = _adapter(base, tmp_path / "lora", _lora())
    folder = _save(_model(base), base, tmp_path / "model")
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    assert "merge_and_unload() gives" in _error("convert", folder)
    assert "it is a model" in _error("convert-lora", folder)


@pytest.mark.parametrize(
    ("config", "method"),
    [
        (BitsAndBytesConfig(load_in_4bit=True), "4-bit bitsandbytes"),
        (BitsAndBytesConfig(load_in_8bit=True), "8-bit bitsandbytes"),
        (GPTQConfig(bits=4), "4-bit GPTQ"),
        (FineGrainedFP8Config(), "FP8"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_quantized_models(config: Any, method: str, base: Path, tmp_path: Path) -> None:
    values = read_config(base)
    values.quantization_config = config.to_dict()
    shutil.copytree(base, tmp_path / "model")
    values.save_pretrained(tmp_path / "model")
    assert f"is quantized with {method}" in _error("convert", tmp_path / "model")
