import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from glm3edge import limits
from glm3edge.config.settings import load_settings
from glm3edge.errors import InvalidRequestError
from glm3edge.server.app import create_app
from glm3edge.server.middleware import body_limit
from glm3edge.serving.services import Services
from tests.support.fakes import EOS, FakeBackend, spell

CHAT = "/v1/chat/completions"
HELLO = {"messages": [{"role": "user", "content": "hi"}]}
JSON = {"Content-Type": "application/json"}
MAX_BYTES = 20_000


@pytest.fixture
def backend() -> FakeBackend:
    """With room for deep tools, which the prompt indents."""
    return FakeBackend(batch_size=512, context_size=100_000)


@pytest.fixture
def app(services: Services, backend: FakeBackend) -> FastAPI:
    backend.reply_for = lambda _prompt: [*spell("\nok"), EOS]
    settings = load_settings(
        max_body=MAX_BYTES, allowed_hosts=["testserver"], cors_origins=["https://front.example"]
    )
    return create_app(services, settings)


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"properties": value}
    return value


def real_depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(real_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(real_depth, value), default=0)
    return 0


@pytest.mark.parametrize("levels", [100, 101, 500, 5000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth(levels: int, opening: str, closing: str) -> None:
    assert (
        body_limit.measure((opening * levels + '"]"' + closing * levels).encode()).depth == levels
    )
    assert body_limit.measure((opening * levels).encode()).depth == levels


@pytest.mark.parametrize(
    "text",
    [
        '["' + "[" * 300 + '"]',
        r'["\"' + "[" * 300 + '"]',
        r'["\\\"' + "[" * 300 + '"]',
        r'["a\\", "\\\\", "' + "{" * 300 + r'\\"]',
        "[" + ",".join(["[]"] * 300) + "]",
        "[" + "[],{}," * 300 + "1]",
    ],
)
def test_brackets_that_do_not_nest(text: str) -> None:
    assert body_limit.measure(text.encode()).depth <= 2


@pytest.mark.parametrize(
    "text",
    [
        r'["\\",' + "[" * 300,
        r'["\\\\",' + "[" * 300,
        r'["\"",' + "[" * 300,
        r'["\\\"",' + "[" * 300,
        '["",' + "[" * 300,
        '["é你",' + "[" * 300,
    ],
)
def test_brackets_after_strings(text: str) -> None:
    assert body_limit.measure(text.encode()).depth == 301


VALUES = st.recursive(
    st.text(alphabet='[]{}"\\,: \u4f60', max_size=6) | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=40,
)


def real_counts(value: object) -> Counter[str]:
    """Arrays and objects, keys, values and keys as ``LIMITS`` counts them."""
    counts: Counter[str] = Counter()
    if isinstance(value, dict):
        counts.update({"keys": len(value), "values and keys": len(value)})
    if isinstance(value, dict | list):
        counts["arrays and objects"] += 1
        counts["values and keys"] += max(len(value), 1)
        for inner in value.values() if isinstance(value, dict) else value:
            counts.update(real_counts(inner))
    if isinstance(value, int):
        counts["digits in numbers"] += len(str(abs(value)))
    return counts


@pytest.mark.slow
@given(value=VALUES, block_bytes=st.sampled_from([1, 2, 3, 7, 2**20]), as_ascii=st.booleans())
def test_the_shape_is_that_of_the_value(value: object, block_bytes: int, as_ascii: bool) -> None:
    """Over blocks of any size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body_limit, "_BLOCK_BYTES", block_bytes)
        text = json.dumps(value, ensure_ascii=as_ascii)
        shape = body_limit.measure(text.encode(errors="replace"))
    assert shape.depth == real_depth(value)
    for what, count in real_counts(value).items():
        assert shape.counts[[*limits.MAX_COUNTS[what][0]]].sum() == count


def list_of(item: str, count: int) -> str:
    return f"[{','.join([item] * count)}]"


TOO_MUCH = {
    "numbers": (list_of("1", 600_001), "600000 values"),
    "lists": (list_of("[]", 2**14), "16384 arrays"),
    "lists of strings": (list_of(list_of('"你好, :{[1"', 1000), 600), "600000 values"),
    "objects": (list_of("{}", 2**14 + 1), "16384 arrays"),
    "messages": (list_of('{"role": "user", "content": "\\"{\\\\"}', 2**14 + 1), "16384 arrays"),
    "keys": ("{" + ",".join(f'"{i}":0' for i in range(2**17 + 1)) + "}", "131072 keys"),
    "the same key": ("{" + ",".join(['"{":""'] * (2**17 + 1)) + "}", "131072 keys"),
    "a long number": ("1" * (2**23 + 1), "8388608 digits"),
    "a long fraction": ("0." + "3" * 2**23, "8388608 digits"),
    "long numbers": (list_of("9" * 4300, 2000), "8388608 digits"),
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_bodies_of_too_much(name: str) -> None:
    text, message = TOO_MUCH[name]
    with pytest.raises(InvalidRequestError, match=f"the body has more than {message}"):
        body_limit.check_json(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        list_of(list_of("65023", 256), 2048),
        json.dumps([[65023] * 250] * 2048, indent=1),
        "{" + ",".join(f'"{i}": -100.0' for i in range(65024)) + "}",
        list_of('{"role": "user", "content": "你好"}', 2**14 - 1),
        json.dumps("[{,: 1" * 300_000),
        json.dumps({"content": '{"a": [1, 2]}, ' * 200_000 + "你\\"}, ensure_ascii=False),
    ],
)
def test_large_bodies_that_are_taken(text: str) -> None:
    body_limit.check_json(text.encode())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_other_encodings_cannot_hide_depth(encoding: str) -> None:
    """A character of UTF-16 may look like a quote and a bracket."""
    with pytest.raises(InvalidRequestError, match="UTF-8"):
        body_limit.check_json(("[" * 300 + '"\u225b"').encode(encoding))


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 10_000,
        b'{"messages":' + b"[" * 10_000,
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
        b"[" * 101 + b"]" * 101,
        json.dumps(HELLO | {"unknown": nested(100)}).encode(),
    ],
)
@pytest.mark.parametrize("path", [CHAT, "/v1/embeddings"])
def test_deep_bodies(client: TestClient, path: str, content: bytes) -> None:
    reply = client.post(path, content=content, headers=JSON)
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert "100 levels" in error["message"]


def test_a_deep_body_of_a_megabyte(services: Services) -> None:
    settings = load_settings(allowed_hosts=["testserver"])
    with TestClient(create_app(services, settings)) as client:
        for content in (b"[" * 10**6, b'{"messages":' + b"[" * 10**6, b'{"":' * 10**6):
            reply = client.post(CHAT, content=content, headers=JSON)
            assert reply.status_code == 400
            assert "100 levels" in reply.json()["error"]["message"]


def test_the_deepest_tools_that_are_taken(client: TestClient) -> None:
    """With those around them: body, tools, tool, function."""
    for levels, status in ((96, 200), (97, 400)):
        tool = {"type": "function", "function": {"name": "f", "parameters": nested(levels)}}
        text = json.dumps(HELLO | {"max_tokens": 4, "tools": [tool]})
        assert real_depth(json.loads(text)) == levels + 4
        assert client.post(CHAT, content=text, headers=JSON).status_code == status


def sized(num_bytes: int) -> bytes:
    start = json.dumps(HELLO | {"max_tokens": 4, "user": ""}).encode()
    return start.replace(b'"user": "', b'"user": "' + b"x" * (num_bytes - len(start)))


def check_too_large(status: int, body: Any) -> None:
    assert status == 413
    error = body["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "request_too_large")
    assert str(MAX_BYTES) in error["message"]
    assert "--max-body" in error["message"]


def test_the_largest_body_that_is_taken(client: TestClient) -> None:
    assert client.post(CHAT, content=sized(MAX_BYTES), headers=JSON).status_code == 200
    reply = client.post(CHAT, content=sized(MAX_BYTES + 1), headers=JSON)
    check_too_large(reply.status_code, reply.json())


def test_browsers_can_read_that_a_body_is_too_large(client: TestClient) -> None:
    headers = JSON | {"Origin": "https://front.example"}
    reply = client.post(CHAT, content=sized(MAX_BYTES + 1), headers=headers)
    check_too_large(reply.status_code, reply.json())
    assert reply.headers["access-control-allow-origin"] == "https://front.example"


def test_pieces_are_counted(url: str) -> None:
    """A body in chunks does not say how long it will be."""

    def pieces(num_bytes: int) -> Iterator[bytes]:
        content = sized(num_bytes)
        for start in range(0, len(content), 777):
            yield content[start : start + 777]

    with httpx.Client(base_url=url, headers=JSON, timeout=60) as client:
        assert client.post(CHAT, content=pieces(MAX_BYTES)).status_code == 200
        reply = client.post(CHAT, content=pieces(MAX_BYTES + 1))
        check_too_large(reply.status_code, reply.json())
        reply = client.post(CHAT, content=pieces(200 * MAX_BYTES))
        check_too_large(reply.status_code, reply.json())
        assert client.post(CHAT, json=HELLO).status_code == 200


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize(
    "text",
    [
        '{"messages": [{"role": "user", "content": "hi"}], "temperature": %s}',
        '{"tools": [{"function": {"parameters": {"enum": [1, %s]}}}]}',
        "%s",
        '["a\\\\", %s, "\\""]',
    ],
)
def test_what_json_has_no_number_for_is_refused(text: str, number: str) -> None:
    """Python's parser takes them, and a grammar of them led nowhere."""
    with pytest.raises(InvalidRequestError, match="no NaN or Infinity"):
        body_limit.check_json((text % number).encode())
    body_limit.check_json((text % f'"{number}"').encode())
