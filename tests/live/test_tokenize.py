"""Texts to tokens and back on a real server; ids as prompts of OpenAI's client."""

from typing import Any

import httpx
import openai
import pytest

from tests.support.servers import Server
from tests.support.waiting import SECONDS

pytestmark = pytest.mark.live

TEXTS = ["床前明月光，疑是地上霜。", " a  b\n", "🙂 e\u0301", "<|user|>\n你好<|assistant|>", ""]


def post(server: Server, route: str, **body: Any) -> Any:
    reply = httpx.post(f"{server.url}{route}", json=body, timeout=SECONDS)
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("add_special", [False, True])
def test_there_and_back(server: Server, text: str, add_special: bool) -> None:
    tokens = post(server, "/tokenize", content=text, add_special=add_special)["tokens"]
    content = post(server, "/detokenize", tokens=tokens)["content"]
    assert content.startswith("[gMASK]") == add_special
    assert content.endswith(text)
    assert add_special or content == text


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_spell_the_text(server: Server, text: str) -> None:
    tokens = post(server, "/tokenize", content=text, with_pieces=True)["tokens"]
    pieces = [token["piece"] for token in tokens]
    data = b"".join(p.encode() if isinstance(p, str) else bytes(p) for p in pieces)
    assert data.decode() == (f" {text}" if text else "")  # with the tokenizer's dummy prefix
    plain = post(server, "/tokenize", content=text)["tokens"]
    assert [token["id"] for token in tokens] == plain


def test_an_unknown_token(server: Server) -> None:
    reply = httpx.post(f"{server.url}/detokenize", json={"tokens": [10_000_000]}, timeout=SECONDS)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "tokens"


def test_a_text_and_its_ids_are_the_same_prompt(server: Server) -> None:
    texts = ["床前明月光，", "<|user|>你好"]
    ids = [post(server, "/tokenize", content=text)["tokens"] for text in texts]
    with_prefix = post(server, "/tokenize", content=texts[0], add_special=True)["tokens"]

    def replies(prompt: Any) -> list[str]:
        with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
            reply = client.completions.create(
                model="m", prompt=prompt, echo=True, max_tokens=8, temperature=0
            )
        return [choice.text for choice in reply.choices]

    first, second = replies(texts)
    assert replies(ids) == [first, second]
    assert replies(ids[0]) == replies(with_prefix) == replies(texts[0]) == [first]
    assert second.startswith(texts[1])
