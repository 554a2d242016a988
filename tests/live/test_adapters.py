"""Adapters beside their model: the official client, and servers of models merged beforehand."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from glm3edge_convert import convert
from glm3edge_convert.adapters.scaled_path import ScaledPath
from glm3edge_convert.synth.random_checkpoint import SHAPES, make_checkpoint
from tests.support.lora_adapters import OUTPUT, layer_modules, make_adapter
from tests.support.servers import Server, start_server, stop_server

pytestmark = pytest.mark.live

NAMES = ("base", "poet", "clerk")
SCALES = {"poet": 1.0, "clerk": 0.6}
QUESTIONS = ("你好", "Who are you?", "写一首长诗")


def ask(client: openai.OpenAI, name: str, question: str, **fields: Any) -> Any:
    return client.chat.completions.create(
        model=name,
        messages=[{"role": "user", "content": question}],
        max_tokens=24,
        temperature=0,
        **fields,
    )


def texts(base_url: str, name: str) -> list[str]:
    """What a server says as ``name``."""
    with openai.OpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        return [ask(client, name, question).choices[0].message.content for question in QUESTIONS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in float32, and its adapters."""
    folder = tmp_path_factory.mktemp("adapters")
    make_checkpoint(folder / "base", shape=SHAPES["tiny"], dtype="float32")
    convert(folder / "base", folder / "base.gguf", quant_type="f32")
    modules = [*layer_modules(SHAPES["tiny"].num_layers), OUTPUT]
    for seed, name in enumerate(SCALES):
        make_adapter(folder / name, folder / "base", modules, seed=seed)
    return folder


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, list[str]]:
    """What servers of the model, and of the model with each adapter in its weights, say."""
    said = {}
    for name in NAMES:
        adapters = [ScaledPath(folder / name, SCALES[name])] if name in SCALES else []
        path = folder / f"merged-{name}.gguf"
        convert(folder / "base", path, quant_type="f32", adapters=adapters)
        server = start_server(str(path), "--disk-cache", "0")
        said[name] = texts(server.base_url, name)
        assert stop_server(server) == 0
    return said


def serve(folder: Path, *options: str) -> Server:
    return start_server(
        *(str(folder / "base.gguf"), "--cache-dir", str(folder / "cache")),
        *("--lora", str(folder / "poet"), "--lora", f"{folder / 'clerk'}:{SCALES['clerk']}"),
        *options,
    )


@pytest.fixture(scope="module")
def server(folder: Path, expected: dict[str, list[str]]) -> Iterator[Server]:
    server = serve(folder, "--no-drafts")
    yield server
    assert stop_server(server) == 0


def test_adapters_say_what_merged_models_say(
    server: Server, expected: dict[str, list[str]]
) -> None:
    assert len({tuple(said) for said in expected.values()}) == len(NAMES)
    for name in NAMES:
        assert texts(server.base_url, name) == expected[name]
    assert texts(server.base_url, "gpt-4o") == expected["base"]


def test_adapters_at_the_same_time(server: Server, expected: dict[str, list[str]]) -> None:
    found: dict[str, list[list[str]]] = {name: [] for name in NAMES}
    threads = [
        threading.Thread(target=lambda n=name: found[n].append(texts(server.base_url, n)))
        for name in NAMES * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: [expected[name]] * 3 for name in NAMES}


def test_a_stream_names_its_adapter(server: Server, expected: dict[str, list[str]]) -> None:
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        chunks = list(ask(client, "clerk", QUESTIONS[0], stream=True))
        assert {chunk.model for chunk in chunks} == {"clerk"}
        content = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert content == expected["clerk"][0]


def test_prefixes_are_each_adapters_own(server: Server) -> None:
    question = "A question that is long enough to be remembered by who has read it. " * 3
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:

        def num_cached(name: str) -> int:
            usage = ask(client, name, question).usage
            return int(usage.prompt_tokens_details.cached_tokens)

        first = [num_cached(name) for name in NAMES]
        second = [num_cached(name) for name in NAMES]
    assert max(first) < 10
    assert min(second) > 32


def test_the_models_are_listed(server: Server) -> None:
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        base, *adapters = client.models.list().data
        assert [card.id for card in adapters] == ["poet", "clerk"]
        assert {card.model_extra["parent"] for card in adapters if card.model_extra} == {base.id}
        vectors = [
            client.embeddings.create(model=name, input="hello") for name in (base.id, "poet")
        ]
    assert vectors[0].data[0].embedding == vectors[1].data[0].embedding
    assert {reply.model for reply in vectors} == {base.id}
    assert "adapter  poet\nadapter  clerk\n" in server.banner


def test_a_restart_and_determinism(folder: Path, expected: dict[str, list[str]]) -> None:
    """States on the disk are each adapter's own, and the same request gives the same reply."""
    said = []
    for _ in range(2):
        server = serve(folder, "--deterministic")
        said.append([texts(server.base_url, name) for name in (*NAMES, *NAMES)])
        assert stop_server(server) == 0
    assert said == [[expected[name] for name in (*NAMES, *NAMES)]] * 2


def test_a_name_that_is_taken(folder: Path, tmp_path: Path) -> None:
    taken = tmp_path / "base"
    (folder / "poet").rename(taken)
    try:
        with pytest.raises(AssertionError, match="an adapter and a model are both called base"):
            start_server(str(folder / "base.gguf"), "--lora", str(taken))
    finally:
        taken.rename(folder / "poet")
