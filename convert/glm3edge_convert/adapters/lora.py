"""Conversion of PEFT LoRA adapters to GGUF adapters, which llama.cpp applies while it computes.

llama.cpp looks a matrix's pair up by name: ``blk.0.attn_qkv.weight.lora_a`` and ``.lora_b``, with
the shapes PEFT gives them; for the embedding it wants ``lora_a`` transposed, a row to a token. It
multiplies B A with ``adapter.lora.alpha`` / rank. There is one alpha, so where modules have scales
that no single one gives, ``lora_b`` takes up the difference.

Matrices are padded as those of the model are (see ``models.chatglm.tensors``): ``lora_b`` of the
gate and up rows, ``lora_a`` of the down projection. So an adapter made here fits the GGUF models
made here; ``width`` fits it to others.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFType, GGUFWriter, Keys
from numpy.typing import NDArray

from glm3edge_convert.adapters.peft import LoraPair, open_adapter
from glm3edge_convert.checkpoint.weights import SourceTensor
from glm3edge_convert.errors import AdapterTensorError, UnknownTypeError
from glm3edge_convert.gguf.header import TensorInfo
from glm3edge_convert.gguf.writer import check_output, open_gguf
from glm3edge_convert.models.chatglm.hparams import ARCHITECTURE, padded
from glm3edge_convert.models.chatglm.tensors import LAYER_PREFIX
from glm3edge_convert.models.output_tensors import OutputTensor
from glm3edge_convert.plan import model_name
from glm3edge_convert.quantize.library import load_library
from glm3edge_convert.quantize.quantizer import Quantizer
from glm3edge_convert.quantize.recipe import F16, F32

ADAPTER_TYPES = {"f32": F32, "f16": F16}
DEFAULT_ADAPTER_TYPE = "f32"
FFN = "feed-forward"
LAYER_MODULE = re.compile(rf"{re.escape(LAYER_PREFIX)}\.(?P<layer>\d+)\.(?P<module>.+)")


@dataclass(frozen=True)
class _Module:
    """A matrix of ChatGLM3: its GGUF name, and the names of the sizes of its outputs and inputs."""

    name: str
    outputs: str
    inputs: str
    num_parts: int = 1


LAYER_MODULES = {
    "self_attention.query_key_value": _Module("attn_qkv", "query, key and value", "hidden"),
    "self_attention.dense": _Module("attn_output", "hidden", "hidden"),
    "mlp.dense_h_to_4h": _Module("ffn_up", FFN, "hidden", num_parts=2),
    "mlp.dense_4h_to_h": _Module("ffn_down", "hidden", FFN),
}
MODULES = {
    "transformer.output_layer": _Module("output", "vocabulary", "hidden"),
    "transformer.embedding.word_embeddings": _Module("token_embd", "hidden", "vocabulary"),
}


@dataclass(frozen=True)
class AdapterSummary:
    """Result of an adapter's conversion; ``num_modules`` are the matrices it changes."""

    path: Path
    num_modules: int
    ranks: tuple[int, ...]
    num_bytes: int


def convert_lora(
    source: Path,
    output: Path,
    *,
    quant_type: str | None = None,
    overwrite: bool = False,
) -> AdapterSummary:
    """Convert the adapter folder ``source`` to the GGUF adapter ``output``.

    Args:
        source: the folder that PEFT saved.
        output: the file to write.
        quant_type: one of ``ADAPTER_TYPES``, f32 by default.
        overwrite: whether ``output`` may be replaced.

    Raises:
        ConvertError: the conversion failed; there is no output then.
    """
    check_output(output, overwrite=overwrite, inputs=[source])
    type_name = (quant_type or DEFAULT_ADAPTER_TYPE).lower()
    if type_name not in ADAPTER_TYPES:
        raise UnknownTypeError(type_name, list(ADAPTER_TYPES))
    pairs = open_adapter(source, to_merge=False).pairs
    alpha = _common_alpha(pairs)
    tensors = _plan_tensors(pairs, alpha)

    def add_metadata(writer: GGUFWriter) -> None:
        if name := model_name(source):
            writer.add_name(name)
        writer.add_type(GGUFType.ADAPTER)
        writer.add_string(Keys.Adapter.TYPE, "lora")
        writer.add_float32(Keys.Adapter.LORA_ALPHA, alpha)

    _write(output, tensors, ADAPTER_TYPES[type_name], add_metadata, overwrite=overwrite)
    return AdapterSummary(
        path=output,
        num_modules=len(pairs),
        ranks=tuple(sorted({pair.rank for pair in pairs})),
        num_bytes=output.stat().st_size,
    )


