"""The training data: sound, varied, in the server's own format, and apart from the evaluation."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sentencepiece

from glm3edge.chatglm3.prompt import Role, build_turns, encode_turns
from glm3edge.chatglm3.tools import parse_call
from glm3edge.chatglm3.vocabulary import SpecialTokens
from glm3edge.llama.model import Model
from glm3edge.schema.chat import ChatRequest
from glm3edge_convert import convert
from glm3edge_convert.synth.random_checkpoint import SHAPES, make_checkpoint
from recipe import calls
from recipe.catalogue import read_concepts
from recipe.coin import HANZI
from recipe.concept import Concept
from recipe.curriculum import phase_dialogue
from recipe.dialogue import Dialogue, encode
from recipe.nonce import nonce_concept
from recipe.questions import TOOLS, messages, questions
from recipe.tokenizer import train_tokenizer
from recipe.values import draw, is_held_out

pytestmark = pytest.mark.slow

TRAINED = calls.TRAINED
DEVELOPMENT = read_concepts("development")
HELD_OUT = read_concepts("held-out")
COINED = tuple(
    nonce_concept(random.Random(seed), enums=enums) for seed in range(50) for enums in (0.0, 0.7)
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    train_tokenizer(path, seed=1)
    return path


@pytest.fixture(scope="module")
def encoder(tokenizer: Path) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_file=str(tokenizer))


@pytest.fixture(scope="module")
def vocabulary(tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """The tokenizer as llama.cpp has it after conversion."""
    folder = tmp_path_factory.mktemp("vocabulary")
    make_checkpoint(folder / "checkpoint", shape=SHAPES["tiny"], tokenizer=tokenizer)
    convert(folder / "checkpoint", folder / "model.gguf", quant_type="q4_0")
    with Model(folder / "model.gguf", vocab_only=True) as model:
        yield model


def some(count: int, phase: str = "all") -> list[Dialogue]:
    rng = random.Random(5)
    return [phase_dialogue(rng, phase) for _ in range(count)]


@pytest.mark.parametrize(
    "concept", TRAINED + DEVELOPMENT + HELD_OUT + COINED, ids=lambda c: c.names[0]
)
def test_a_concept_asks_for_what_it_has(concept: Concept) -> None:
    slots = {param.names[0] for param in concept.params}
    for ask in concept.asks_zh + concept.asks_en:
        assert set(re.findall(r"\{(\w+)\}", ask)) <= slots
    for param in concept.params:
        assert (param.options is not None) == (param.kind in ("enum", "bool"))
    for name in concept.names:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)


def test_tools_of_the_evaluation_are_not_trained_on() -> None:
    def texts(concepts: tuple[Concept, ...]) -> set[str]:
        return {t for c in concepts for t in (*c.names, *c.asks_zh, *c.asks_en)}

    assert not texts(TRAINED) & texts(HELD_OUT)
    assert not texts(TRAINED) & texts(DEVELOPMENT)


def test_polishing_has_more_of_prose() -> None:
    with_tools = [sum(bool(d.tools) for d in some(200, phase)) for phase in ("all", "polish")]
    assert with_tools[1] < 0.8 * with_tools[0]


def test_no_two_tools_have_a_name_in_common() -> None:
    names = [name for concept in TRAINED for name in concept.names]
    assert len(names) == len(set(names))


def test_questions_can_be_about_any_set_of_tools() -> None:
    for tools, concepts in zip(TOOLS, (HELD_OUT, DEVELOPMENT), strict=False):
        known = {name for concept in concepts for name in (*concept.names, "interpreter")}
        asked = questions(seed=1, tools=tools)
        assert {tool["name"] for question in asked for tool in question.dialogue.tools} <= known


@pytest.mark.parametrize("kind", ["city", "person", "title", "code", "date", "int:1:900"])
def test_values_of_the_evaluation_are_not_trained_on(kind: str) -> None:
    rng = random.Random(3)
    for held_out in (False, True):
        values = [draw(rng, kind, "zh", held_out=held_out) for _ in range(200)]
        assert {is_held_out(str(value)) for value in values} == {held_out}
        assert len(set(values)) > 30


def test_arguments_stand_in_the_question() -> None:
    rng = random.Random(11)
    for _ in range(500):
        concept = rng.choice(TRAINED + HELD_OUT + COINED)
        language = rng.choice(("zh", "en"))
        offered = calls.offer(rng, concept, language)
        asked = calls.ask(rng, offered)
        schema = asked.tool.get("parameters", {"properties": {}})
        given = schema["properties"]
        assert asked.arguments.keys() <= given.keys()
        assert set(schema.get("required", ())) <= asked.arguments.keys()
        for name, value in asked.arguments.items():
            if "enum" in given[name]:
                assert value in given[name]["enum"]
            elif given[name]["type"] != "boolean":
                assert str(value) in asked.text


def test_the_last_turn_is_a_reply_and_calls_can_be_parsed() -> None:
    for dialogue in some(500):
        assert dialogue.turns[-1].role is Role.ASSISTANT
        for turn in dialogue.turns:
            if turn.metadata:
                assert turn.metadata in {tool["name"] for tool in dialogue.tools}
                assert isinstance(json.loads(parse_call(turn.metadata, turn.content)), dict)


def test_no_name_can_be_had_from_the_call_before() -> None:
    for dialogue in some(100, "choose"):
        called = [turn.metadata for turn in dialogue.turns if turn.metadata]
        assert len(called) == len(set(called)) >= 1


def test_the_same_seed_gives_the_same_dialogues() -> None:
    assert some(50) == some(50)


def test_training_and_serving_use_the_same_ids(
    encoder: sentencepiece.SentencePieceProcessor, vocabulary: Model
) -> None:
    special = SpecialTokens.of(vocabulary)
    for question in questions(seed=3)[::7]:
        ids, mine = encode(question.dialogue, encoder)
        request = ChatRequest.model_validate(
            {
                "model": "any",
                "messages": messages(question.dialogue),
                "tools": [{"type": "function", "function": t} for t in question.dialogue.tools],
            }
        )
        prompt = encode_turns(
            build_turns(request.messages, request.tools or ()), vocabulary, special
        )
        assert ids[: len(prompt)] == prompt
        assert not mine[len(prompt) - 1]
        assert all(mine[len(prompt) :])


def test_a_value_is_cut_alike_wherever_it_stands(
    encoder: sentencepiece.SentencePieceProcessor,
) -> None:
    for text in ("北京", "Hangzhou", "get_weather", "2050", "nelve"):
        pieces = encoder.encode(text, out_type=str)[1:]  # without the dummy prefix
        for place in ("在{}的", "in {} now", '"name": "{}",', "city='{}')", "（{}）"):
            cut = encoder.encode(place.format(text), out_type=str)
            assert any(cut[i : i + len(pieces)] == pieces for i in range(len(cut))), (text, place)


def test_tool_definitions_take_few_tokens(encoder: sentencepiece.SentencePieceProcessor) -> None:
    for dialogue in some(100):
        if dialogue.tools:
            text = dialogue.all_turns[0].content
            assert len(encoder.encode(text)) < 0.35 * len(text)


def test_common_characters_are_pieces(encoder: sentencepiece.SentencePieceProcessor) -> None:
    unknown = [c for c in HANZI if encoder.piece_to_id(c) == encoder.unk_id()]
    assert not unknown
    assert 4000 <= encoder.vocab_size() <= 8000
