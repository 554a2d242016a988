"""/tokenize and /detokenize over HTTP."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from glm3edge.serving.services import Services
from tests.support.fakes import GMASK, SOP, USER, spell


@pytest.mark.parametrize("content", ["你好，世界", "", " a b ", "<|user|>"])
def test_there_and_back(client: TestClient, content: str) -> None:
    tokens = client.post("/tokenize", json={"content": content}).json()
    assert tokens == {"tokens": spell(content)}
    assert client.post("/detokenize", json=tokens).json() == {"content": content}


def test_special_tokens_come_when_asked_for(client: TestClient) -> None:
    reply = client.post("/tokenize", json={"content": "你", "add_special": True})
    assert reply.json() == {"tokens": [GMASK, SOP, *spell("你")]}


def test_pieces_are_strings_or_bytes(client: TestClient) -> None:
    body = {"content": "a你", "add_special": True, "with_pieces": True}
    assert client.post("/tokenize", json=body).json()["tokens"] == [
        {"id": GMASK, "piece": "[gMASK]"},
        {"id": SOP, "piece": "<|sop|>"},
        {"id": 3 + ord("a"), "piece": "a"},
        *({"id": 3 + byte, "piece": [byte]} for byte in "你".encode()),
    ]


@pytest.mark.parametrize(
    ("tokens", "content"),
    [
        (spell("你好")[:4], "你\ufffd"),
        ([3 + 0xFF, *spell("好")], "\ufffd好"),
        ([GMASK, SOP, USER, *spell("好")], "[gMASK]<|sop|><|user|>好"),
    ],
)
def test_what_is_no_text_by_itself(client: TestClient, tokens: list[int], content: str) -> None:
    assert client.post("/detokenize", json={"tokens": tokens}).json() == {"content": content}


@pytest.mark.parametrize(
    ("route", "body", "param"),
    [
        ("/tokenize", {}, "content"),
        ("/tokenize", {"content": ["你"]}, "content"),
        ("/tokenize", {"content": "你", "with_pieces": "perhaps"}, "with_pieces"),
        ("/detokenize", {}, "tokens"),
        ("/detokenize", {"tokens": "你"}, "tokens"),
        ("/detokenize", {"tokens": [5, -1]}, "tokens[1]"),
        ("/detokenize", {"tokens": [5, 2000]}, "tokens"),
        ("/detokenize", {"tokens": [2**40]}, "tokens"),
    ],
)
def test_wrong_fields_are_named(
    client: TestClient, route: str, body: dict[str, Any], param: str
) -> None:
    reply = client.post(route, json=body)
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)


def test_no_engine_is_needed(client: TestClient, services: Services) -> None:
    services.engine.close()
    assert client.post("/tokenize", json={"content": "你"}).json() == {"tokens": spell("你")}
