"""Every form of reply in ChatGLM3's format, at every split."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm3edge.chatglm3.parser import ProseDelta, ReplyParser
from glm3edge.core import TokenEvent
from tests.support.calls import calls_of

ASSISTANT = 64796
SEPARATOR = "<|assistant|>"  # stands for the token in the cases below
TOOLS = ("get_current_weather", "get_current_time", "interpreter", "查询天气")


@dataclass(frozen=True)
class Case:
    """A reply and what it means."""

    name: str
    reply: str
    prose: str = ""
    calls: tuple[tuple[str, object], ...] = ()


CALL = '```python\ntool_call(location="beijing", unit="celsius")\n```'
CALL_VALUE = {"location": "beijing", "unit": "celsius"}
CASES = [
    Case("prose", "\n 你好！我是 ChatGLM3。", "你好！我是 ChatGLM3。"),
    Case("prose with a line break", "\n 第一行\n\n第二行\n", "第一行\n\n第二行"),
    Case("metadata line of spaces", " \n prose", "prose"),
    Case("nothing", ""),
    Case("nothing but white space", "\n \n "),
    Case("one character", "\n 好", "好"),
    Case("no metadata line", "你好", "你好"),
    Case("no metadata line, two lines", "first\nsecond", "first\nsecond"),
    Case("year mark", "\n 我知道[[训练时间]]的事。", "我知道2023年的事。"),
    Case("two year marks", "\n [[训练时间]][[训练时间]]", "2023年2023年"),
    Case("almost a year mark", "\n [[训练时", "[[训练时"),
    Case("brackets", "\n a[[1]] b[[", "a[[1]] b[["),
    Case("call", f"get_current_weather\n {CALL}", "", (("get_current_weather", CALL_VALUE),)),
    Case(
        "prose, then a call",
        f"\n 好的，让我们来查看今天的天气{SEPARATOR}get_current_weather\n {CALL}",
        "好的，让我们来查看今天的天气",
        (("get_current_weather", CALL_VALUE),),
    ),
    Case(
        "two calls",
        f"get_current_weather\n{CALL}{SEPARATOR}get_current_time\n```python\ntool_call()\n```",
        "",
        (("get_current_weather", CALL_VALUE), ("get_current_time", {})),
    ),
    Case(
        "prose, call, prose, call, prose",
        f"\n一{SEPARATOR}get_current_weather\n{CALL}{SEPARATOR}\n二{SEPARATOR}"
        f"get_current_weather\n{CALL}{SEPARATOR}\n 三 ",
        "一\n二\n三",
        (("get_current_weather", CALL_VALUE), ("get_current_weather", CALL_VALUE)),
    ),
    Case(
        "quotes and a code fence in an argument",
        "get_current_weather\n```python\n"
        "tool_call(a='say \"hi\"', b=\"it's\", c='```python\\nx = 1\\n```')\n```",
        "",
        (("get_current_weather", {"a": 'say "hi"', "b": "it's", "c": "```python\nx = 1\n```"}),),
    ),
    Case(
        "a separator spelt in an argument",
        'get_current_weather\n```python\ntool_call(a="<|user|> <|observation|>")\n```',
        "",
        (("get_current_weather", {"a": "<|user|> <|observation|>"}),),
    ),
    Case(
        "a Chinese tool name",
        "查询天气\n```python\ntool_call(城市='上海')\n```",
        "",
        (("查询天气", {"城市": "上海"}),),
    ),
    Case(
        "no code fence",
        "get_current_time\ntool_call(zone='UTC')",
        "",
        (("get_current_time", {"zone": "UTC"}),),
    ),
    Case(
        "interpreter",
        "interpreter\n ```python\nimport math\n\nprint(math.pi)\n```",
        "",
        (("interpreter", {"code": "import math\n\nprint(math.pi)"}),),
    ),
    Case(
        "a tool that was not offered is prose",
        f"get_stock_price\n {CALL}",
        f"get_stock_price\n {CALL}",
    ),
    Case(
        "prose that begins like a tool's name",
        "get_current affairs",
        "get_current affairs",
    ),
    Case("a tool's name and nothing else", "get_current_time", "get_current_time"),
]
by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def events(reply: str, cuts: set[int]) -> list[TokenEvent]:
    """A reply as token events, its text cut at ``cuts``."""
    result = []
    position = 0
    parts = reply.split(SEPARATOR)
    for number, part in enumerate(parts):
        piece = ""
        for character in part:
            piece += character
            position += 1
            if position in cuts:
                result.append(TokenEvent(100, piece))
                piece = ""
        if piece:
            result.append(TokenEvent(100, piece))
        if number < len(parts) - 1:
            result.append(TokenEvent(ASSISTANT, ""))
    return result


def parse(
    token_events: list[TokenEvent],
    tools: tuple[str, ...] = TOOLS,
    parser: ReplyParser | None = None,
) -> tuple[str, tuple[tuple[str, object], ...]]:
    parser = parser or ReplyParser(assistant_id=ASSISTANT, tool_names=tools)
    deltas = [delta for event in token_events for delta in parser.feed(event)] + parser.finish()
    prose = "".join(delta.text for delta in deltas if isinstance(delta, ProseDelta))
    assert all(delta.text for delta in deltas if isinstance(delta, ProseDelta))
    return prose, tuple((name, json.loads(arguments)) for name, arguments in calls_of(deltas))


@by_name
def test_every_split_in_two(case: Case) -> None:
    for cut in range(len(case.reply) + 1):
        assert parse(events(case.reply, {cut})) == (case.prose, case.calls)


@by_name
def test_character_by_character(case: Case) -> None:
    cuts = set(range(len(case.reply)))
    assert parse(events(case.reply, cuts)) == (case.prose, case.calls)


@given(st.sampled_from(CASES), st.sets(st.integers(0, 200)))
def test_any_split(case: Case, cuts: set[int]) -> None:
    assert parse(events(case.reply, cuts)) == (case.prose, case.calls)


@by_name
def test_text_that_comes_with_the_separator(case: Case) -> None:
    """Text held back for a stop string arrives in the separator's own event."""
    merged: list[TokenEvent] = []
    for event in events(case.reply, set()):
        if event.token_id == ASSISTANT and merged and merged[-1].token_id != ASSISTANT:
            merged[-1] = TokenEvent(ASSISTANT, merged[-1].text)
        else:
            merged.append(event)
    assert parse(merged) == (case.prose, case.calls)


