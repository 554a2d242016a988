"""Calibration text, as windows of token ids over which model files are compared.

A text may hold several documents, and conversations in the notation of ChatGLM3's own description
of its format:

    [gMASK]sop                      a line of its own: here a document begins
    <|assistant|>get_weather        a line that begins so: here a turn begins, of this role and
    tool_call(city="上海")           metadata; what follows is its content

Only whole lines count; within a line, role tags are text like any other. The package has a text of
its own in ``data/calibration.txt``.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from glm3edge.chatglm3.prompt import Role, Turn, encode_turn
from glm3edge.chatglm3.vocabulary import SpecialTokens, Vocabulary
from glm3edge.errors import ConfigError
from glm3edge_convert.files import read_text as read_plain_text

DEFAULT_TEXT = Path(__file__).parent / "data" / "calibration.txt"
"""Half Chinese, half English: prose, dialogue, code, tables, JSON, numbers and tool calls."""

MIN_WINDOW = 16
_DOCUMENT = re.compile(r"^\[gMASK\]sop\n", re.MULTILINE)
_TURN = re.compile(r"^<\|(system|user|assistant|observation)\|>(.*)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of a text, all of ``size`` tokens, each with the prefix of every ChatGLM3 prompt.

    The first half of each is context only; the tokens after it are predicted, one from all before.
    """

    size: int
    rows: list[list[int]]

    @property
    def num_context(self) -> int:
        """Number of tokens before the first predicted one."""
        return self.size // 2 + 1

    @property
    def num_predicted(self) -> int:
        """Number of predicted tokens of a window."""
        return self.size - self.num_context

    def targets(self, index: int) -> list[int]:
        """Predicted tokens of a window."""
        return self.rows[index][self.num_context :]


def read_text(path: Path) -> str:
    """Text of a file.

    Raises:
        ConfigError: the file cannot be read, is empty or is not UTF-8.
    """
    try:
        text = read_plain_text(path)
    except OSError as exc:
        raise ConfigError(f"cannot read the text {path}: {exc.strerror or exc}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"the text {path} is not UTF-8: save it as UTF-8") from exc
    if not text.strip():
        raise ConfigError(f"the text {path} is empty")
    return text


def encode(text: str, vocabulary: Vocabulary) -> list[int]:
    """Token ids of all documents and turns of ``text``, one after the other.

    Raises:
        MissingTokenError: the vocabulary is not that of a ChatGLM3 model.
    """
    special = SpecialTokens.of(vocabulary)
    ids: list[int] = []
    for document in filter(str.strip, _DOCUMENT.split(text)):
        ids += special.prefix
        for part in _parts(document.strip("\n") + "\n"):
            ids += (
                vocabulary.tokenize(part)
                if isinstance(part, str)
                else encode_turn(part, vocabulary, special)
            )
    return ids


def cut(token_ids: Sequence[int], prefix: Sequence[int], size: int, *, most: int = 0) -> Windows:
    """Windows of a text; a rest at its end that fills none is dropped.

    Args:
        token_ids: tokens of the text.
        prefix: what each window begins with.
        size: tokens of a window.
        most: greatest number of windows, 0 for all.

    Raises:
        ConfigError: the text does not fill one.
    """
    step = size - len(prefix)
    starts = range(0, len(token_ids) - step + 1, step)
    rows = [[*prefix, *token_ids[start : start + step]] for start in starts]
    if not rows:
        raise ConfigError(
            f"the text has {len(token_ids)} tokens and a window takes {step}: "
            "give a longer --text or a smaller --window"
        )
    return Windows(size, rows[: most or None])


def _parts(document: str) -> Iterator[str | Turn]:
    """Text before the first turn, if there is any, and the turns."""
    before, *rest = _TURN.split(document)
    if before.strip():
        yield before.rstrip("\n")
    for role, metadata, content in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        yield Turn(Role(role), content.rstrip("\n"), metadata.strip())
