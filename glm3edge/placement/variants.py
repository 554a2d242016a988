"""Variants: a model in each type, as outlines that take no space, for planning to reckon with."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from glm3edge.errors import ConfigError, ModelLoadError
from glm3edge.llama.model import Model
from glm3edge.placement.compare import Variant
from glm3edge_convert.checkpoint.architecture import check_model_type
from glm3edge_convert.checkpoint.hparams import HParams, parse_hparams, read_config
from glm3edge_convert.models.outline import CHATGLM3_6B, read_hparams, write_outline
from glm3edge_convert.quantize.recipe import file_type_name

DEFAULT_TYPES = ("q2_k", "q3_k_m", "q4_k_s", "q4_k_m", "q5_k_m", "q6_k", "q8_0", "f16")
"""Types that are compared unless others are asked for: one of each size, none that needs an
importance matrix."""


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """A model that is planned for.

    Attributes:
        name: as the user calls it, None for ChatGLM3-6B that nobody named.
        hparams: its sizes.
        file: the GGUF file, where it is one.
        file_type: the type of that, if it tells.
    """

    name: str | None
    hparams: HParams
    file: Path | None = None
    file_type: str | None = None


def read_planned_model(name: str | None, path: Path | None) -> PlannedModel:
    """What is at ``path``: a GGUF file or a checkpoint folder, of which only the sizes are read.

    Raises:
        ConvertError: the folder is no ChatGLM3 checkpoint's.
        ModelError: the file is no ChatGLM3 model.
    """
    if path is None:
        return PlannedModel(name, CHATGLM3_6B)
    if path.is_dir():
        config = read_config(path)
        check_model_type(path, config)
        return PlannedModel(name, parse_hparams(path, config))
    return _read_file(name, path)


def _read_file(name: str | None, path: Path) -> PlannedModel:
    with Model(path, vocab_only=True) as model:
        number = model.metadata("general.file_type") or ""
        try:
            hparams = read_hparams(model.metadata, model.vocab_size)
        except KeyError as exc:
            raise ModelLoadError(path, f"its metadata lacks {exc.args[0]}") from exc
    type_name = file_type_name(int(number)) if number.isdecimal() else None
    return PlannedModel(name, hparams, path, type_name)


@contextmanager
def opened_variants(subject: PlannedModel, types: Sequence[str]) -> Iterator[tuple[Variant, ...]]:
    """The model in these types (DEFAULT_TYPES if none is named), within a ``with`` block.

    Raises:
        ConfigError: a file is asked for in another type than its own.
        ConvertError: there is no such type.
    """
    if subject.file is not None:
        own = subject.file_type or "?"
        if any(type_name.lower() != own for type_name in types):
            raise ConfigError(f"--type: {subject.file} is {own}; name its checkpoint for others")
        yield (Variant(own, subject.file, subject.file.stat().st_size),)
        return
    with outlines(subject.hparams, types or DEFAULT_TYPES) as variants:
        yield variants


@contextmanager
def outlines(hparams: HParams, types: Sequence[str]) -> Iterator[tuple[Variant, ...]]:
    """Outlines of a model of these sizes in these types, within a ``with`` block.

    Raises:
        ConvertError: there is no such type.
    """
    with tempfile.TemporaryDirectory(prefix="glm3edge-") as folder:
        yield tuple(
            _outline(Path(folder) / f"{type_name}.gguf", hparams, type_name)
            for type_name in dict.fromkeys(name.lower() for name in types)
        )


def _outline(path: Path, hparams: HParams, type_name: str) -> Variant:
    return Variant(type_name, path, write_outline(path, hparams, type_name))
