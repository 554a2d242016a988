"""A checkpoint folder to a GGUF file in one pass: read a slab, quantize it, write it."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gguf import GGML_QUANT_VERSION, GGUFWriter

from glm3edge_convert.architecture import check_architecture
from glm3edge_convert.hparams import ARCHITECTURE, HParams, parse_hparams, read_config
from glm3edge_convert.quantize import Quantizer, load_library
from glm3edge_convert.recipe import DEFAULT_TYPE, Recipe, get_recipe, tensor_type
from glm3edge_convert.source import open_tensors
from glm3edge_convert.tensors import OutputTensor, plan_tensors
from glm3edge_convert.vocab import (
    BOS_ID,
    EOS_ID,
    TOKENIZER_MODEL,
    TOKENIZER_PRE,
    UNK_ID,
    Vocabulary,
    read_vocabulary,
)
from glm3edge_convert.writer import TensorInfo, TensorStream, check_output, open_gguf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Progress:
    """How far a conversion is; bytes are the output's."""

    tensor: str
    num_tensors_done: int
    num_tensors: int
    num_bytes_done: int
    num_bytes: int


@dataclass(frozen=True)
class Summary:
    """A finished conversion; `type_counts` maps ggml type names to numbers of tensors."""

    path: Path
    num_bytes_source: int
    num_bytes: int
    seconds: float
    type_counts: dict[str, int]


@dataclass(frozen=True)
class _Plan:
    """Everything known before the first byte of data is read."""

    name: str
    recipe: Recipe
    hparams: HParams
    vocabulary: Vocabulary
    tensors: Sequence[OutputTensor]
    infos: Sequence[TensorInfo]


def convert(
    source: Path,
    output: Path,
    *,
    type: str = DEFAULT_TYPE,  # noqa: A002  (the option's name)
    threads: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    overwrite: bool = False,
) -> Summary:
    """Convert the checkpoint folder `source` to the GGUF file `output`.

    `type` is one of recipe.RECIPES, `threads` the number of CPU threads (all by default).
    `progress` is called from this thread. Raises ConvertError; leaves no file behind then.
    """
    started = time.monotonic()
    recipe = get_recipe(type)
    check_output(output, overwrite=overwrite)
    plan = _make_plan(source, recipe)
    load_library()
    with (
        open_gguf(
            output,
            architecture=ARCHITECTURE,
            add_metadata=lambda writer: _add_metadata(writer, plan),
            infos=plan.infos,
            overwrite=overwrite,
        ) as stream,
        Quantizer(threads or os.cpu_count() or 1) as quantizer,
    ):
        _write_tensors(plan, stream, quantizer, progress or _ignore)
    return _summarize(plan, output, time.monotonic() - started)


def _make_plan(source: Path, recipe: Recipe) -> _Plan:
    config = read_config(source)
    check_architecture(source, config)
    hparams = parse_hparams(source, config)
    tensors = plan_tensors(source, open_tensors(source), hparams)
    vocabulary = read_vocabulary(source, hparams.vocab_size)
    infos = [
        TensorInfo(
            tensor.name,
            tensor.shape,
            tensor_type(recipe, tensor.name, tensor.shape, hparams.num_layers),
        )
        for tensor in tensors
    ]
    return _Plan(model_name(source), recipe, hparams, vocabulary, tensors, infos)


def model_name(source: Path) -> str:
    """The folder's name, or the model's where the folder is a snapshot of the Hugging Face cache.

    Such a folder is `models--<owner>--<name>/snapshots/<commit>`.
    """
    folder = source.resolve()
    if folder.parent.name == "snapshots":
        return folder.parent.parent.name.rpartition("--")[2]
    return folder.name


def _add_metadata(writer: GGUFWriter, plan: _Plan) -> None:
    if plan.name:
        writer.add_name(plan.name)
    writer.add_type("model")
    writer.add_file_type(plan.recipe.file_type)
    writer.add_quantization_version(GGML_QUANT_VERSION)
    for key, value in plan.hparams.to_gguf().items():
        if isinstance(value, float):
            writer.add_float32(key, value)
        else:
            writer.add_uint32(key, value)
    _add_vocabulary(writer, plan.vocabulary)


def _add_vocabulary(writer: GGUFWriter, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model(TOKENIZER_MODEL)
    writer.add_tokenizer_pre(TOKENIZER_PRE)
    writer.add_token_list([token.text for token in vocabulary.tokens])
    writer.add_token_scores([token.score for token in vocabulary.tokens])
    writer.add_token_types([int(token.type) for token in vocabulary.tokens])
    writer.add_bos_token_id(BOS_ID)
    writer.add_eos_token_id(EOS_ID)
    # A reply also ends where the next turn or a tool's result begins.
    writer.add_eot_token_id(vocabulary.id_of("<|user|>"))
    writer.add_eom_token_id(vocabulary.id_of("<|observation|>"))
    writer.add_unk_token_id(UNK_ID)
    writer.add_pad_token_id(UNK_ID)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(vocabulary.add_space_prefix)


def _write_tensors(
    plan: _Plan,
    stream: TensorStream,
    quantizer: Quantizer,
    report: Callable[[Progress], None],
) -> None:
    meter = _Meter(plan.infos, report)
    for tensor, info in zip(plan.tensors, plan.infos, strict=True):
        slabs = quantizer.quantize(tensor, info.type)
        stream.write(info.name, meter.watch(info, slabs))


class _Meter:
    """Counts the bytes that pass and reports after every slab."""

    def __init__(self, infos: Sequence[TensorInfo], report: Callable[[Progress], None]) -> None:
        self._num_tensors = len(infos)
        self._num_bytes = sum(info.num_bytes for info in infos)
        self._num_tensors_done = 0
        self._num_bytes_done = 0
        self._report = report

    def watch(
        self, info: TensorInfo, slabs: Iterator[NDArray[np.uint8]]
    ) -> Iterator[NDArray[np.uint8]]:
        num_bytes_before = self._num_bytes_done
        for slab in slabs:
            yield slab
            self._num_bytes_done += slab.nbytes
            self._num_tensors_done += self._num_bytes_done == num_bytes_before + info.num_bytes
            self._report(self._progress(info.name))

    def _progress(self, name: str) -> Progress:
        return Progress(
            tensor=name,
            num_tensors_done=self._num_tensors_done,
            num_tensors=self._num_tensors,
            num_bytes_done=self._num_bytes_done,
            num_bytes=self._num_bytes,
        )


def _ignore(progress: Progress) -> None:
    """No one watches."""


def _summarize(plan: _Plan, output: Path, seconds: float) -> Summary:
    paths = {tensor.source.path for tensor in plan.tensors}
    return Summary(
        path=output,
        num_bytes_source=sum(path.stat().st_size for path in paths),
        num_bytes=output.stat().st_size,
        seconds=seconds,
        type_counts=dict(Counter(info.type.name for info in plan.infos)),
    )
