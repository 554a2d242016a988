"""Facts about a loaded model's file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """Facts about a loaded model's file.

    Attributes:
        architecture: llama.cpp's name of it.
        quant_type: type that it was quantized to, empty if the file lacks it.
        num_params: number of weights.
        num_layers: number of transformer layers.
        embedding_length: width of the hidden state.
        num_bytes: size of the file.
        modified: time of its last change, Unix time in seconds.
        fingerprint: digest that tells it from other files.
        num_device_bytes: bytes of its weights that are on devices other than the CPU.
    """

    architecture: str
    quant_type: str
    num_params: int
    num_layers: int
    embedding_length: int
    num_bytes: int
    modified: float
    fingerprint: str
    num_device_bytes: int = 0
