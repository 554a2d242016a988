"""Data types that the KV cache can be stored in."""

from typing import Literal, get_args

KVType = Literal["f16", "q8_0", "q4_0"]
"""By ggml's names: 2 bytes a value, 34 bytes for 32 of them, or 18."""

KV_TYPES: tuple[KVType, ...] = get_args(KVType)

DEFAULT_KV_TYPE: KVType = "f16"
