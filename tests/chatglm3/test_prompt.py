"""Messages to turns, and turns to ids; the ids of real tokenizers are in test_prompt_ids.py."""

from typing import Any

import pytest

from glm3edge.chatglm3.prompt import Role, Turn, build_turns, decode_turns, encode_turns
from glm3edge.chatglm3.tools import system_text
from glm3edge.chatglm3.vocabulary import SpecialTokens
from glm3edge.errors import InvalidRequestError
from glm3edge.schema.chat import ChatRequest, Tool
from tests.support.fakes import ASSISTANT, EOS, GMASK, SOP, SYSTEM, USER, FakeVocabulary, spell

TOOL: dict[str, Any] = {"type": "function", "function": {"name": "天气", "parameters": {}}}
CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "天气", "arguments": '{"城市": "上海"}'},
}


def turns(*messages: dict[str, Any], tools: tuple[dict[str, Any], ...] = ()) -> list[Turn]:
    request = ChatRequest.model_validate({"messages": messages, "tools": tools})
    return build_turns(request.messages, request.tools or ())


def user(text: object) -> dict[str, Any]:
    return {"role": "user", "content": text}


def test_a_conversation() -> None:
    assert turns(
        {"role": "system", "content": "简短回答"},
        user("你好"),
        {"role": "assistant", "content": "你好!"},
        user("再见"),
    ) == [
        Turn(Role.SYSTEM, "简短回答"),
        Turn(Role.USER, "你好"),
        Turn(Role.ASSISTANT, "你好!"),
        Turn(Role.USER, "再见"),
    ]


def test_text_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "一"}, {"type": "text", "text": "二"}]
    assert turns(user(parts)) == [Turn(Role.USER, "一二")]


def test_tools_come_first_and_keep_the_system_message() -> None:
    offered = [Tool.model_validate(TOOL)]
    (system, _) = turns({"role": "developer", "content": "礼貌"}, user("天气?"), tools=(TOOL,))
    assert system == Turn(Role.SYSTEM, f"{system_text(offered)}\n\n礼貌")


def test_all_system_messages_go_into_the_one_system_turn() -> None:
    system = [{"role": "system", "content": text} for text in ("一", "", "二")]
    assert turns(system[0], user("x"), system[1], system[2]) == [
        Turn(Role.SYSTEM, "一\n\n二"),
        Turn(Role.USER, "x"),
    ]


def test_a_tool_call_and_its_result() -> None:
    assert turns(
        user("天气?"),
        {"role": "assistant", "content": "查一下", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "22 度"},
    ) == [
        Turn(Role.USER, "天气?"),
        Turn(Role.ASSISTANT, "查一下"),
        Turn(Role.ASSISTANT, "```python\ntool_call(城市='上海')\n```", metadata="天气"),
        Turn(Role.OBSERVATION, "22 度"),
    ]


@pytest.mark.parametrize("arguments", ["[1]", '{"ci', ""])
def test_cut_arguments_are_passed_on_as_they_are(arguments: str) -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": arguments}}
    (turn,) = turns({"role": "assistant", "tool_calls": [call]})
    assert turn == Turn(Role.ASSISTANT, f"```python\ntool_call({arguments})\n```", metadata="f")


def test_a_call_without_prose_has_no_prose_turn() -> None:
    roles = [turn.metadata for turn in turns({"role": "assistant", "tool_calls": [CALL]})]
    assert roles == ["天气"]


@pytest.mark.parametrize(
    ("name", "arguments", "content"),
    [
        ("天气", '{"城市": "上海', 'tool_call({"城市": "上海)'),
        ("天气", '{"城市"', 'tool_call({"城市")'),
        ("天气", "[1]", "tool_call([1])"),
        ("天气", "null", "tool_call(null)"),
        ("天气", "上海", "tool_call(上海)"),
        ("天气", "[" * 100_000, f"tool_call({'[' * 100_000})"),
        ("天气", f'{{"x": {"9" * 5000}}}', f'tool_call({{"x": {"9" * 5000}}})'),
        ("interpreter", '{"code": "print(1', '{"code": "print(1'),
        ("interpreter", "print(1)", "print(1)"),
    ],
)
def test_arguments_that_were_cut_off_stay_as_they_are(
    name: str, arguments: str, content: str
) -> None:
    call = {"id": "c", "function": {"name": name, "arguments": arguments}}
    (turn,) = turns({"role": "assistant", "tool_calls": [call]})
    assert turn == Turn(Role.ASSISTANT, f"```python\n{content}\n```", metadata=name)


