"""Conversion of ChatGLM3's P-Tuning v2 prefixes to GGUF files, which ``serve --prefix`` takes.

P-Tuning v2 trains keys and values of ``pre_seq_len`` places that stand before every prompt, in
every layer, and nothing else. The official code saves them as one tensor,
``transformer.prefix_encoder.embedding.weight``, pre_seq_len x (layers x 2 x groups x kv_channels):
in each row a layer's key, then its value, then the next layer's. With ``prefix_projection`` that
tensor goes through a two-layer network first: ``trans.0``, tanh, ``trans.2``; this is done here,
once.

The output is a kind of GGUF adapter that llama.cpp does not have: ``general.type`` is ``adapter``,
``adapter.type`` is ``prefix``, and the tensors are ``blk.N.prefix_k`` and ``blk.N.prefix_v`` for
each layer, f32, (pre_seq_len, groups, kv_channels). Keys are as the checkpoint has them: not
rotated, because the official code puts them before the prompt's keys after those were rotated.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFType, GGUFWriter, Keys
from numpy.typing import NDArray

from glm3edge_convert.checkpoint.config import CONFIG_FILE, check_options, count, read_config
from glm3edge_convert.checkpoint.weights import SourceTensor, open_tensors
from glm3edge_convert.errors import (
    ConfigError,
    MissingTensorError,
    NotAPrefixError,
    TensorShapeError,
    TensorValueError,
)
from glm3edge_convert.gguf.header import TensorInfo
from glm3edge_convert.gguf.writer import check_output, open_gguf
from glm3edge_convert.models.chatglm.architecture import check_model_type
from glm3edge_convert.models.chatglm.hparams import ARCHITECTURE
from glm3edge_convert.plan import model_name
from glm3edge_convert.quantize.recipe import F32

PREFIX_ENCODER = "transformer.prefix_encoder."
EMBEDDING = f"{PREFIX_ENCODER}embedding.weight"
ADAPTER_TYPE = "prefix"
MAX_VALUE = 65504.0
"""The largest f16, the type of keys and values in computation, there and here."""

_SLAB_ROWS = 512  # of the projection's matrices, read at once: 28 MiB for ChatGLM3-6B


@dataclass(frozen=True)
class PrefixSummary:
    """Result of a prefix's conversion: ``num_places`` keys and values in each of ``num_layers``."""

    path: Path
    num_places: int
    num_layers: int
    num_bytes: int


@dataclass(frozen=True)
class _Sizes:
    """Sizes of a prefix and its model, from config.json."""

    num_places: int
    num_layers: int
    num_groups: int
    head_size: int
    hidden_size: int
    is_projected: bool

    @property
    def row_size(self) -> int:
        return self.num_layers * 2 * self.num_groups * self.head_size


def convert_prefix(source: Path, output: Path, *, overwrite: bool = False) -> PrefixSummary:
    """Convert the prefix in the folder ``source`` to the GGUF file ``output``.

    Args:
        source: the folder that P-Tuning v2 saved: config.json and weights, with the model's among
            them or without.
        output: the file to write.
        overwrite: whether ``output`` may be replaced.

    Raises:
        ConvertError: the conversion failed; there is no output then.
    """
    check_output(output, overwrite=overwrite, inputs=[source])
    config = read_config(source)
    check_model_type(source, config)
    tensors = open_tensors(source)
    if not any(name.startswith(PREFIX_ENCODER) for name in tensors):
        raise NotAPrefixError(source)
    sizes = _read_sizes(source, config)
    states = _states(source, tensors, sizes)

    def add_metadata(writer: GGUFWriter) -> None:
        if name := model_name(source):
            writer.add_name(name)
        writer.add_type(GGUFType.ADAPTER)
        writer.add_string(Keys.Adapter.TYPE, ADAPTER_TYPE)

    names = [f"blk.{layer}.prefix_{kind}" for layer in range(sizes.num_layers) for kind in "kv"]
    shape = (sizes.num_places, sizes.num_groups, sizes.head_size)
    with open_gguf(
        output,
        architecture=ARCHITECTURE,
        add_metadata=add_metadata,
        infos=[TensorInfo(name, shape, F32) for name in names],
        overwrite=overwrite,
        source_key=hashlib.sha256(states.tobytes()).hexdigest(),
    ) as stream:
        for index, name in list(enumerate(names))[stream.num_done :]:
            data = np.ascontiguousarray(states[:, index], "<f4")
            stream.write(name, iter([data.reshape(-1).view(np.uint8)]))
    return PrefixSummary(output, sizes.num_places, sizes.num_layers, output.stat().st_size)


