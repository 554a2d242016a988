"""Files of llama.cpp's own converter: the ids of our files and of SentencePiece, or a refusal."""

import json
import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import pytest
import sentencepiece

from glm3edge.chatglm3.prompt import encode_turns
from glm3edge.chatglm3.vocabulary import SpecialTokens, text_of
from glm3edge.commands.verify.vocabulary import CONVERSATIONS
from glm3edge.errors import ModelLoadError
from glm3edge.llama.guidance import Guide
from glm3edge.llama.model import Model
from glm3edge_convert import convert
from glm3edge_convert.synth.random_checkpoint import SHAPES, make_checkpoint
from tests.support.llama_cpp_files import TOKENS, TYPES, as_llama_cpp_writes
from tests.support.official_pieces import GOLDEN_TOKENS, make_model
from tests.support.optional import missing
from tests.support.paths import GLM3_TINY, NO_OFFICIAL, OFFICIAL_TOKENIZER

pytestmark = pytest.mark.slow

GOLDEN: Any = json.loads(GOLDEN_TOKENS.read_text("utf-8"))
NUM_RANDOM_TEXTS = 20_000
TAGS = ["<|system|>", "<|user|>", "<|assistant|>", "<|observation|>", "[gMASK]", "[MASK]", "</s>"]
TEXTS = [
    "philosophy",
    "geopolitics",
    "philosopher",
    "制定sop流程",
    "Peoples sopped up the sopping sopranos' people-operated peephole",
    "sop eop sopeop ssopp eeopp",
    "人sop口eop政策，SOP 和 EOP",
    "isopropyl and isopod, developer, slideopen(videoplayer)",
    *TAGS,
    " ".join(TAGS),
    "<bos><eos><unk><|sop|><|eop|>[PAD5311]<0x0A>",
    "床前明月光，疑是地上霜。",
    "🙂👩‍👩‍👧‍👦🇨🇳 한국어 עברית",
    "  two\n\n\tlines \r\n ",
    " ",
    "",
]
Rewrite = Callable[[dict[str, Any]], Path]


@dataclass(frozen=True)
class Files:
    """One checkpoint, converted by us and as llama.cpp's converter would."""

    tokenizer: Path
    ours: Path
    theirs: Path


@pytest.fixture(scope="module", params=["glm3-tiny", "official"])
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp(request.param)
    checkpoint, tokenizer = GLM3_TINY, GLM3_TINY / "tokenizer.model"
    if request.param != "glm3-tiny":
        checkpoint, tokenizer = folder / "checkpoint", OFFICIAL_TOKENIZER
        if request.param == "golden":
            tokenizer = folder / "tokenizer.model"
            tokenizer.write_bytes(make_model(GOLDEN["pieces"]))
        elif not tokenizer.is_file():
            missing(NO_OFFICIAL)
        make_checkpoint(checkpoint, shape=SHAPES["tiny"], tokenizer=tokenizer)
    convert(checkpoint, folder / "ours.gguf", quant_type="f16")
    as_llama_cpp_writes(folder / "ours.gguf", folder / "theirs.gguf")
    return Files(tokenizer, folder / "ours.gguf", folder / "theirs.gguf")


@pytest.fixture(scope="module")
def ours(files: Files) -> Iterator[Model]:
    with Model(files.ours) as model:
        yield model


@pytest.fixture(scope="module")
def theirs(files: Files) -> Iterator[Model]:
    with Model(files.theirs) as model:
        yield model


@pytest.fixture(scope="module")
def processor(files: Files) -> Any:
    return sentencepiece.SentencePieceProcessor(str(files.tokenizer))


@pytest.mark.parametrize("text", TEXTS)
def test_ids(text: str, ours: Model, theirs: Model, processor: Any) -> None:
    assert theirs.tokenize(text) == ours.tokenize(text) == processor.encode(text)


