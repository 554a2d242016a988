"""Texts to windows of ids, and what the package's own text holds."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm3edge.chatglm3.calibration import DEFAULT_TEXT, cut, encode, read_text
from glm3edge.chatglm3.tools import parse_call
from glm3edge.errors import ConfigError
from tests.support.fakes import (
    ASSISTANT,
    GMASK,
    OBSERVATION,
    SOP,
    SYSTEM,
    USER,
    FakeVocabulary,
    spell,
)

VOCABULARY = FakeVocabulary()
TEXT = DEFAULT_TEXT.read_text("utf-8")
CALL = re.compile(r"^<\|assistant\|>(\w+)\n(```python\n.*?\n```)$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("plain", [GMASK, SOP, *spell("plain")]),
        ("\n\ntwo\n\nlines\n\n", [GMASK, SOP, *spell("two\n\nlines")]),
        ("[gMASK]sop\na\n[gMASK]sop\nb", [GMASK, SOP, *spell("a"), GMASK, SOP, *spell("b")]),
        ("[gMASK]sop\n\n[gMASK]sop\nb", [GMASK, SOP, *spell("b")]),
        ("say [gMASK]sop\n", [GMASK, SOP, *spell("say [gMASK]sop")]),
        (
            "<|system|>\nbe kind\n<|user|>\nhi\n\n<|assistant|>\nhello",
            [
                *(GMASK, SOP, SYSTEM, *spell("\n"), *spell("be kind")),
                *(USER, *spell("\n"), *spell("hi"), ASSISTANT, *spell("\n"), *spell("hello")),
            ],
        ),
        (
            "<|assistant|>f\ncall\n<|observation|>\n1\n2",
            [
                *(GMASK, SOP, ASSISTANT, *spell("f\n"), *spell("call")),
                *(OBSERVATION, *spell("\n"), *spell("1\n2")),
            ],
        ),
        (
            "intro\n<|user|>\nI wrote <|user|>\n <|assistant|>\n",
            [
                *(GMASK, SOP, *spell("intro"), USER, *spell("\n")),
                *spell("I wrote <|user|>\n <|assistant|>"),
            ],
        ),
        ("<|user|>", [GMASK, SOP, USER, *spell("\n")]),
        ("<|nobody|>\n", [GMASK, SOP, *spell("<|nobody|>")]),
    ],
)
def test_encode(text: str, ids: list[int]) -> None:
    assert encode(text, VOCABULARY) == ids


@given(st.lists(st.integers(3, 200), min_size=14, max_size=300), st.integers(16, 40))
def test_windows_are_the_text_in_order(ids: list[int], size: int) -> None:
    prefix = (1, 2)
    if len(ids) < size - 2:
        with pytest.raises(ConfigError, match=f"has {len(ids)} tokens and a window takes"):
            cut(ids, prefix, size)
        return
    windows = cut(ids, prefix, size)
    assert all(len(row) == size and row[:2] == [1, 2] for row in windows.rows)
    joined = [token_id for row in windows.rows for token_id in row[2:]]
    assert joined == ids[: len(joined)]
    assert len(ids) - len(joined) < size - 2
    for index, row in enumerate(windows.rows):
        targets = windows.targets(index)
        assert targets == row[-len(targets) :]
        assert len(targets) == windows.num_predicted
        assert 0 <= windows.num_context - windows.num_predicted <= 2


def test_no_more_windows_than_asked_for() -> None:
    ids = list(range(100))
    assert len(cut(ids, (1, 2), 16).rows) == 7
    assert cut(ids, (1, 2), 16, most=2).rows == cut(ids, (1, 2), 16).rows[:2]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b" \n\n", "is empty"), (b"", "is empty"), (b"\xff\xfea", "is not UTF-8: save it as UTF-8")],
)
def test_texts_that_do_not_do(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_text(path)


def test_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the text"):
        read_text(tmp_path / "none.txt")
    with pytest.raises(ConfigError, match="cannot read the text"):
        read_text(tmp_path)


def test_the_own_text_is_half_chinese() -> None:
    num_bytes = len(TEXT.encode())
    chinese = sum(len(c.encode()) for c in TEXT if "\u2e80" <= c <= "\uffef")
    assert 25_000 < num_bytes <= 40_000
    assert 0.35 < chinese / num_bytes < 0.65
    assert read_text(DEFAULT_TEXT) == TEXT


def test_the_own_text_is_varied() -> None:
    """It has conversations and documents, with every role, code, JSON and tables."""
    ids = encode(TEXT, VOCABULARY)
    assert ids.count(GMASK) == TEXT.count("[gMASK]sop\n") > 30
    assert ids.count(SYSTEM) >= 4
    assert ids.count(USER) > 10
    assert ids.count(OBSERVATION) >= 5
    assert ids.count(ASSISTANT) > ids.count(USER)
    for mark in ("```python", "```sql", "```bash", "| --- |", "\n1. ", "\n- ", "≈"):
        assert mark in TEXT


def test_its_calls_and_its_json_are_valid() -> None:
    calls = CALL.findall(TEXT)
    assert len(calls) >= 7
    for name, content in calls:
        assert json.loads(parse_call(name, content))
    documents = [d for d in TEXT.split("[gMASK]sop\n") if d.startswith("{")]
    assert len(documents) == 1
    assert json.loads(documents[0])["seats"]["total"] == 12
    observations = re.findall(r"^<\|observation\|>\n([\[{].*)$", TEXT, re.MULTILINE)
    assert len(observations) >= 5
    for line in observations:
        assert json.loads(line)
