"""Conversion of a checkpoint to a GGUF file in one pass: read a slab, quantize it, write it."""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGML_QUANT_VERSION, GGUFWriter
from numpy.typing import NDArray

from glm3edge_convert.adapters.scaled_path import ScaledPath
from glm3edge_convert.checkpoint.config import read_config
from glm3edge_convert.checkpoint.shards import PendingWeights, WeightFeed
from glm3edge_convert.checkpoint.torch_bin import require_torch
from glm3edge_convert.checkpoint.weights import INDEX_SUFFIX
from glm3edge_convert.errors import ImatrixError, UnsupportedArchitectureError
from glm3edge_convert.gguf.header import TensorInfo
from glm3edge_convert.gguf.writer import TensorStream, check_output, open_gguf
from glm3edge_convert.models.bert import plan as bert
from glm3edge_convert.models.bert.hparams import MODEL_TYPES as ENCODER_MODEL_TYPES
from glm3edge_convert.models.bert.hparams import is_reranker
from glm3edge_convert.models.chatglm import plan as chatglm
from glm3edge_convert.models.output_tensors import OutputTensor
from glm3edge_convert.plan import Plan, model_name
from glm3edge_convert.progress import Progress
from glm3edge_convert.quantize.imatrix import read_imatrix
from glm3edge_convert.quantize.library import load_library
from glm3edge_convert.quantize.quantizer import Quantizer


@dataclass(frozen=True)
class Summary:
    """Result of a conversion; ``type_counts`` maps ggml type names to numbers of tensors."""

    path: Path
    num_bytes_source: int
    num_bytes: int
    seconds: float
    type_counts: dict[str, int]


def convert(
    source: Path,
    output: Path,
    *,
    quant_type: str | None = None,
    threads: int | None = None,
    adapters: Sequence[ScaledPath] = (),
    progress: Callable[[Progress], None] | None = None,
    imatrix: Path | None = None,
    overwrite: bool = False,
    feed: WeightFeed | None = None,
) -> Summary:
    """Convert the checkpoint folder ``source`` to the GGUF file ``output``.

    After a kill the same call goes on with the tensors that were finished; with a ``feed``, after
    an interruption or a failure of the feed or the disk, too.

    Args:
        source: the checkpoint folder.
        output: the file to write.
        quant_type: one of ``recipe.RECIPES``, q4_k_m by default; for an encoder, one of
            ``models.bert.plan.TYPES``, f16 by default.
        threads: number of CPU threads, all by default.
        adapters: LoRA folders to merge into the weights, in this order.
        progress: called at the beginning and after every slab, from this thread.
        imatrix: a file with an importance matrix, by which quantized types round.
        overwrite: whether ``output`` may be replaced.
        feed: brings the files of the weights, which are not in ``source``; without adapters.

    Raises:
        ConvertError: the conversion failed; there is no output then.
    """
    started = time.monotonic()
    inputs = [source, *(adapter.path for adapter in adapters), *([imatrix] if imatrix else [])]
    check_output(output, overwrite=overwrite, inputs=inputs)
    pending = None if feed is None else PendingWeights(source, feed)
    plan = make_plan(source, quant_type, adapters, imatrix, pending)
    num_bytes_source, source_key = _source_size_and_key(plan, adapters, feed)
    pairs = _pairs(plan)
    infos = [info for _, info in pairs]
    pairs.sort(key=_by_file(pairs))
    load_library()
    with (
        open_gguf(
            output,
            architecture=plan.architecture,
            add_metadata=lambda writer: _add_metadata(writer, source, plan),
            infos=infos,
            overwrite=overwrite,
            order=[info for _, info in pairs],
            source_key=source_key,
            is_resumable=feed is not None,
        ) as stream,
        Quantizer(threads or os.cpu_count() or 1) as quantizer,
    ):
        _write_tensors(pairs, stream, quantizer, plan=plan, report=progress, pending=pending)
    return Summary(
        path=output,
        num_bytes_source=num_bytes_source,
        num_bytes=output.stat().st_size,
        seconds=time.monotonic() - started,
        type_counts=dict(Counter(tensor_type.name for tensor_type in plan.types)),
    )


def make_plan(
    source: Path,
    type_name: str | None,
    adapters: Sequence[ScaledPath] = (),
    imatrix: Path | None = None,
    pending: PendingWeights | None = None,
) -> Plan:
    """Plan the conversion of the checkpoint folder ``source``; reads no tensor's data.

    The weights are ``pending`` or, by default, in the folder.

    Raises:
        ConvertError: the folder, its type or an adapter cannot be converted.
    """
    config = read_config(source)
    if not _is_encoder(config):
        importances = None if imatrix is None else read_imatrix(imatrix)
        return chatglm.make_plan(
            source, config, type_name, adapters=adapters, imatrix=importances, pending=pending
        )
    if imatrix is not None:
        raise ImatrixError(imatrix, "cannot be used with an encoder")
    if adapters:
        sign = "adapters are merged into ChatGLM3 only"
        raise UnsupportedArchitectureError(source, "an encoder", sign)
    return bert.make_plan(source, config, type_name, pending)


def check_before_weights(source: Path, entry: str, type_name: str | None) -> None:
    """Check a folder whose weights have still to be downloaded.

    Args:
        source: the checkpoint folder.
        entry: the ``weights_entry`` of the files that it is going to have.
        type_name: the output type.

    Raises:
        ConvertError: it cannot be converted, whatever the weights are.
    """
    config = read_config(source)
    if _is_encoder(config):
        bert.check_settings(source, config, type_name)
    else:
        chatglm.check_settings(source, config, type_name)
    if not entry.removesuffix(INDEX_SUFFIX).endswith(".safetensors"):
        require_torch(entry)


