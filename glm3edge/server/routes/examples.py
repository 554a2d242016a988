"""Example bodies in the API docs; the built-in model answers each of them, too."""

from typing import Any

_MODEL = "chatglm3-6b"
_HELLO = [{"role": "user", "content": "你好"}]
_ABOUT = [
    {"role": "system", "content": "请用中文回答。"},
    {"role": "user", "content": "glm3edge 是什么？"},
]
_CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "城市名称"}},
    "required": ["city"],
    "additionalProperties": False,
}
_PLACE = {
    "type": "object",
    "properties": {"city": {"enum": ["北京", "上海", "广州"]}},
    "required": ["city"],
    "additionalProperties": False,
}
_WEATHER = {"name": "get_current_weather", "description": "查询城市的天气", "parameters": _CITY}
_WEATHER_QUESTION = {"role": "user", "content": "北京天气怎么样"}


def _example(summary: str, **value: Any) -> dict[str, Any]:
    return {"summary": summary, "value": value}


CHAT: dict[str, Any] = {
    "chat": _example("A question", model=_MODEL, messages=_ABOUT, max_tokens=64),
    "stream": _example(
        "A stream, with token usage",
        model=_MODEL,
        messages=_HELLO,
        max_tokens=64,
        stream=True,
        stream_options={"include_usage": True},
    ),
    "sampling": _example(
        "The same reply each time",
        model=_MODEL,
        messages=_HELLO,
        max_tokens=64,
        temperature=0.8,
        top_p=0.8,
        seed=1,
    ),
    "tools": _example(
        "A tool that the model may call",
        model=_MODEL,
        messages=[_WEATHER_QUESTION],
        max_tokens=64,
        tools=[{"type": "function", "function": _WEATHER}],
    ),
    "tool result": _example(
        "The result of a call",
        model=_MODEL,
        messages=[
            _WEATHER_QUESTION,
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {
                            "name": "get_current_weather",
                            "arguments": '{"city": "北京"}',
                        },
                    }
                ],
            },
            {
                "role": "tool",
                "tool_call_id": "call_1",
                "content": '{"temperature": 23, "天气": "晴"}',
            },
        ],
        max_tokens=64,
        tools=[{"type": "function", "function": _WEATHER}],
    ),
    "json": _example(
        "JSON that follows a schema",
        model=_MODEL,
        messages=[{"role": "user", "content": "我住在上海"}],
        max_tokens=64,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "place", "schema": _PLACE, "strict": True},
        },
    ),
}

COMPLETIONS: dict[str, Any] = {
    "text": _example("Text that goes on", model=_MODEL, prompt="从前有座山，", max_tokens=32),
    "stream": _example(
        "A stream", model=_MODEL, prompt="Once upon a time", max_tokens=32, stream=True
    ),
    "several": _example(
        "Several prompts", model=_MODEL, prompt=["你好，", "Hello, "], max_tokens=8
    ),
}

EMBEDDINGS: dict[str, Any] = {
    "text": _example("A text", model=_MODEL, input="今天天气很好"),
    "several": _example("Several texts", model=_MODEL, input=["猫", "狗", "car"]),
}

RERANK: dict[str, Any] = {
    "texts": _example(
        "The documents that answer a question",
        model="bge-reranker-v2-m3",
        query="熊猫吃什么？",
        documents=["大熊猫以竹子为食。", "今天天气很好。", "The panda eats bamboo."],
        top_n=2,
    ),
}

MESSAGES: dict[str, Any] = {
    "chat": _example("A question", model=_MODEL, max_tokens=64, messages=_HELLO),
    "stream": _example("A stream", model=_MODEL, max_tokens=64, messages=_HELLO, stream=True),
    "tools": _example(
        "A tool that the model may call",
        model=_MODEL,
        max_tokens=64,
        messages=[_WEATHER_QUESTION],
        tools=[
            {
                "name": _WEATHER["name"],
                "description": _WEATHER["description"],
                "input_schema": _CITY,
            }
        ],
    ),
}

COUNT_TOKENS: dict[str, Any] = {
    "chat": _example("A question", model=_MODEL, messages=_HELLO),
}

RESPONSES: dict[str, Any] = {
    "text": _example("A question", model=_MODEL, input="你好", max_output_tokens=64),
    "stream": _example(
        "A stream, with instructions",
        model=_MODEL,
        instructions="请用中文回答。",
        input=_HELLO,
        max_output_tokens=64,
        stream=True,
    ),
    "tools": _example(
        "A tool that the model may call",
        model=_MODEL,
        input=[_WEATHER_QUESTION],
        max_output_tokens=64,
        tools=[{"type": "function", **_WEATHER}],
    ),
}

TOKENIZE: dict[str, Any] = {
    "ids": _example("Token ids", content="今天天气很好"),
    "pieces": _example("Ids, and the text of each", content="今天天气很好", with_pieces=True),
}

DETOKENIZE: dict[str, Any] = {
    "text": _example("The text of token ids", tokens=[300, 301, 302]),
}

OLLAMA_CHAT: dict[str, Any] = {
    "chat": _example(
        "A stream", model=_MODEL, messages=_HELLO, options={"num_predict": 64}, stream=True
    ),
    "whole": _example(
        "A whole reply", model=_MODEL, messages=_HELLO, options={"num_predict": 64}, stream=False
    ),
    "tools": _example(
        "A tool that the model may call",
        model=_MODEL,
        messages=[_WEATHER_QUESTION],
        options={"num_predict": 64},
        tools=[{"type": "function", "function": _WEATHER}],
        stream=False,
    ),
    "json": _example(
        "JSON that follows a schema",
        model=_MODEL,
        messages=[{"role": "user", "content": "我住在上海"}],
        options={"num_predict": 64},
        format=_PLACE,
        stream=False,
    ),
}

OLLAMA_GENERATE: dict[str, Any] = {
    "prompt": _example(
        "A prompt", model=_MODEL, prompt="你好", options={"num_predict": 64}, stream=False
    ),
    "raw": _example(
        "Text that goes on",
        model=_MODEL,
        prompt="从前有座山，",
        options={"num_predict": 32},
        raw=True,
        stream=False,
    ),
}

OLLAMA_SHOW: dict[str, Any] = {
    "model": _example("A model", model="glm3-tiny"),
}

OLLAMA_EMBEDDINGS: dict[str, Any] = {
    "text": _example("A text", model=_MODEL, prompt="今天天气很好"),
}

OLLAMA_EMBED: dict[str, Any] = {
    "several": _example("Several texts", model=_MODEL, input=["猫", "狗", "car"]),
}
