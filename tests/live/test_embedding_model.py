"""A model for embeddings beside the chat model: the official client, a real server."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from tests.support.encoders import HIDDEN, make_bert
from tests.support.paths import DATA
from tests.support.servers import Server, start_server, stop_server
from tests.support.waiting import SECONDS

pytestmark = pytest.mark.live

GOLDEN: Any = json.loads((DATA / "encoders.json").read_text("utf-8"))
TEXTS, VECTORS = GOLDEN["bert"]["texts"], np.array(GOLDEN["bert"]["vectors"])


@pytest.fixture(scope="module")
def server(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("embedding")
    make_bert(folder / "bge-tiny")
    server = start_server(
        str(tiny_gguf),
        *("--embedding-model", str(folder / "bge-tiny"), "--cache-dir", str(folder / "cache")),
    )
    yield server
    assert stop_server(server) == 0


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        yield client


def vectors(client: openai.OpenAI, texts: Any, **fields: Any) -> Any:
    reply = client.embeddings.create(model="bge-large-zh-1.5", input=texts, **fields)
    assert [item.index for item in reply.data] == list(range(len(reply.data)))
    return np.array([item.embedding for item in reply.data])


def test_vectors_are_the_encoders(client: openai.OpenAI) -> None:
    found = vectors(client, TEXTS)
    assert (found * VECTORS).sum(axis=1).min() >= 0.9999
    np.testing.assert_allclose(vectors(client, TEXTS, encoding_format="float"), found, atol=2e-3)


def test_fewer_dimensions_have_length_1(client: openai.OpenAI) -> None:
    found = vectors(client, TEXTS[:2], dimensions=8)
    assert found.shape == (2, 8)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    with pytest.raises(openai.BadRequestError, match=f"dimensions is at most {HIDDEN}"):
        vectors(client, "x", dimensions=HIDDEN + 1)


def test_token_ids(client: openai.OpenAI) -> None:
    ids = GOLDEN["bert"]["ids"][0]
    expected = vectors(client, TEXTS[0])
    for given in (ids, ids[1:-1]):
        np.testing.assert_allclose(vectors(client, [given]), expected, atol=1e-5)
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False"):
        vectors(client, [9999])


def test_many_texts_keep_their_order(client: openai.OpenAI) -> None:
    texts = [TEXTS[number % len(TEXTS)] for number in range(300)]
    expected = VECTORS[np.arange(300) % len(TEXTS)]
    assert (vectors(client, texts) * expected).sum(axis=1).min() >= 0.9999


@pytest.mark.parametrize(("text", "code"), [("好" * 63, "context_length_exceeded"), ("", None)])
def test_what_is_refused(client: openai.OpenAI, text: str, code: str | None) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        vectors(client, ["fine", text])
    assert caught.value.code == code


def test_both_models_are_listed(client: openai.OpenAI, server: Server) -> None:
    chat, embedding = client.models.list().data
    assert embedding.id == "bge-tiny"
    assert client.models.retrieve("bge-tiny").id == "bge-tiny"
    assert client.models.retrieve(chat.id).id == chat.id
    assert client.embeddings.create(model="any", input="x").model == "bge-tiny"
    assert "embeds   bge-tiny, up to 64 tokens per text" in server.banner


def test_chats_go_on_beside(client: openai.OpenAI) -> None:
    def chat() -> str:
        reply = client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "你好"}],
            max_tokens=100,
            temperature=0,
        )
        return reply.choices[0].message.content or ""

    alone, beside = chat(), []
    threads = [threading.Thread(target=lambda: beside.append(chat())) for _ in range(3)]
    for thread in threads:
        thread.start()
    found = vectors(client, TEXTS * 5)
    for thread in threads:
        thread.join()
    assert (found * np.tile(VECTORS, (5, 1))).sum(axis=1).min() >= 0.9999
    assert len(alone) > 0
    assert len(beside) == 3


def test_ollamas_routes(server: Server) -> None:
    """Both models are listed; texts longer than the encoder's context are cut."""
    with httpx.Client(base_url=server.url, timeout=SECONDS) as client:
        chat, encoder = client.get("/api/tags").json()["models"]
        assert (chat["details"]["family"], chat["capabilities"]) == (
            "chatglm",
            ["completion", "tools"],
        )
        assert (encoder["details"]["family"], encoder["capabilities"]) == ("bert", ["embedding"])
        assert encoder["size"] > 0
        context_length = client.get("/api/ps").json()["models"][1]["context_length"]
        shown = client.post("/api/show", json={"model": encoder["model"]}).json()
        assert shown["model_info"]["bert.context_length"] == context_length
        body = {"model": encoder["model"], "input": [TEXTS[0], "长" * 3000]}
        made = client.post("/api/embed", json=body).json()
        assert made["model"] == encoder["model"]
        assert made["prompt_eval_count"] > context_length
        np.testing.assert_allclose(made["embeddings"][0] @ VECTORS[0], 1, atol=1e-3)
        np.testing.assert_allclose(np.linalg.norm(made["embeddings"], axis=1), 1, rtol=1e-5)
        refused = client.post("/api/embed", json=body | {"truncate": False})
        assert refused.status_code == 400
