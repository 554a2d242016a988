"""Device placement: the device of each layer and tensor, as parameters of llama.cpp."""

import ctypes
from dataclasses import dataclass
from typing import Any

import llama_cpp.llama_cpp as native

from glm3edge.errors import DeviceError
from glm3edge.llama import ggml
from glm3edge.llama.devices import handle_of

_LAYER_SPLIT, _NO_SPLIT = native.LLAMA_SPLIT_MODE_LAYER, native.LLAMA_SPLIT_MODE_NONE


class _Override(ctypes.Structure):
    """llama_model_tensor_buft_override (llama.h)."""

    _fields_ = (("pattern", ctypes.c_char_p), ("buffer_type", ctypes.c_void_p))


@dataclass(frozen=True, slots=True)
class Placement:
    """Devices of a model's weights, keys and values.

    Attributes:
        devices: names of the devices that share the layers with the CPU, in the order in which they
            take them; none leaves all on the CPU.
        num_gpu_layers: number of layers on these devices, counted back from the output, which is
            one itself; -1 means all.
        overrides: pairs of a regular expression and a device's name: tensors whose name contains a
            match are on that device instead of their layer's. The first match counts.
        tensor_split: share of these layers of each device; empty goes by their free memory.
        main_gpu: index of the one device that takes all of these layers.
        kv_on_gpu: keys and values are on the device of their layer, else all on the CPU.
    """

    devices: tuple[str, ...] = ()
    num_gpu_layers: int = 0
    overrides: tuple[tuple[str, str], ...] = ()
    tensor_split: tuple[float, ...] = ()
    main_gpu: int | None = None
    kv_on_gpu: bool = True

    @property
    def is_on_cpu(self) -> bool:
        """Whether the CPU is the only device."""
        return not self.devices

    def apply(self, params: Any) -> list[Any]:
        """Set the fields of llama_model_params.

        Returns:
            Arrays that have to live until the model is loaded.

        Raises:
            DeviceError: a device is not here, or there is not one share for each.
        """
        handles = [handle_of(name) for name in self.devices]
        devices = (ctypes.c_void_p * (len(handles) + 1))(*handles, None)
        overrides = (_Override * (len(self.overrides) + 1))(
            *(_Override(p.encode(), _buffer_type(name)) for p, name in self.overrides)
        )
        shares = (ctypes.c_float * native.llama_max_devices())(*self._shares())
        params.devices = ctypes.addressof(devices)
        if self.overrides:
            params.tensor_buft_overrides = ctypes.addressof(overrides)
        params.n_gpu_layers = self.num_gpu_layers
        params.split_mode = _LAYER_SPLIT if self.main_gpu is None else _NO_SPLIT
        if self.main_gpu is not None:
            params.main_gpu = self.main_gpu
        if self.tensor_split:
            params.tensor_split = shares
        return [devices, overrides, shares]

    def _shares(self) -> tuple[float, ...]:
        if self.tensor_split and len(self.tensor_split) != len(self.devices):
            raise DeviceError(
                f"{len(self.tensor_split)} shares for {len(self.devices)} devices "
                f"({', '.join(self.devices) or 'none'}): give one for each"
            )
        return self.tensor_split


def _buffer_type(device: str) -> int:
    handle: int = ggml.function("ggml_backend_dev_buffer_type")(handle_of(device))
    return handle


ON_CPU = Placement()
"""Placement of everything on the CPU."""