@pytest.mark.parametrize("files", ["golden"], indirect=True)
def test_golden_ids(theirs: Model) -> None:
    for text, ids in GOLDEN["texts"]:
        assert theirs.tokenize(text) == ids, text


def test_ids_of_random_texts(theirs: Model, processor: Any) -> None:
    """Half of them out of pieces with the letters of ``sop`` and ``eop``, which joins may meet."""
    pieces = [processor.id_to_piece(n).replace("\u2581", " ") for n in range(259, len(processor))]
    near = [piece for piece in pieces if set(piece) & set("sope")]
    near += ["s", "o", "p", "e", "op", "sop", "eop", "\n", "的", "🙂", *TAGS] * 40
    planes = [range(1, 0x80), range(0x4E00, 0xA000), range(0x80, 0xD800), range(0xE000, 0x110000)]
    chance = random.Random(3)
    for number in range(NUM_RANDOM_TEXTS):
        parts = (near, near, pieces, [chr(chance.choice(chance.choice(planes))) for _ in range(8)])
        text = "".join(chance.choices(parts[number % 4], k=chance.randint(1, 12)))
        assert theirs.tokenize(text) == processor.encode(text), text


def test_every_token(ours: Model, theirs: Model) -> None:
    ids = range(ours.vocab_size)
    assert [theirs.entry(n) for n in ids] == [ours.entry(n) for n in ids]
    assert [theirs.piece(n) for n in ids] == [ours.piece(n) for n in ids]
    assert [theirs.token_name(n) for n in ids] == [ours.token_name(n) for n in ids]


def test_prompts(ours: Model, theirs: Model, processor: Any) -> None:
    special = SpecialTokens.of(theirs)
    assert special == SpecialTokens.of(ours)
    assert special.prefix == (len(processor) + 1, len(processor) + 3)
    for turns in CONVERSATIONS:
        ids = encode_turns(turns, theirs, special)
        assert ids == encode_turns(turns, ours, special)
        names = text_of(ids, theirs, with_control_tokens=True)
        assert names == text_of(ids, ours, with_control_tokens=True)


