"""Export of a checkpoint's tokenizer to the files of Hugging Face's fast tokenizers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glm3edge_convert.checkpoint.config import read_config
from glm3edge_convert.errors import TokenizerError
from glm3edge_convert.gguf.part_file import open_part
from glm3edge_convert.gguf.writer import check_output, translated_errors
from glm3edge_convert.models.chatglm.plan import check_settings
from glm3edge_convert.tokenizer import hugging_face, vocab
from glm3edge_convert.tokenizer.sentencepiece import PieceType


@dataclass(frozen=True)
class ExportSummary:
    """Result of an export: the files, and their number of tokens."""

    paths: tuple[Path, ...]
    num_tokens: int


def export_tokenizer(
    source: Path, output: Path | None = None, *, overwrite: bool = False
) -> ExportSummary:
    """Write tokenizer.json and tokenizer_config.json for the checkpoint folder ``source``.

    Args:
        source: the checkpoint folder; its weights are not read.
        output: the folder to write to, created if need be; ``source`` by default.
        overwrite: whether files may be replaced.

    Raises:
        ConvertError: the export failed.
    """
    _, hparams = check_settings(source, read_config(source), None)
    vocabulary = vocab.read_vocabulary(source, hparams.vocab_size)
    if any(token.type is PieceType.USER_DEFINED for token in vocabulary.tokens):
        problem = "has user-defined pieces, which a fast tokenizer would join with others"
        raise TokenizerError(source / vocab.TOKENIZER_FILE, f"{problem}; it cannot be exported")
    folder = output or source
    contents = {
        folder / hugging_face.TOKENIZER_FILE: hugging_face.tokenizer_json(vocabulary),
        folder / hugging_face.CONFIG_FILE: hugging_face.tokenizer_config(vocabulary),
    }
    with translated_errors(folder, 0):
        folder.mkdir(parents=True, exist_ok=True)
    for path in contents:
        check_output(path, overwrite=overwrite)
    for path, content in contents.items():
        _write(path, content)
    num_tokens = vocabulary.num_pieces + len(vocab.SPECIAL_TOKENS)
    return ExportSummary(tuple(contents), num_tokens)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file that appears complete or not at all, and never through a link."""
    data = (json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
    with translated_errors(path, len(data)), open_part(path) as part:
        part.file.truncate()
        part.file.write(data)
        part.sync()
        part.move_to(path)
