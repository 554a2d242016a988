"""What clients set counts for what they see, on the built-in model with OpenAI's client."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from glm3edge.chatglm3.prompt import build_turns, encode_turns
from glm3edge.chatglm3.vocabulary import SpecialTokens
from glm3edge.llama.model import Model
from glm3edge.schema.chat import Message
from glm3edge_convert import convert
from glm3edge_convert.synth.random_checkpoint import SHAPES, make_checkpoint
from tests.support.paths import GLM3_TINY
from tests.support.servers import Server

pytestmark = pytest.mark.live

GREEDY: dict[str, Any] = {"temperature": 0, "seed": 1, "model": "m"}  # a seed: without drafts
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "查询城市的天气",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
SCHEMA = {"type": "object", "properties": {"a": {"enum": ["北京"]}}, "required": ["a"]}
QUESTIONS = [
    *("你好", "Hello", "你是谁？", "Who are you?", "怎么改端口？", "我叫王小明", "谢谢", "再见"),
    *("我叫什么名字？", "早上好", "Thanks!", "如何安装？", "How do I change the port?"),
    *("北京的天气怎么样？", "写一首关于春天的诗", "Tell me a joke", "1+1等于几？"),
    *("把“你好”翻译成英语", "What is water?", "philosophy 是什么意思？", "第一行\n第二行", "a"),
    *("什么是机器学习？", "Is water wet? Answer yes or no.", "用一句话介绍上海", "讲个故事"),
    *("<|user|>你好", "def f(x):\n    return x", "为什么天空是蓝色的", "现在几点？", "推荐一本书"),
    *("请列出三种水果", "JSON 是什么", "帮我算一下 12*7", "你会做什么？", "What can you do?"),
    *("怎么开启流式输出？", "支持工具调用吗？", "Hi there", "你好吗？"),
]
NUM_IN_DOMAIN = (
    14  # of these, what the model was trained for: elsewhere two tokens may be as likely
)
HISTORY = [{"role": "user", "content": "我叫王小明"}, {"role": "assistant", "content": "你好。"}]


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """The built-in model's tokenizer."""
    folder = tmp_path_factory.mktemp("vocabulary")
    tokenizer = GLM3_TINY / "tokenizer.model"
    make_checkpoint(folder / "tiny", shape=SHAPES["tiny"], tokenizer=tokenizer)
    convert(folder / "tiny", folder / "tiny.gguf", quant_type="q8_0")
    with Model(folder / "tiny.gguf", vocab_only=True) as model:
        yield model


def ask(client: openai.OpenAI, content: str, **fields: Any) -> Any:
    create: Any = client.chat.completions.create
    return create(messages=[{"role": "user", "content": content}], **GREEDY, **fields).choices[0]


@pytest.mark.parametrize(
    ("history", "questions"),
    [([], QUESTIONS), (HISTORY, QUESTIONS[:NUM_IN_DOMAIN])],
    ids=["alone", "later"],
)
def test_replies_are_those_to_a_prompt_without_the_metadata_line(
    client: openai.OpenAI, vocabulary: Model, history: list[Any], questions: list[str]
) -> None:
    """The official prompt ends with <|assistant|>, and the model writes the line itself."""
    special = SpecialTokens.of(vocabulary)
    chat: Any = client.chat.completions.create
    for question in questions:
        messages = [*history, {"role": "user", "content": question}]
        turns = build_turns([Message.model_validate(message) for message in messages])
        ids = encode_turns(turns, vocabulary, special)
        official = client.completions.create(prompt=ids, max_tokens=50, **GREEDY).choices[0]
        choice = chat(messages=messages, max_tokens=40, **GREEDY).choices[0]
        assert official.text.startswith(" \n"), question
        text, content = official.text.strip(), choice.message.content
        is_whole = choice.finish_reason == "stop"
        assert content == (text if is_whole else text[: len(content)]), question


@pytest.mark.parametrize("tools", [None, [WEATHER]])
@pytest.mark.parametrize("stop", ["\n", " ", "！", "glm3edge", "模型。", "\t", ["zzz", "演示"]])
def test_a_reply_ends_at_the_first_stop_that_is_seen(
    client: openai.OpenAI, stop: Any, tools: Any
) -> None:
    fields: dict[str, Any] = {"tools": tools} if tools else {}
    whole = ask(client, "你好", **fields).message.content
    stops = [stop] if isinstance(stop, str) else stop
    first = min((whole.find(text) for text in stops if text in whole), default=len(whole))
    choice = ask(client, "你好", stop=stop, logprobs=True, **fields)
    assert choice.message.content == whole[:first].rstrip()
    tokens = choice.logprobs.content
    assert bytes(b for token in tokens for b in token.bytes).decode() == choice.message.content


@pytest.mark.parametrize("stop", ["\n", " ", "python", "```", "tool_call", "北", "get_weather"])
@pytest.mark.parametrize("choice", ["auto", "required", {"type": "function", "function": {}}])
def test_no_stop_cuts_a_call(client: openai.OpenAI, stop: str, choice: Any) -> None:
    if isinstance(choice, dict):
        choice = {"type": "function", "function": {"name": "get_weather"}}
    reply = ask(client, "北京的天气怎么样？", stop=stop, tools=[WEATHER], tool_choice=choice)
    (call,) = reply.message.tool_calls
    assert call.function.arguments == '{"city": "北京"}'
    assert reply.finish_reason == "tool_calls"


@pytest.mark.parametrize("stop", ["\n", " ", "```", "json"])
def test_no_hidden_stop_cuts_json(client: openai.OpenAI, stop: str) -> None:
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    choice = ask(client, "你好", stop=stop, response_format=wanted, max_tokens=60)
    seen = '{"a": "北京"}'
    assert choice.message.content == seen.partition(stop)[0]


@pytest.mark.parametrize(
    "question", ["Is water wet? Answer yes or no.", "你好", "再见", "1+1等于几？"]
)
@pytest.mark.parametrize("max_tokens", [1, 2])
@pytest.mark.parametrize("tools", [None, [WEATHER]])
def test_one_token_can_be_scored(
    client: openai.OpenAI, question: str, max_tokens: int, tools: Any
) -> None:
    fields: dict[str, Any] = {"tools": tools} if tools else {}
    fields |= {"logprobs": True, "top_logprobs": 5}
    choice = ask(client, question, max_tokens=max_tokens, **fields)
    assert choice.finish_reason == "length"
    assert choice.message.content
    tokens = choice.logprobs.content
    assert 1 <= len(tokens) <= max_tokens  # white space at the end is no content
    assert bytes(b for token in tokens for b in token.bytes).decode() == choice.message.content
    assert all(len(token.top_logprobs) == 5 for token in tokens)
    assert tokens[0].top_logprobs[0].token == tokens[0].token
