"""Selection of a repository's files: one GGUF model, or a checkpoint with one kind of weights."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from glm3edge.store.hub.errors import FileChoiceError, MissingFileError, NotAModelError
from glm3edge.store.hub.names import HubName
from glm3edge_convert.checkpoint.weights import weights_entry
from glm3edge_convert.quantize.recipe import DEFAULT_TYPE

CONFIG_FILE = "config.json"
VOCABULARY_FILES = frozenset(
    {"sentencepiece.bpe.model", "tokenizer.json", "tokenizer.model", "vocab.txt"}
)
CHECKPOINT_FILES = VOCABULARY_FILES | {
    CONFIG_FILE,
    "added_tokens.json",
    "modeling_chatglm.py",  # read as text, to tell ChatGLM3 from ChatGLM2
    "modules.json",
    "sentence_bert_config.json",
    "special_tokens_map.json",
    "tokenization_chatglm.py",
    "tokenizer_config.json",
}
"""Files that conversion reads, besides weights and the pooling config of encoders."""

_POOLING_CONFIG = re.compile(r"\d+_Pooling/config\.json")
_SPLIT = re.compile(r"-(\d{5})-of-(\d{5})(?=\.gguf$)", re.IGNORECASE)


@dataclass(frozen=True)
class Selection:
    """Files of a repository, by their paths in it.

    Those of kind ``gguf`` are the parts of one model, in order; those of kind ``checkpoint`` lack
    the shards that the weights' index names.
    """

    kind: Literal["gguf", "checkpoint"]
    files: tuple[str, ...]


def select(name: HubName, paths: Collection[str], quant_type: str | None) -> Selection:
    """Select the files that ``name`` needs of a repository that has ``paths``.

    The name's choice goes before ``quant_type``, and a GGUF file of that type before a checkpoint,
    which would have to be converted. With neither, a checkpoint is taken, or else the only GGUF
    file, or else the one of DEFAULT_TYPE.

    Raises:
        FileChoiceError: no GGUF file fits, or several do.
        MissingFileError: a GGUF model lacks some of its parts.
        NotAModelError: the repository holds no model.
    """
    models = _gguf_models(paths)
    if name.file_choice:
        return _only(name, models, [m for m in models if _matches(m[0], name.file_choice)])
    wanted = name.type_choice or quant_type
    fitting = [m for m in models if _is_of_type(m[0], wanted or DEFAULT_TYPE)]
    if CONFIG_FILE in paths and weights_entry(paths) and not (wanted and fitting):
        return Selection("checkpoint", tuple(_checkpoint_files(paths)))
    if not models:
        raise NotAModelError(str(name))
    if wanted is None and len(models) == 1:
        fitting = models
    return _only(name, models, fitting)


def _gguf_models(paths: Iterable[str]) -> list[tuple[str, ...]]:
    """GGUF models, each with its parts if it is split."""
    models: dict[str, list[str]] = {}
    for path in sorted(path for path in paths if path.lower().endswith(".gguf")):
        models.setdefault(_SPLIT.sub("", path), []).append(path)
    return [tuple(parts) for parts in models.values()]


def _matches(path: str, pattern: str) -> bool:
    """Whether ``pattern`` is a file's path or name, or matches one of them."""
    return any(
        text == pattern or fnmatchcase(text.lower(), pattern.lower())
        for text in (path, path.rpartition("/")[2])
    )


def _is_of_type(path: str, quant_type: str) -> bool:
    """Whether a file's name has ``quant_type`` as a word, in any case."""
    word = re.escape(quant_type.lower())
    stem = path.rpartition("/")[2].lower().removesuffix(".gguf")
    return re.search(rf"(?<![a-z0-9]){word}(?![a-z0-9_])", stem) is not None


def _only(
    name: HubName, models: list[tuple[str, ...]], fitting: list[tuple[str, ...]]
) -> Selection:
    if len(fitting) != 1:
        known = [model[0] for model in models]
        raise FileChoiceError(str(name), name.repository, known, num_fitting=len(fitting))
    parts = fitting[0]
    if (split := _SPLIT.search(parts[0])) and len(parts) < int(split[2]):
        raise MissingFileError(name.repository)
    return Selection("gguf", parts)


def _checkpoint_files(paths: Collection[str]) -> list[str]:
    entry = weights_entry(paths)
    return sorted(
        path
        for path in paths
        if path in CHECKPOINT_FILES or _POOLING_CONFIG.fullmatch(path) or path == entry
    )
