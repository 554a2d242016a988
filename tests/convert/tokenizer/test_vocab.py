"""llama.cpp, reading the converted vocabulary, tokenizes as SentencePiece does."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import pytest
import sentencepiece
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from glm3edge_convert import convert
from glm3edge_convert.errors import NotACheckpointError, TokenizerError
from glm3edge_convert.synth.random_checkpoint import Shape, make_checkpoint
from glm3edge_convert.tokenizer.sentencepiece import Piece, PieceType, parse_model
from glm3edge_convert.tokenizer.vocab import (
    SPECIAL_TOKENS,
    _check_texts,
    _with_safe_texts,
    read_vocabulary,
)
from tests.support import llama

pytestmark = pytest.mark.slow

SHAPE = Shape(32, 1, 2, 1, 16, 32, 64)
OFFICIAL_VOCAB_SIZE = 65024
LITERAL_TAGS = (
    "<|user|>",
    "<|assistant|>",
    "<|system|>",
    "<|observation|>",
    "[gMASK]",
    "[MASK]",
    "[sMASK]",
    "sop",
    "eop",
    "<|sop|>",
    "<|eop|>",
    "</s>",
    "<s>",
    "<unk>",
    "<pad>",
    "<|eos|>",
    "<0x0A>",
    "<0xFF>",
    "[PAD64798]",
    "▁",
    "▁▁",
)
GOLDEN = (
    "",
    " ",
    "  two  spaces ",
    "\n",
    "\r\n\t mixed \t\n",
    "你好",
    "今天天气怎么样？我想知道北京的气温。",
    "Hello, world! It's 10:30 — 3.14159 × 2.",
    # llama.cpp's own converter makes control tokens of the "sop" and "eop" in these.
    "philosophy",
    "geopolitics",
    "Peoples",
    "sopranos sop it up; eop",
    "def f(x):\n    return x ** 2  # 平方\n",
    '{"name": "get_weather", "parameters": {"city": "上海"}}',
    "🙂👩‍👩‍👧‍👦🇨🇳 emoji",
    "𠮷野家 \u200b\ufeff zero\u00a0width",
    "e\u0301 é ﬁ Ⅳ ㎏ ａｂｃ",
    "\x00 NUL \x00\x01\x7f",
    "a" * 300 + "的" * 100,
    *LITERAL_TAGS,
    " ".join(LITERAL_TAGS),
    "".join(LITERAL_TAGS),
)
PARTS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.text("的一是不了人我在有他这中大来上国 ，。？！", max_size=20),
    st.text("eops 01<|>[]/\n\t▁", max_size=20),
    st.sampled_from([*LITERAL_TAGS, " ", "\n", "    ", "return ", "people", "op"]),
)
TEXTS = st.lists(PARTS, max_size=8).map("".join)
Tokenizers = tuple[llama.Model, sentencepiece.SentencePieceProcessor]


@pytest.fixture(scope="module", params=["own", "official"])
def tokenizers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tokenizers]:
    """The same vocabulary in llama.cpp and in SentencePiece."""
    official = request.param == "official"
    path: Path = request.getfixturevalue("official_tokenizer" if official else "tokenizer")
    folder = tmp_path_factory.mktemp("vocab")
    shape = Shape(32, 1, 2, 1, 16, 32, 64, None, OFFICIAL_VOCAB_SIZE if official else None)
    make_checkpoint(folder / "checkpoint", shape=shape, tokenizer=path)
    convert(folder / "checkpoint", folder / "vocab.gguf", quant_type="f16", threads=1)
    with llama.Model(folder / "vocab.gguf", vocab_only=True) as model:
        yield model, sentencepiece.SentencePieceProcessor(model_file=str(path))


@pytest.mark.parametrize("text", GOLDEN)
def test_golden_text(text: str, tokenizers: Tokenizers) -> None:
    model, processor = tokenizers
    assert model.tokenize(text) == processor.encode(text)


@given(text=TEXTS)
@example(text="sop")
@settings(
    max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_random_text(text: str, tokenizers: Tokenizers) -> None:
    model, processor = tokenizers
    assert model.tokenize(text) == processor.encode(text)


def test_special_tokens_follow_the_pieces(tokenizers: Tokenizers) -> None:
    model, processor = tokenizers
    first = processor.get_piece_size()
    texts = [model.token_text(first + i) for i in range(len(SPECIAL_TOKENS))]
    assert texts == list(SPECIAL_TOKENS)
    control = llama_cpp.LLAMA_TOKEN_ATTR_CONTROL
    for token in (1, 2, *range(first, first + len(SPECIAL_TOKENS))):
        assert llama_cpp.llama_vocab_get_attr(model.vocab, token) == control


def test_official_ids(official_tokenizer: Path) -> None:
    vocabulary = read_vocabulary(official_tokenizer.parent, OFFICIAL_VOCAB_SIZE)
    assert len(vocabulary.tokens) == OFFICIAL_VOCAB_SIZE
    assert [vocabulary.id_of(text) for text in SPECIAL_TOKENS] == list(range(64789, 64798))
    assert vocabulary.tokens[0].text == "<unk>"
    assert [token.text for token in vocabulary.tokens[1:3]] == ["<s>", "</s>"]
    assert vocabulary.tokens[-1] == Piece("[PAD65023]", 0.0, PieceType.UNUSED)


def test_generation_ends_at_eos_user_and_observation(tokenizers: Tokenizers) -> None:
    model, processor = tokenizers
    first = processor.get_piece_size()
    ends = {
        token
        for token in range(model.num_tokens)
        if llama_cpp.llama_vocab_is_eog(model.vocab, token)
    }
    user, observation = (SPECIAL_TOKENS.index(tag) for tag in ("<|user|>", "<|observation|>"))
    assert ends == {2, first + user, first + observation}
    assert llama_cpp.llama_vocab_eos(model.vocab) == 2
    assert llama_cpp.llama_vocab_bos(model.vocab) == 1
    assert llama_cpp.llama_vocab_pad(model.vocab) == 0
    assert not llama_cpp.llama_vocab_get_add_bos(model.vocab)
    assert not llama_cpp.llama_vocab_get_add_eos(model.vocab)


def _tokens(*pieces: str, specials: tuple[str, ...] = ("</s>",)) -> tuple[Piece, ...]:
    return _with_safe_texts(
        [
            *(Piece(text, 0.0, PieceType.CONTROL) for text in specials),
            *(Piece(text, 0.0, PieceType.NORMAL) for text in pieces),
        ]
    )


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (("</", "s"), "</s>"),
        (("</", "</s", "s"), "<|eos|>"),
        (("s>", "/s>"), "<|eos|>"),
        (("/s>",), "</s>"),  # nothing joins into "/s>" itself
    ],
)
def test_end_of_text_is_respelled_if_plain_text_can_reach_it(
    pieces: tuple[str, ...], text: str
) -> None:
    assert _tokens(*pieces)[0].text == text


@pytest.mark.parametrize(
    "pieces",
    [
        ("<|user|>",),
        ("<|", "<|u", "<|us", "<|use", "<|user", "<|user|"),
        ("<|", "<|u", "se", "<|use", "r|", "r|>"),
    ],
)
def test_a_vocabulary_that_can_spell_a_role_is_refused(pieces: tuple[str, ...]) -> None:
    tokens = _tokens(*pieces, specials=("<|user|>",))
    with pytest.raises(TokenizerError, match=r"<\|user\|>"):
        _check_texts(Path("tokenizer.model"), tokens)


def test_sop_and_eop_would_be_reached_under_their_own_names() -> None:
    """Why the output spells them otherwise: llama.cpp would make control tokens of plain text."""
    for text in ("sop", "eop"):
        with pytest.raises(TokenizerError, match=text):
            _check_texts(Path("tokenizer.model"), _tokens("op", specials=(text,)))


def _train(tmp_path: Path, **options: Any) -> Path:
    sentences = [f"the quick brown fox {i} jumps over the lazy dog" for i in range(200)]
    with (tmp_path / "tokenizer.model").open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            **{
                "sentence_iterator": iter(sentences),
                "model_writer": file,
                "model_type": "bpe",
                "vocab_size": 310,
                "byte_fallback": True,
                "normalization_rule_name": "identity",
                "remove_extra_whitespaces": False,
                "minloglevel": 2,
                **options,
            }
        )
    return tmp_path


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"model_type": "unigram", "hard_vocab_limit": False}, "is not a BPE model"),
        ({"normalization_rule_name": "nmt_nfkc"}, "normalises text"),
        ({"remove_extra_whitespaces": True}, "removes whitespace"),
        ({"byte_fallback": False, "vocab_size": 60}, "lacks byte fallback"),
        ({"treat_whitespace_as_suffix": True}, "marks whitespace at the end"),
        ({"unk_id": 3, "bos_id": 0, "eos_id": 1, "pad_id": 2}, "does not start with <unk>"),
    ],
)
def test_other_sentencepiece_models_are_refused(
    options: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    folder = _train(tmp_path, **options)
    with pytest.raises(TokenizerError, match=problem):
        read_vocabulary(folder, 1000)


def test_a_model_without_dummy_prefix_keeps_that(tmp_path: Path) -> None:
    vocabulary = read_vocabulary(_train(tmp_path, add_dummy_prefix=False), 1000)
    assert not vocabulary.add_space_prefix


def test_user_defined_pieces_keep_their_type(tmp_path: Path) -> None:
    vocabulary = read_vocabulary(_train(tmp_path, user_defined_symbols=["<tool>"]), 1000)
    (token,) = [token for token in vocabulary.tokens if token.text == "<tool>"]
    assert token.type is PieceType.USER_DEFINED


def test_too_many_pieces(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="padded_vocab_size is 318"):
        read_vocabulary(_train(tmp_path), 318)
    assert len(read_vocabulary(tmp_path, 319).tokens) == 319


@pytest.mark.parametrize("size", [0, 1, 5, 1000, -1])
def test_a_damaged_model_is_refused(size: int, tmp_path: Path) -> None:
    path = _train(tmp_path) / "tokenizer.model"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(TokenizerError):
        read_vocabulary(tmp_path, 1000)


@given(position=st.integers(0, 400), value=st.integers(0, 255))
def test_any_damage_to_a_model_is_a_value_error(position: int, value: int, tokenizer: Path) -> None:
    data = bytearray(tokenizer.read_bytes()[-400:])
    data[position % len(data)] = value
    with contextlib.suppress(ValueError):
        parse_model(bytes(data))


@given(data=st.binary(max_size=60))
def test_noise_is_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        parse_model(data)


def test_a_missing_model(tmp_path: Path) -> None:
    with pytest.raises(NotACheckpointError, match=r"tokenizer\.model"):
        read_vocabulary(tmp_path, 1000)


def test_written_arrays_match(small_checkpoint: Path, tmp_path: Path) -> None:
    convert(small_checkpoint, tmp_path / "out.gguf", quant_type="f16", threads=1)
    fields = gguf.GGUFReader(tmp_path / "out.gguf").fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    processor = sentencepiece.SentencePieceProcessor(
        model_file=str(small_checkpoint / "tokenizer.model")
    )
    count = processor.get_piece_size()
    assert tokens[:count] == [processor.id_to_piece(i) for i in range(count)]
    scores = fields["tokenizer.ggml.scores"].contents()
    assert scores[:count] == [processor.get_score(i) for i in range(count)]