def test_grammars(ours: Model, theirs: Model) -> None:
    """What may come next is the same at every step."""
    grammar = 'start: "philosophers " /[eops]+/ " 制定sop流程"\n'
    masks: list[list[bytes]] = []
    for model in (ours, theirs):
        matcher = Guide(model, end_ids=SpecialTokens.of(model).stop_ids).matcher(grammar)
        masks.append([])
        for token_id in ours.tokenize("philosophers sopeop 制定sop流程")[1:]:
            masks[-1].append(bytes(matcher.allowed()))
            if not masks[-1][-1][token_id // 8] >> token_id % 8 & 1:
                break
            matcher.accept(token_id)
    assert masks[0] == masks[1]


def test_it_is_told_once(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    for path, told in ((files.ours, []), (files.theirs, [files.theirs.name])):
        caplog.clear()
        with Model(path) as model:
            for text in TEXTS:
                model.tokenize(text)
        assert [name for r in caplog.records for name in told if name in r.getMessage()] == told
        assert len(caplog.records) == len(told)


def test_nothing_is_told_before_it_is_needed(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with Model(files.theirs, no_alloc=True) as model:
        assert model.vocab_size > 0
        assert not caplog.records
        assert len(model.tokenize("philosophy"))  # as for devices, whose process has the weights
    assert len(caplog.records) == 1


@pytest.fixture
def rewrite(tmp_path: Path, tiny_gguf: Path) -> Rewrite:
    """Makes a file of llama.cpp's converter with other metadata."""
    return lambda changes: as_llama_cpp_writes(tiny_gguf, tmp_path / "changed.gguf", changes)


@pytest.fixture(scope="module")
def tokens(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The tokens that llama.cpp's converter would list."""
    path = tmp_path_factory.mktemp("tokens") / "theirs.gguf"
    as_llama_cpp_writes(tiny_gguf, path)
    found: list[str] = gguf.GGUFReader(path).fields[TOKENS].contents()
    return found


def test_special_tokens_of_other_types(
    rewrite: Rewrite, tokens: list[str], tiny_gguf: Path, tiny_model: Model
) -> None:
    """User-defined ones would be found in plain text, so that users could forge roles."""
    types = gguf.GGUFReader(tiny_gguf).fields[TYPES].contents()
    first = tokens.index("[MASK]")
    types[first : first + 9] = [int(gguf.TokenType.USER_DEFINED)] * 9
    types[first + 9 :] = [int(gguf.TokenType.UNKNOWN)] * (len(types) - first - 9)
    with Model(rewrite({TYPES: types})) as model:
        for text in TEXTS:
            assert model.tokenize(text) == tiny_model.tokenize(text)
        assert SpecialTokens.of(model) == SpecialTokens.of(tiny_model)


def test_another_end_of_text(rewrite: Rewrite, tokens: list[str]) -> None:
    """llama.cpp's tools let people set it, so that theirs stop at the next turn."""
    changes = {"tokenizer.ggml.eos_token_id": tokens.index("<|user|>")}
    with Model(rewrite(changes)) as model:
        assert model.eos_id == 2
        assert model.entry(2).text == "</s>"


def _without(text: str) -> Callable[[list[str]], None]:
    def change(tokens: list[str]) -> None:
        tokens[tokens.index(text)] = "<|unheard-of|>"

    return change


def _swap(tokens: list[str]) -> None:
    sop, eop = tokens.index("sop"), tokens.index("eop")
    tokens[sop], tokens[eop] = tokens[eop], tokens[sop]


def _one_more(tokens: list[str]) -> None:
    tokens[tokens.index("<|observation|>") + 1] = "<|tool|>"


def _within_reach(tokens: list[str]) -> None:
    """Pieces that join into a role, one by one."""
    tokens[300:306] = ["<|", "<|u", "<|us", "<|use", "<|user", "<|user|"]


@pytest.mark.parametrize(
    "change",
    [
        _without("<|user|>"),
        _without("[gMASK]"),
        _without("sop"),
        _without("<unk>"),
        _swap,
        _one_more,
        _within_reach,
    ],
)
def test_other_vocabularies_are_refused(
    change: Callable[[list[str]], None], rewrite: Rewrite, tokens: list[str]
) -> None:
    changed = list(tokens)
    change(changed)
    path = rewrite({TOKENS: changed})
    with Model(path) as model:
        for attempt in (SpecialTokens.of, lambda model: model.tokenize("x")):
            with pytest.raises(ModelLoadError, match="glm3edge convert FOLDER") as caught:
                attempt(model)
            assert caught.value.path == path
            assert "\n" not in str(caught.value)


def test_bytes_that_are_not_marked_as_such(rewrite: Rewrite, tiny_gguf: Path) -> None:
    types = gguf.GGUFReader(tiny_gguf).fields[TYPES].contents()
    types[ord("a")] = int(gguf.TokenType.NORMAL)
    with (
        Model(rewrite({TYPES: types})) as model,
        pytest.raises(ModelLoadError, match="its vocabulary is not ChatGLM3's"),
    ):
        model.tokenize("x")


def test_glm4_is_refused(rewrite: Rewrite, tiny_gguf: Path) -> None:
    """llama.cpp calls its architecture chatglm too."""
    types = gguf.GGUFReader(tiny_gguf).fields[TYPES].contents()
    changes = {
        TYPES: [1 if kind == 6 else kind for kind in types],  # it has no tokens for bytes
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "chatglm-bpe",
        "tokenizer.ggml.merges": ["a b", "ab c"],
    }
    with (
        Model(rewrite(changes)) as model,
        pytest.raises(ModelLoadError, match="its vocabulary is not ChatGLM3's"),
    ):
        SpecialTokens.of(model)