def test_without_tools_all_is_prose() -> None:
    reply = f"get_current_weather\n{CALL}"
    assert parse(events(reply, set()), tools=()) == (reply, ())


def test_prose_streams_as_it_comes() -> None:
    parser = ReplyParser(assistant_id=ASSISTANT, tool_names=TOOLS)
    pieces = ["\n", " 今", "天 ", "天气", "好。\n", "\n"]
    deltas = [parser.feed(TokenEvent(100, piece)) for piece in pieces]
    texts = ["".join(d.text for d in ds if isinstance(d, ProseDelta)) for ds in deltas]
    assert texts == ["", "今", "天", " 天气", "好。", ""]
    assert parser.finish() == []


def test_a_separator_spelt_as_text_is_text() -> None:
    parser = ReplyParser(assistant_id=ASSISTANT)
    deltas = parser.feed(TokenEvent(100, "\n a<|assistant|>b")) + parser.finish()
    assert deltas == [ProseDelta("a<|assistant|>b")]


@given(st.lists(st.text(), max_size=8), st.lists(st.booleans(), min_size=8, max_size=8))
def test_any_text_passes_without_loss(pieces: list[str], separators: list[bool]) -> None:
    """Prose of any shape comes out whole but for white space and year marks."""
    token_events = [
        TokenEvent(ASSISTANT if separator else 100, piece)
        for piece, separator in zip(pieces, separators, strict=False)
    ]
    prose, calls = parse(token_events, tools=())
    assert calls == ()
    expected = "".join(pieces).replace("[[训练时间]]", "2023年")
    assert "".join(prose.split()) == "".join(expected.split())


@pytest.mark.parametrize(
    ("reply", "prose", "calls"),
    [
        (" b c ", " b c", ()),
        ("\nb", "\nb", ()),
        ("", "", ()),
        (" \n", "", ()),
        (f"get_current_weather\n{CALL}", f"get_current_weather\n{CALL}", ()),
        (f" b{SEPARATOR}\n c", " b\nc", ()),
        (f"{SEPARATOR}\n c", "\nc", ()),
        (
            f" b\n{SEPARATOR}get_current_weather\n{CALL}",
            " b",
            (("get_current_weather", {"location": "beijing", "unit": "celsius"}),),
        ),
    ],
)
def test_a_reply_that_goes_on_with_a_message(
    reply: str, prose: str, calls: tuple[tuple[str, object], ...]
) -> None:
    """White space in front belongs to the message; a line in front names no tool."""
    for cuts in (set[int](), {1}, {2}, set(range(len(reply)))):
        parser = ReplyParser(assistant_id=ASSISTANT, tool_names=TOOLS, continues_prose=True)
        assert parse(events(reply, cuts), parser=parser) == (prose, calls)