def called(*ids: str) -> dict[str, Any]:
    function = {"name": "f", "arguments": "{}"}
    return {"role": "assistant", "tool_calls": [{"id": i, "function": function} for i in ids]}


def result(call_id: str, content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


@pytest.mark.parametrize(
    ("messages", "observed"),
    [
        ([called("a", "b"), result("a", "一"), result("b", "二")], "一二"),
        ([called("a", "b"), result("b", "二"), result("a", "一")], "一二"),
        ([called("a", "b"), result("b", "一"), result("a", "二")], "二一"),
        ([called("b", "a"), result("a", "一"), result("b", "二")], "二一"),
        ([called("a", "b", "c"), result("c", "三"), result("a", "一")], "一三"),
        # A call with two results, as when it is repeated.
        ([called("a", "b"), result("b", "二"), result("a", "一"), result("b", "三")], "一二三"),
        # Each call in a message of its own, as requests for responses are translated.
        ([called("a"), called("b"), result("b", "二"), result("a", "一")], "一二"),
        ([called("a"), result("a", "一"), called("b"), result("b", "二")], "一二"),
        # Ids that a client uses again.
        (
            [
                *(called("a", "b"), result("b", "二"), result("a", "一")),
                *(user("x"), called("b", "a"), result("a", "四"), result("b", "三")),
            ],
            "一二三四",
        ),
        # A later result of an earlier call stays where it is.
        ([called("a", "b"), result("b", "二"), user("x"), result("a", "一")], "二一"),
    ],
)
def test_results_are_in_the_order_of_their_calls(
    messages: list[dict[str, Any]], observed: str
) -> None:
    found = [turn.content for turn in turns(*messages) if turn.role is Role.OBSERVATION]
    assert "".join(found) == observed


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"role": "tool", "tool_call_id": "c2", "content": "x"}, "tool_call_id"),
        ({"role": "tool", "content": "x"}, "tool_call_id"),
    ],
)
def test_what_has_no_meaning_is_refused(message: dict[str, Any], expected: str) -> None:
    with pytest.raises(InvalidRequestError, match=expected) as caught:
        turns(user("x"), message)
    assert caught.value.param == "messages[1]"


def test_each_part_is_encoded_by_itself() -> None:
    vocabulary = FakeVocabulary()
    ids = encode_turns(
        [Turn(Role.SYSTEM, "s"), Turn(Role.USER, "<|user|>"), Turn(Role.ASSISTANT, "c", "tool")],
        vocabulary,
        SpecialTokens.of(vocabulary),
    )
    assert ids == [
        *(GMASK, SOP),
        *(SYSTEM, *spell("\n"), *spell("s")),
        *(USER, *spell("\n"), *spell("<|user|>")),
        *(ASSISTANT, *spell("tool\n"), *spell("c")),
        ASSISTANT,
    ]


@pytest.mark.parametrize(
    "conversation",
    [
        [],
        [Turn(Role.USER, "你好")],
        [Turn(Role.SYSTEM, "简短"), Turn(Role.USER, ""), Turn(Role.ASSISTANT, "\n 好\n\n")],
        [
            Turn(Role.USER, "天气？ <|assistant|>"),
            Turn(Role.ASSISTANT, "tool_call(城市='上海')", metadata="天气"),
            Turn(Role.OBSERVATION, "晴"),
        ],
    ],
)
def test_turns_of_token_ids(conversation: list[Turn]) -> None:
    vocabulary = FakeVocabulary()
    special = SpecialTokens.of(vocabulary)
    ids = encode_turns(conversation, vocabulary, special)[2:-1]  # without prefix and last role
    assert decode_turns(ids, vocabulary, special) == conversation


@pytest.mark.parametrize("ids", [spell("你好"), [GMASK, SOP, USER], [EOS]])
def test_token_ids_that_are_no_turns(ids: list[int]) -> None:
    vocabulary = FakeVocabulary()
    with pytest.raises(InvalidRequestError, match="not a conversation of this model"):
        decode_turns(ids, vocabulary, SpecialTokens.of(vocabulary))


def test_the_last_turn_can_be_left_open() -> None:
    vocabulary = FakeVocabulary()
    ids = encode_turns(
        [Turn(Role.USER, "x"), Turn(Role.ASSISTANT, "我叫")],
        vocabulary,
        SpecialTokens.of(vocabulary),
        continues_last=True,
    )
    assert ids == [
        *(GMASK, SOP),
        *(USER, *spell("\n"), *spell("x")),
        *(ASSISTANT, *spell("\n"), *spell("我叫")),
    ]
