"""Vocabularies and ids: equal where they should be, and what is said where they are not."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from glm3edge.chatglm3.calibration import DEFAULT_TEXT
from glm3edge.chatglm3.vocabulary import SpecialTokens
from glm3edge.commands.verify.errors import MismatchError
from glm3edge.commands.verify.vocabulary import (
    CONVERSATIONS,
    CheckpointVocabulary,
    ListedVocabulary,
    check_entries,
    check_ids,
)
from glm3edge.llama.model import Model, TokenEntry
from glm3edge_convert import convert
from glm3edge_convert.errors import NotACheckpointError, TokenizerError
from glm3edge_convert.synth.random_checkpoint import SHAPES, make_checkpoint
from tests.support.gguf_files import SPACE_PREFIX, set_bool, set_uint32, swap_tokens
from tests.support.optional import missing
from tests.support.paths import NO_OFFICIAL, OFFICIAL_TOKENIZER

pytestmark = pytest.mark.slow

LINES = DEFAULT_TEXT.read_text("utf-8").splitlines()


@pytest.fixture
def original(tiny_checkpoint: Path, tiny_model: Model) -> CheckpointVocabulary:
    return CheckpointVocabulary(tiny_checkpoint, tiny_model.vocab_size)


@contextmanager
def vocabulary(path: Path) -> Iterator[Model]:
    with Model(path, vocab_only=True) as model:
        yield model


def check(path: Path, original: ListedVocabulary) -> int:
    with vocabulary(path) as model:
        check_entries(path, model, original)
        return check_ids(path, model, original, LINES)


def test_a_converted_file_agrees(tiny_gguf: Path, original: CheckpointVocabulary) -> None:
    assert check(tiny_gguf, original) == len(CONVERSATIONS) + len(LINES)


def test_the_checkpoint_is_a_vocabulary_like_any(
    tiny_model: Model, original: CheckpointVocabulary
) -> None:
    assert SpecialTokens.of(original) == SpecialTokens.of(tiny_model)
    assert original.control_token_id("<|nobody|>") is None
    for token_id in range(tiny_model.vocab_size):
        assert original.piece(token_id) == tiny_model.piece(token_id)
    assert original.token_name(original.eos_id) == b"</s>"


def test_the_official_tokenizer(tmp_path: Path) -> None:
    if not OFFICIAL_TOKENIZER.is_file():
        missing(NO_OFFICIAL)
    make_checkpoint(tmp_path / "made", shape=SHAPES["tiny"], tokenizer=OFFICIAL_TOKENIZER)
    convert(tmp_path / "made", tmp_path / "made.gguf", quant_type="q4_0")
    with vocabulary(tmp_path / "made.gguf") as model:
        vocab_size = model.vocab_size
    assert check(tmp_path / "made.gguf", CheckpointVocabulary(tmp_path / "made", vocab_size))


def test_a_permuted_vocabulary(
    tiny_gguf: Path, tiny_model: Model, original: CheckpointVocabulary, tmp_path: Path
) -> None:
    swapped = tmp_path / "swapped.gguf"
    letters = [tiny_model.tokenize(f"x{letter}")[-1] for letter in "qz"]
    swap_tokens(tiny_gguf, swapped, *(tiny_model.entry(token_id).text for token_id in letters))
    with pytest.raises(MismatchError, match=r"2 of \d+ tokens differ") as caught:
        check(swapped, original)
    assert str(caught.value).startswith(f"{swapped}: ")
    assert "'q'" in str(caught.value)
    assert "'z'" in str(caught.value)


def test_another_tokenizer(tiny_gguf: Path, demo_checkpoint: Path) -> None:
    with pytest.raises(
        MismatchError, match="tokens where the original has 5312: it comes from another"
    ):
        check(tiny_gguf, CheckpointVocabulary(demo_checkpoint, 5312))


def test_the_same_tokens_and_other_ids(
    tiny_gguf: Path, original: CheckpointVocabulary, tmp_path: Path
) -> None:
    changed = tmp_path / "changed.gguf"
    set_bool(tiny_gguf, changed, SPACE_PREFIX, False)
    with pytest.raises(MismatchError, match="gives '你好' other token ids than the original"):
        check(changed, original)


def test_another_end(tiny_gguf: Path, original: CheckpointVocabulary, tmp_path: Path) -> None:
    changed = tmp_path / "changed.gguf"
    set_uint32(tiny_gguf, changed, "tokenizer.ggml.eos_token_id", 1)
    with pytest.raises(MismatchError, match="a text ends with token 1 where the original has 2"):
        check(changed, original)


class Listed:
    """A vocabulary of listed tokens, which tokenizes nothing."""

    eos_id = 1

    def __init__(self, *entries: TokenEntry) -> None:
        self._entries = entries
        self.vocab_size = len(entries)

    def entry(self, token_id: int) -> TokenEntry:
        return self._entries[token_id]

    def tokenize(self, text: str) -> list[int]:
        raise NotImplementedError

    def control_token_id(self, text: str) -> int | None:
        raise NotImplementedError

    def piece(self, token_id: int) -> bytes:
        raise NotImplementedError

    def token_name(self, token_id: int) -> bytes:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("found", "original", "same"),
    [
        (TokenEntry("a", "normal", -1.0), TokenEntry("a", "normal", -1.0), True),
        (TokenEntry("a", "normal", -1.0), TokenEntry("a", "normal", -2.0), False),
        (TokenEntry("a", "normal", 0.0), TokenEntry("a", "byte", 0.0), False),
        (TokenEntry("<|sop|>", "control", 0.0), TokenEntry("sop", "control", 0.0), True),
        (TokenEntry("<|sop|>", "normal", 0.0), TokenEntry("sop", "normal", 0.0), False),
        (TokenEntry("<|eos|>", "control", 0.0), TokenEntry("</s>", "control", 0.0), True),
        (TokenEntry("<|user|>", "control", 0.0), TokenEntry("<|system|>", "control", 0.0), False),
        (TokenEntry("[PAD7]", "unused", 0.0), TokenEntry("[PAD8]", "unused", 0.0), True),
    ],
)
def test_entries(found: TokenEntry, original: TokenEntry, same: bool) -> None:
    if same:
        check_entries(Path("x.gguf"), Listed(found), Listed(original))
        return
    with pytest.raises(MismatchError, match="1 of 1 tokens differ"):
        check_entries(Path("x.gguf"), Listed(found), Listed(original))


def test_checkpoints_without_a_tokenizer(tmp_path: Path, tiny_checkpoint: Path) -> None:
    with pytest.raises(NotACheckpointError, match=r"tokenizer\.model is missing"):
        CheckpointVocabulary(tmp_path, 100)
    shutil.copy(tiny_checkpoint / "config.json", tmp_path / "tokenizer.model")
    with pytest.raises(TokenizerError, match="is not a SentencePiece model"):
        CheckpointVocabulary(tmp_path, 100)
