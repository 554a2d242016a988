"""Conversion of ChatGLM3 checkpoints, LoRA adapters and P-Tuning v2 prefixes to GGUF files, and
export of their tokenizer.

Public names are imported when they are first used: the modules behind them take a while.
"""

import importlib
from typing import TYPE_CHECKING

__all__ = [
    "ConvertError",
    "Progress",
    "convert",
    "convert_lora",
    "convert_prefix",
    "export_tokenizer",
]

if TYPE_CHECKING:
    from glm3edge_convert.adapters.lora import convert_lora
    from glm3edge_convert.adapters.prefix import convert_prefix
    from glm3edge_convert.conversion import convert
    from glm3edge_convert.errors import ConvertError
    from glm3edge_convert.export import export_tokenizer
    from glm3edge_convert.progress import Progress
else:
    _MODULES = {
        "ConvertError": "errors",
        "Progress": "progress",
        "convert": "conversion",
        "convert_lora": "adapters.lora",
        "convert_prefix": "adapters.prefix",
        "export_tokenizer": "export",
    }

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
        value = globals()[name] = getattr(module, name)
        return value