class Kind(Enum):
    """What the model of a checkpoint folder is for."""

    CHAT = "chat"
    EMBEDDING = "embedding"
    RERANK = "rerank"


def kind_of(folder: Path) -> Kind:
    """Kind of the model that a checkpoint folder holds; what is no encoder is taken for a chat
    model.

    Raises:
        ConvertError: it has no readable config.json.
    """
    config = read_config(folder)
    if not _is_encoder(config):
        return Kind.CHAT
    return Kind.RERANK if is_reranker(config) else Kind.EMBEDDING


def _is_encoder(config: Mapping[str, Any]) -> bool:
    return config.get("model_type") in ENCODER_MODEL_TYPES


def _add_metadata(writer: GGUFWriter, source: Path, plan: Plan) -> None:
    if name := model_name(source):
        writer.add_name(name)
    writer.add_type("model")
    writer.add_file_type(plan.recipe.file_type)
    writer.add_quantization_version(GGML_QUANT_VERSION)
    if plan.imatrix is not None and plan.recipe.is_quantized:
        plan.imatrix.add_to(writer)
    plan.add_metadata(writer)


def _source_size_and_key(
    plan: Plan, adapters: Sequence[ScaledPath], feed: WeightFeed | None
) -> tuple[int, str]:
    """Bytes of the weights, and text of all that the data depends on.

    That is the files it is read from, and what quantizes it.
    """
    lines = [f"{name} {version(name)}" for name in ("glm3edge", "llama-cpp-python")]
    if plan.imatrix is not None:
        digest = hashlib.sha256()
        for name, weights in sorted(plan.imatrix.weights.items()):
            digest.update(name.encode() + weights.tobytes())
        lines.append(digest.hexdigest())
    if feed is not None:
        return feed.num_bytes, "\n".join((*lines, feed.key))
    paths = {tensor.source.path for tensor in plan.tensors}
    num_bytes = sum(path.stat().st_size for path in paths)
    for adapter in adapters:
        lines.append(f"{adapter.path.resolve()} {adapter.scale}")
        paths |= {path for path in adapter.path.glob("*") if path.is_file()}
    for path in sorted(paths):
        status = path.stat()
        lines.append(f"{path.name} {status.st_size} {status.st_mtime_ns}")
    return num_bytes, "\n".join(lines)


_Pair = tuple[OutputTensor, TensorInfo]


def _pairs(plan: Plan) -> list[_Pair]:
    """The tensors, in the order of the output."""
    return [
        (tensor, TensorInfo(tensor.name, tensor.shape, tensor_type))
        for tensor, tensor_type in zip(plan.tensors, plan.types, strict=True)
    ]


def _by_file(pairs: Sequence[_Pair]) -> Callable[[_Pair], int]:
    """Sort key by which each file of the weights is read once, in the order of the output."""
    paths = dict.fromkeys(tensor.source.path for tensor, _ in pairs)
    numbers = {path: number for number, path in enumerate(paths)}
    return lambda pair: numbers[pair[0].source.path]


def _write_tensors(
    pairs: Sequence[_Pair],
    stream: TensorStream,
    quantizer: Quantizer,
    *,
    plan: Plan,
    report: Callable[[Progress], None] | None,
    pending: PendingWeights | None,
) -> None:
    meter = _Meter([info for _, info in pairs], report, num_done=stream.num_done)
    importances = {} if plan.imatrix is None else plan.imatrix.weights
    rest = pairs[stream.num_done :]
    if rest:
        meter.begin(rest[0][1])
    if pending is not None:
        num_bytes = sum(info.num_bytes_padded for _, info in rest)
        pending.expect([tensor.source.path for tensor, _ in rest], num_bytes)
    for path, group in groupby(rest, lambda pair: pair[0].source.path):
        with nullcontext() if pending is None else pending.reading(path):
            for tensor, info in group:
                slabs = quantizer.quantize(tensor, info.type, importances.get(info.name))
                stream.write(info.name, meter.watch(info, slabs))
            if pending is not None:
                stream.sync()  # what it was read from may go now


class _Meter:
    """Counter of the bytes that are written, which reports after every slab."""

    def __init__(
        self,
        infos: Sequence[TensorInfo],
        report: Callable[[Progress], None] | None,
        *,
        num_done: int,
    ) -> None:
        self._num_tensors = len(infos)
        self._num_bytes = sum(info.num_bytes for info in infos)
        self._num_tensors_done = num_done
        self._num_bytes_done = sum(info.num_bytes for info in infos[:num_done])
        self._report = report

    def begin(self, info: TensorInfo) -> None:
        """Report what an earlier run did, and the tensor that is next."""
        if self._report is not None:
            self._report(self._progress(info.name))

    def watch(
        self, info: TensorInfo, slabs: Iterator[NDArray[np.uint8]]
    ) -> Iterator[NDArray[np.uint8]]:
        num_bytes_before = self._num_bytes_done
        for slab in slabs:
            yield slab
            self._num_bytes_done += slab.nbytes
            self._num_tensors_done += self._num_bytes_done == num_bytes_before + info.num_bytes
            if self._report is not None:
                self._report(self._progress(info.name))

    def _progress(self, name: str) -> Progress:
        return Progress(
            tensor=name,
            num_tensors_done=self._num_tensors_done,
            num_tensors=self._num_tensors,
            num_bytes_done=self._num_bytes_done,
            num_bytes=self._num_bytes,
        )
