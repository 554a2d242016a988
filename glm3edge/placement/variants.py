"""Variants of a model by quantization type: its GGUF file, or header-only files to plan with."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from glm3edge.errors import ConfigError
from glm3edge.llama.model import Model
from glm3edge_convert.checkpoint.config import read_config
from glm3edge_convert.models.chatglm.architecture import check_config
from glm3edge_convert.models.chatglm.header_only import write_header_only
from glm3edge_convert.models.chatglm.hparams import (
    CHATGLM3_6B,
    HParams,
    hparams_from_gguf,
    parse_hparams,
)

DEFAULT_TYPES = ("q2_k", "q3_k_m", "q4_k_s", "q4_k_m", "q5_k_m", "q6_k", "q8_0", "f16")
"""Types that are compared by default: one of each size, none that needs an importance matrix."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A model in one quantization type.

    Attributes:
        type: the type.
        path: its GGUF file, whole or header-only.
        num_bytes: size of the whole file.
    """

    type: str
    path: Path
    num_bytes: int


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """A model to plan for.

    Attributes:
        name: the name that the user gave, None for ChatGLM3-6B by default.
        hparams: its hyperparameters.
        file: its GGUF file, None if it is a checkpoint.
        file_type: quantization type of the file, None if it is unknown.
    """

    name: str | None
    hparams: HParams
    file: Path | None = None
    file_type: str | None = None


def read_planned_model(name: str | None, path: Path | None) -> PlannedModel:
    """Read the hyperparameters of a GGUF file or a checkpoint folder; ChatGLM3-6B's without a path.

    Raises:
        ConvertError: the folder is no ChatGLM3 checkpoint.
        ModelError: the file is no ChatGLM3 model.
    """
    if path is None:
        return PlannedModel(name, CHATGLM3_6B)
    if path.is_dir():
        config = read_config(path)
        check_config(path, config)
        return PlannedModel(name, parse_hparams(path, config))
    return _read_file(name, path)


def _read_file(name: str | None, path: Path) -> PlannedModel:
    with Model(path, vocab_only=True) as model:
        hparams = hparams_from_gguf(model.metadata, model.vocab_size)
        return PlannedModel(name, hparams, path, model.file_type)


@contextmanager
def opened_variants(planned: PlannedModel, types: Sequence[str]) -> Iterator[tuple[Variant, ...]]:
    """Variants of a model in these types (or DEFAULT_TYPES), for the time of a ``with`` block.

    Raises:
        ConfigError: a GGUF file is to be planned for in another type than its own.
        ConvertError: there is no such type.
    """
    if planned.file is not None:
        own = planned.file_type or "?"
        if any(type_name.lower() != own for type_name in types):
            raise ConfigError(f"--type: {planned.file} is {own}; name its checkpoint for others")
        yield (Variant(own, planned.file, planned.file.stat().st_size),)
        return
    with header_only_variants(planned.hparams, types or DEFAULT_TYPES) as variants:
        yield variants


@contextmanager
def header_only_variants(hparams: HParams, types: Sequence[str]) -> Iterator[tuple[Variant, ...]]:
    """Header-only GGUF files of a model in these types, for the time of a ``with`` block.

    Raises:
        ConvertError: there is no such type.
    """
    with tempfile.TemporaryDirectory(prefix="glm3edge-") as folder:
        yield tuple(
            _write_variant(Path(folder) / f"{type_name}.gguf", hparams, type_name)
            for type_name in dict.fromkeys(name.lower() for name in types)
        )


def _write_variant(path: Path, hparams: HParams, type_name: str) -> Variant:
    return Variant(type_name, path, write_header_only(path, hparams, type_name))
