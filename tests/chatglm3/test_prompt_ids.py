"""Prompt ids against SentencePiece: golden cases and random conversations, both tokenizers."""

import json
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glm3edge.chatglm3.prompt import Role, Turn, decode_turns, encode_turns
from glm3edge.chatglm3.vocabulary import SpecialTokens
from glm3edge.llama.model import Model
from tests.support.paths import DATA, OFFICIAL_TOKENIZER

pytestmark = pytest.mark.slow

GOLDEN = json.loads((DATA / "golden_prompts.json").read_text("utf-8"))
TAGS = ["<|user|>", "<|assistant|>", "<|observation|>", "<|system|>", "[gMASK]", "sop", "</s>"]
SPECIAL_NAMES = ["[MASK]", "[gMASK]", "[sMASK]", "sop", "eop"]
SPECIAL_NAMES += ["system", "user", "assistant", "observation"]


def official_prompt(
    processor: sentencepiece.SentencePieceProcessor, turns: list[Turn]
) -> list[int]:
    """What ``build_chat_input`` of the official tokenization_chatglm.py makes of ``turns``."""
    ids = {name: len(processor) + n for n, name in enumerate(SPECIAL_NAMES)}
    result = [ids["[gMASK]"], ids["sop"]]
    for turn in turns:
        result.append(ids[turn.role.value])
        result += processor.encode(f"{turn.metadata}\n")
        result += processor.encode(turn.content)
    return [*result, ids["assistant"]]


@pytest.fixture(scope="session")
def tiny_processor(tiny_checkpoint: Path) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(str(tiny_checkpoint / "tokenizer.model"))


text = st.lists(st.text(max_size=20) | st.sampled_from(TAGS), max_size=6).map("".join)
turns = st.builds(
    Turn, st.sampled_from(Role), text, st.text(max_size=8).map(lambda line: line.split("\n")[0])
)
conversations = st.lists(turns, min_size=1, max_size=4)
relaxed = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@relaxed
@given(conversations)
def test_own_tokenizer(
    tiny_model: Model,
    tiny_processor: sentencepiece.SentencePieceProcessor,
    conversation: list[Turn],
) -> None:
    ids = encode_turns(conversation, tiny_model, SpecialTokens.of(tiny_model))
    assert ids == official_prompt(tiny_processor, conversation)


@relaxed
@given(conversations)
def test_turns_of_ids(golden_vocabulary: Model, conversation: list[Turn]) -> None:
    special = SpecialTokens.of(golden_vocabulary)
    ids = encode_turns(conversation, golden_vocabulary, special)
    decoded = decode_turns(ids[2:-1], golden_vocabulary, special)
    assert encode_turns(decoded, golden_vocabulary, special) == ids
    assert [(t.role, t.metadata, t.content) for t in decoded] == [
        (t.role, t.metadata, t.content) for t in conversation
    ]


@relaxed
@given(conversations)
def test_official_tokenizer(official_vocabulary: Model, conversation: list[Turn]) -> None:
    processor = sentencepiece.SentencePieceProcessor(str(OFFICIAL_TOKENIZER))
    ids = encode_turns(conversation, official_vocabulary, SpecialTokens.of(official_vocabulary))
    assert ids == official_prompt(processor, conversation)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_golden(golden_vocabulary: Model, case: dict[str, list[int] | list[list[str]]]) -> None:
    conversation = [Turn(Role(role), content, meta) for role, meta, content in case["turns"]]  # type: ignore[misc]
    special = SpecialTokens.of(golden_vocabulary)
    assert encode_turns(conversation, golden_vocabulary, special) == case["ids"]


@relaxed
@given(conversations, st.text())
def test_an_open_turn_is_encoded_as_a_whole_one(
    tiny_model: Model, conversation: list[Turn], text: str
) -> None:
    turns = [*conversation, Turn(Role.ASSISTANT, text)]
    special = SpecialTokens.of(tiny_model)
    ids = encode_turns(turns, tiny_model, special, continues_last=True)
    assert [*ids, special.assistant] == encode_turns(turns, tiny_model, special)