def _write(
    output: Path,
    tensors: Sequence[OutputTensor],
    tensor_type: GGMLQuantizationType,
    add_metadata: Callable[[GGUFWriter], None],
    *,
    overwrite: bool,
) -> None:
    load_library()
    infos = [TensorInfo(tensor.name, tensor.shape, tensor_type) for tensor in tensors]
    with (
        open_gguf(
            output,
            architecture=ARCHITECTURE,
            add_metadata=add_metadata,
            infos=infos,
            overwrite=overwrite,
        ) as stream,
        Quantizer(1) as quantizer,
    ):
        for tensor in tensors:
            stream.write(tensor.name, quantizer.quantize(tensor, tensor_type))


def _common_alpha(pairs: Sequence[LoraPair]) -> float:
    """The alpha that gives most modules their scale."""
    return Counter(pair.scale * pair.rank for pair in pairs).most_common(1)[0][0]


def _plan_tensors(pairs: Sequence[LoraPair], alpha: float) -> list[OutputTensor]:
    sizes: dict[str, int] = {}
    return [
        tensor
        for pair in pairs
        for tensor in _output_tensors(pair, pair.scale * pair.rank / alpha, sizes)
    ]


def _output_tensors(pair: LoraPair, factor: float, sizes: dict[str, int]) -> Iterator[OutputTensor]:
    """Both tensors of a pair; ``sizes`` are those of the pairs before, by name."""
    name, module = _find_module(pair)
    if pair.is_embedding != (module.name == "token_embd"):
        raise AdapterTensorError(pair.a.path, pair.a.name, "is of the wrong kind for its module")
    num_outputs = _padded(pair.b, module.outputs, pair.num_outputs, module.num_parts, sizes)
    num_inputs = _padded(pair.a, module.inputs, pair.num_inputs, 1, sizes)
    a = _Transposed(pair.a) if pair.is_embedding else pair.a
    a_shape = (pair.rank, num_inputs)
    b = pair.b if factor == 1 else _Scaled(pair.b, factor)
    yield OutputTensor(f"{name}.weight.lora_a", a_shape[::-1] if pair.is_embedding else a_shape, a)
    yield OutputTensor(f"{name}.weight.lora_b", (num_outputs, pair.rank), b, module.num_parts)


def _find_module(pair: LoraPair) -> tuple[str, _Module]:
    """The GGUF name and the kind of a pair's module. Raises AdapterTensorError."""
    match = LAYER_MODULE.fullmatch(pair.module)
    if match and (module := LAYER_MODULES.get(match["module"])):
        return f"blk.{int(match['layer'])}.{module.name}", module
    if module := MODULES.get(pair.module):
        return module.name, module
    raise AdapterTensorError(
        pair.a.path,
        pair.a.name,
        "is for a module that ChatGLM3 does not have; it is another model's",
    )


def _padded(
    tensor: SourceTensor, kind: str, size: int, num_parts: int, sizes: dict[str, int]
) -> int:
    """``size`` as the model has it in GGUF; checks that all sizes of a kind agree."""
    per_part, rest = divmod(size, num_parts)
    if rest or sizes.setdefault(kind, per_part) != per_part:
        raise AdapterTensorError(
            tensor.path,
            tensor.name,
            f"has {size} values for the {kind} size, which is "
            f"{num_parts * sizes.get(kind, per_part)} elsewhere; download the adapter again",
        )
    if kind == FFN:
        per_part = padded(per_part)
    return per_part * num_parts


@dataclass(frozen=True)
class _View:
    """View of one of the adapter's matrices."""

    source: SourceTensor

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def path(self) -> Path:
        return self.source.path


@dataclass(frozen=True)
class _Transposed(_View):
    """Transposed view, of a matrix small enough to be read as a whole."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape[::-1]

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows [start, stop), as float32."""
        rows: NDArray[np.float32] = self.source.rows(0, self.source.shape[0]).T[start:stop]
        return rows


@dataclass(frozen=True)
class _Scaled(_View):
    """Scaled view."""

    factor: float

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows [start, stop), as float32."""
        rows = self.source.rows(start, stop).astype(np.float64)
        rows *= self.factor
        return rows.astype(np.float32)
