"""Tokens that a fine-tune added are named, and refused where a prompt would miss them."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from glm3edge_convert import convert
from glm3edge_convert.adapters.scaled_path import ScaledPath
from glm3edge_convert.errors import TokenizerError
from glm3edge_convert.tokenizer.added_tokens import check_added_tokens
from glm3edge_convert.tokenizer.vocab import Vocabulary, read_vocabulary
from tests.support.checkpoints import SMALL
from tests.support.lora_adapters import layer_modules, make_adapter

ADDED, CONFIG = "added_tokens.json", "tokenizer_config.json"
VOCAB_SIZE = 2048


@pytest.fixture(scope="module")
def vocabulary(tokenizer: Path) -> Vocabulary:
    return read_vocabulary(tokenizer.parent, VOCAB_SIZE)


def write(folder: Path, name: str, tokens: dict[str, int]) -> None:
    """List tokens as transformers does: by text, or as the ids' descriptions."""
    value: dict[str, Any] = dict(tokens)
    if name == CONFIG:
        entries = {str(token_id): {"content": text} for text, token_id in tokens.items()}
        value = {"added_tokens_decoder": entries, "tokenizer_class": "ChatGLMTokenizer"}
    (folder / name).write_text(json.dumps(value, ensure_ascii=False), "utf-8")


@pytest.mark.parametrize("name", [ADDED, CONFIG])
def test_they_are_named_in_a_warning(
    name: str, vocabulary: Vocabulary, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, name, {"<|tool|>": 2000, "\u202e[病]": 2001, "<s>": 2002})
    check_added_tokens(tmp_path, vocabulary)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "'<|tool|>', '\\\\u202e[病]', '<s>'; they are read" in record.getMessage()


def test_many_are_counted(
    vocabulary: Vocabulary, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, ADDED, {f"<{number}>{'x' * 99}": 1700 + number for number in range(300)})
    check_added_tokens(tmp_path, vocabulary)
    assert " and 290 more" in caplog.text
    assert len(caplog.text) < 1000


@pytest.mark.parametrize("name", [ADDED, CONFIG])
def test_those_that_the_model_has_are_not(
    name: str, vocabulary: Vocabulary, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = vocabulary.num_pieces
    tokens = ("[MASK]", "[gMASK]", "[sMASK]", "sop", "eop")
    listed = {text: first + number for number, text in enumerate(tokens)}
    listed |= {"<unk>": 0, "<s>": 1, "</s>": 2, "<|user|>": vocabulary.id_of("<|user|>")}
    write(tmp_path, name, listed)
    check_added_tokens(tmp_path, vocabulary)
    assert not caplog.records


@pytest.mark.parametrize("name", [ADDED, CONFIG])
@pytest.mark.parametrize(
    ("text", "number", "tag"),
    [
        ("<|user|>", 2000, "<|user|>"),  # a training program's new token of a known text
        ("sop", 2000, "<|sop|>"),
        ("<|tool|>", None, "<|assistant|>"),  # a new token with a known id
    ],
)
def test_role_tags_elsewhere_are_refused(
    *, name: str, text: str, number: int | None, tag: str, vocabulary: Vocabulary, tmp_path: Path
) -> None:
    token_id = vocabulary.id_of("<|assistant|>") if number is None else number
    write(tmp_path, name, {text: token_id})
    found = f"with the id {token_id}, .* have {re.escape(tag)} with the id"
    with pytest.raises(TokenizerError, match=found):
        check_added_tokens(tmp_path, vocabulary)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", '{"a": "b", "c": [1], "d": -1, "e": null, "f": 1e9}'),
        '{"added_tokens_decoder": [1]}',
        '{"added_tokens_decoder": {"5": 1, "x": {"content": "a"}, "6": {"content": 1}}}',
    ],
)
def test_damaged_lists_are_left_aside(
    text: str, vocabulary: Vocabulary, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (ADDED, CONFIG):
        (tmp_path / name).write_text(text)
    check_added_tokens(tmp_path, vocabulary)
    assert not caplog.records


def test_of_a_model_and_of_an_adapter(
    checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lora = make_adapter(tmp_path / "lora", checkpoint, layer_modules(SMALL.num_layers)).folder
    write(checkpoint, ADDED, {"<model's>": 1650})
    write(lora, ADDED, {"<adapter's>": 1651})
    convert(checkpoint, tmp_path / "a.gguf", quant_type="f16", adapters=[ScaledPath(lora)])
    first, second = (record.getMessage() for record in caplog.records)
    assert f'{checkpoint} adds tokens that the converted model does not have: "<model\'s>"' in first
    assert f"{lora} adds" in second