def _read_sizes(folder: Path, config: Mapping[str, Any]) -> _Sizes:
    path = folder / CONFIG_FILE
    check_options(path, config, {"multi_query_attention": True})
    is_projected = config.get("prefix_projection") or False
    if type(is_projected) is not bool:
        raise ConfigError(path, "prefix_projection", f"is {is_projected!r}, neither true nor false")
    head_size = count(path, config, "kv_channels")
    if head_size % 4:
        raise ConfigError(path, "kv_channels", "must be a multiple of 4")
    return _Sizes(
        num_places=count(path, config, "pre_seq_len"),
        num_layers=count(path, config, "num_layers"),
        num_groups=count(path, config, "multi_query_group_num"),
        head_size=head_size,
        hidden_size=count(path, config, "hidden_size"),
        is_projected=is_projected,
    )


def _states(
    folder: Path, tensors: Mapping[str, SourceTensor], sizes: _Sizes
) -> NDArray[np.float32]:
    """Keys and values in turn, layer by layer: (places, 2 x layers, groups x head size)."""
    num_places, width, hidden = sizes.num_places, sizes.row_size, sizes.hidden_size
    shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (num_places, width)}
    if sizes.is_projected:
        shapes |= {
            f"{PREFIX_ENCODER}trans.0.weight": (hidden, width),
            f"{PREFIX_ENCODER}trans.0.bias": (hidden,),
            f"{PREFIX_ENCODER}trans.2.weight": (width, hidden),
            f"{PREFIX_ENCODER}trans.2.bias": (width,),
        }
    for name, tensor in tensors.items():
        if name.startswith(PREFIX_ENCODER) and name not in shapes:
            raise ConfigError(
                folder / CONFIG_FILE,
                "prefix_projection",
                f"is {str(sizes.is_projected).lower()}, and there is {name} in {tensor.path.name}",
            )
    found = []
    for name, shape in shapes.items():
        if (source := tensors.get(name)) is None:
            raise MissingTensorError(folder, name)
        if source.shape != shape:
            raise TensorShapeError(source.path, name, shape, source.shape)
        found.append(source)
    states = found[0].rows(0, num_places)
    if sizes.is_projected:
        _, first, first_bias, second, second_bias = found
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused below
            states = _linear(second, second_bias, np.tanh(_linear(first, first_bias, states)))
    _check_values(found[0], states)
    return states.reshape(num_places, 2 * sizes.num_layers, sizes.num_groups * sizes.head_size)


def _linear(
    weight: SourceTensor, bias: SourceTensor, inputs: NDArray[np.float32]
) -> NDArray[np.float32]:
    """inputs W^T + b, a slab of W's rows at a time."""
    slabs = [inputs @ slab.T for slab in _slabs(weight)]
    outputs: NDArray[np.float32] = np.concatenate(slabs, axis=1) + bias.rows(0, bias.shape[0])
    return outputs


def _slabs(tensor: SourceTensor) -> Iterator[NDArray[np.float32]]:
    for start in range(0, tensor.shape[0], _SLAB_ROWS):
        yield tensor.rows(start, min(start + _SLAB_ROWS, tensor.shape[0]))


def _check_values(source: SourceTensor, states: NDArray[np.float32]) -> None:
    if not np.isfinite(states).all():
        raise TensorValueError(source.path, source.name, "gives NaN or infinity; train it again")
    if np.abs(states).max() > MAX_VALUE:
        raise TensorValueError(
            source.path, source.name, f"gives values beyond {MAX_VALUE:g}; train it again"
        )
