"""Reader of SentencePiece model files, for the fields that GGUF has.

The file is one protocol buffer message, ``ModelProto`` of sentencepiece_model.proto. The
sentencepiece package does not tell user-defined pieces or normalization rules apart from the rest,
so the message is read here: tags and varints as in protobuf.dev/programming-guides/encoding.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from glm3edge_convert.downloads import download_problem
from glm3edge_convert.errors import NotACheckpointError, TokenizerError, UnreadableFileError
from glm3edge_convert.files import read_file

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FIXED_SIZES = {FIXED64: 8, FIXED32: 4}
MAX_VARINT_SIZE = 10


class PieceType(IntEnum):
    """``ModelProto.SentencePiece.Type``; GGUF's token types have the same numbers."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


class ModelType(IntEnum):
    """``TrainerSpec.ModelType``."""

    UNIGRAM = 1
    BPE = 2
    WORD = 3
    CHAR = 4


@dataclass(frozen=True)
class Piece:
    """A token: its text, its score and its type."""

    text: str
    score: float
    type: PieceType


@dataclass(frozen=True)
class SentencePieceModel:
    """Contents of a model file; defaults are those of sentencepiece_model.proto."""

    pieces: tuple[Piece, ...]
    model_type: ModelType
    byte_fallback: bool
    whitespace_suffix: bool
    normalization_rules: bytes
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool
    escape_whitespaces: bool


def read_model(path: Path) -> SentencePieceModel:
    """Read the model file of a checkpoint folder.

    Raises:
        NotACheckpointError: there is no such file.
        UnreadableFileError: it may not be read.
        TokenizerError: it is not a SentencePiece model.
    """
    try:
        return parse_model(read_file(path))
    except FileNotFoundError as exc:
        raise NotACheckpointError(path.parent, f"{path.name} is missing") from exc
    except OSError as exc:
        raise UnreadableFileError(path, exc) from exc
    except ValueError as exc:
        problem = download_problem(path) or "is not a SentencePiece model; download it again"
        raise TokenizerError(path, problem) from exc


def parse_model(data: bytes) -> SentencePieceModel:
    """Parse a model file.

    Raises:
        ValueError: it is not one.
    """
    pieces: list[Piece] = []
    trainer: dict[int, int | bytes] = {}
    normalizer: dict[int, int | bytes] = {}
    for field, value in _fields(data):
        if field == 1:
            pieces.append(_parse_piece(_as_bytes(value)))
        elif field == 2:
            trainer |= dict(_fields(_as_bytes(value)))
        elif field == 3:
            normalizer |= dict(_fields(_as_bytes(value)))
    return SentencePieceModel(
        pieces=tuple(pieces),
        model_type=ModelType(_as_int(trainer.get(3, ModelType.UNIGRAM))),
        byte_fallback=bool(trainer.get(35, False)),
        whitespace_suffix=bool(trainer.get(24, False)),
        normalization_rules=_as_bytes(normalizer.get(2, b"")),
        add_dummy_prefix=bool(normalizer.get(3, True)),
        remove_extra_whitespaces=bool(normalizer.get(4, True)),
        escape_whitespaces=bool(normalizer.get(5, True)),
    )


def _parse_piece(data: bytes) -> Piece:
    fields = dict(_fields(data))
    score = _as_float(_as_bytes(fields.get(2, bytes(4))))
    piece_type = PieceType(_as_int(fields.get(3, PieceType.NORMAL)))
    return Piece(_as_bytes(fields.get(1, b"")).decode("utf-8"), score, piece_type)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(Field number, value) pairs of a message: int for varints, bytes for all else."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        field, wire_type = tag >> 3, tag & 7
        if wire_type == VARINT:
            value, position = _varint(data, position)
            yield field, value
            continue
        if wire_type == BYTES:
            size, position = _varint(data, position)
        elif wire_type in FIXED_SIZES:
            size = FIXED_SIZES[wire_type]
        else:
            raise ValueError(f"wire type {wire_type}")
        if position + size > len(data):
            raise ValueError("message is cut short")
        yield field, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A base-128 varint and the position after it."""
    value = 0
    for index, byte in enumerate(data[position : position + MAX_VARINT_SIZE]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position + index + 1
    raise ValueError("message is cut short")


def _as_bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("number where bytes belong")
    return value


def _as_float(data: bytes) -> float:
    if len(data) != 4:
        raise ValueError("a float has four bytes")
    (value,) = struct.unpack("<f", data)
    return float(value)


def _as_int(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise ValueError("bytes where a number belongs")
    return value
