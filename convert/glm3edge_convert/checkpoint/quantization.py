"""Checkpoints that were quantized before, by what their files say; such weights are not converted.

transformers' quantizers leave ``quantization_config`` in config.json, ChatGLM's own ``quantize(4)``
leaves ``quantization_bit``, MLX ``quantization``, and older tools a file of their own beside it.
Where all of that is lost, the names of the scales tell.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from glm3edge_convert.checkpoint.config import CONFIG_FILE
from glm3edge_convert.errors import QuantizedCheckpointError

_METHODS = {
    "awq": "AWQ",
    "bitsandbytes": "bitsandbytes",
    "fp8": "FP8",
    "gptq": "GPTQ",
    "hqq": "HQQ",
}
_FILES = {  # of AutoGPTQ, AutoAWQ and NVIDIA's ModelOpt
    "quantize_config.json": "GPTQ",
    "quant_config.json": "AWQ",
    "hf_quant_config.json": "ModelOpt",
}
_TENSOR = re.compile(
    r".+\.(qweight|qzeros|weight_scale|weight_scale_inv|weight_packed|SCB|W_q"
    r"|weight\.(absmax|quant_map|quant_state\..+))"
)
_MAX_METHOD = 40  # characters of a method that is quoted


def check_config_is_unquantized(
    folder: Path, config: Mapping[str, Any], *, original: str = ""
) -> None:
    """Check that config.json, and the files beside it, tell of no quantization.

    Args:
        folder: the checkpoint folder.
        config: its config.json.
        original: a repository of the model with unquantized weights, to name in the error.

    Raises:
        QuantizedCheckpointError: they do.
    """
    if (bits := config.get("quantization_bit")) not in (None, 0):
        method, sign = f"ChatGLM's own quantize({bits})", f"quantization_bit in {CONFIG_FILE}"
    elif isinstance(config.get("quantization"), dict):
        method, sign = "MLX", f"quantization in {CONFIG_FILE}"
    elif method := _method(config.get("quantization_config")):
        sign = f"quantization_config in {CONFIG_FILE}"
    elif name := next((name for name in _FILES if (folder / name).is_file()), None):
        method, sign = _FILES[name], name
    else:
        return
    raise QuantizedCheckpointError(folder, method, sign, original=original)


def check_tensors_are_unquantized(folder: Path, names: Iterable[str]) -> None:
    """Check that none of a checkpoint's tensors belongs to a quantized matrix.

    Raises:
        QuantizedCheckpointError: one does.
    """
    name = next(filter(_TENSOR.fullmatch, names), None)
    if name is not None:
        raise QuantizedCheckpointError(folder, "", f"it has the tensor {name}")


def _method(found: object) -> str:
    """Method of a quantization_config, empty if it quantizes nothing."""
    if not isinstance(found, dict) or not found:
        return ""
    bits = found.get("bits") or next((n for n in (4, 8) if found.get(f"load_in_{n}bit")), None)
    name = str(found.get("quant_method") or ("bitsandbytes" if bits else "an unnamed method"))
    if name == "bitsandbytes" and bits is None:  # both of its options are off
        return ""
    label = _METHODS.get(name, name[:_MAX_METHOD])
    return f"{bits}-bit {label}" if isinstance(bits, int) else label
