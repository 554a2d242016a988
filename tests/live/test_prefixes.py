"""P-Tuning v2 prefixes beside their model, by the official client."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from glm3edge_convert import convert
from glm3edge_convert.synth.random_checkpoint import SHAPES, make_checkpoint
from tests.support.lora_adapters import OUTPUT, layer_modules, make_adapter
from tests.support.prefixes import make_prefix
from tests.support.servers import Server, start_server, stop_server

pytestmark = pytest.mark.live

NAMES = ("base", "poet", "clerk", "lora")
QUESTIONS = ("你好", "Who are you?", "写一首长诗")
LONG = "A question that is long enough to be remembered by who has read it. " * 6


def ask(client: openai.OpenAI, name: str, *turns: str, **fields: Any) -> Any:
    roles = ("user", "assistant")
    messages: Any = [{"role": roles[n % 2], "content": text} for n, text in enumerate(turns)]
    return client.chat.completions.create(
        model=name, messages=messages, max_tokens=24, temperature=0, **fields
    )


def open_client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0)


def texts(server: Server, name: str) -> list[str]:
    """What a server says as ``name``."""
    with open_client(server) as client:
        return [ask(client, name, question).choices[0].message.content for question in QUESTIONS]


def turns(server: Server, name: str) -> tuple[list[int], str]:
    """Tokens of the prompts that were in memory, of a first and a second turn; and what is said."""
    with open_client(server) as client:
        first = ask(client, name, LONG)
        said = first.choices[0].message.content
        second = ask(client, name, LONG, said, "And now?")
        usages = [first.usage, second.usage]
        assert usages[0].prompt_tokens < usages[1].prompt_tokens
        cached = [usage.prompt_tokens_details.cached_tokens for usage in usages]
        return cached, said + second.choices[0].message.content


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in float32, a LoRA adapter, and two prefixes."""
    folder = tmp_path_factory.mktemp("prefixes")
    make_checkpoint(folder / "base", shape=SHAPES["tiny"], dtype="float32")
    convert(folder / "base", folder / "base.gguf", quant_type="f32")
    make_prefix(folder / "poet", folder / "base", num_places=128, seed=1, std=2)
    make_prefix(folder / "clerk", folder / "base", num_places=16, seed=2, projection=True, std=3)
    modules = [*layer_modules(SHAPES["tiny"].num_layers), OUTPUT]
    make_adapter(folder / "lora", folder / "base", modules)
    return folder


def serve(folder: Path, *options: str) -> Server:
    prefixes = ("--prefix", str(folder / "poet"), "--prefix", str(folder / "clerk"))
    return start_server(
        *(str(folder / "base.gguf"), "--cache-dir", str(folder / "cache"), "--no-drafts"),
        *("--lora", str(folder / "lora"), *prefixes, *options),
    )


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    server = serve(folder, "--disk-cache", "0")
    yield server
    assert stop_server(server) == 0


@pytest.fixture(scope="module")
def alone(server: Server) -> dict[str, list[str]]:
    """What each says while nobody else is asked."""
    return {name: texts(server, name) for name in NAMES}


def test_each_says_something_else(alone: dict[str, list[str]], folder: Path) -> None:
    assert len({tuple(said) for said in alone.values()}) == len(NAMES)
    plain = start_server(str(folder / "base.gguf"), "--disk-cache", "0", "--no-drafts")
    assert texts(plain, "base") == alone["base"]
    assert stop_server(plain) == 0


def test_all_at_the_same_time(folder: Path) -> None:
    """One request at a time is computed, whoever asks: batches change the last digits of logits."""
    server = serve(folder, "--disk-cache", "0", "--deterministic")
    alone = {name: texts(server, name) for name in NAMES}
    found: dict[str, list[list[str]]] = {name: [] for name in NAMES}
    threads = [
        threading.Thread(target=lambda n=name: found[n].append(texts(server, n)))
        for name in NAMES * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: [alone[name]] * 3 for name in NAMES}
    assert stop_server(server) == 0


def test_usage_counts_the_prompt_alone(server: Server) -> None:
    with open_client(server) as client:
        usages = [ask(client, name, LONG).usage for name in ("base", "poet", "clerk")]
    assert len({usage.prompt_tokens for usage in usages}) == 1


def test_a_second_turn_goes_on_with_the_first(server: Server) -> None:
    results = {name: turns(server, name) for name in NAMES}
    for cached, _ in results.values():
        assert cached[1] > cached[0]
        assert cached[1] > 100


def test_the_models_are_listed(server: Server) -> None:
    with open_client(server) as client:
        base, *others = client.models.list().data
        assert [card.id for card in others] == ["lora", "poet", "clerk"]
        assert {card.model_extra["parent"] for card in others if card.model_extra} == {base.id}
    assert "adapter  poet\nadapter  clerk\n" in server.banner


def test_a_restart(folder: Path) -> None:
    """What was computed behind a prefix is found on the disk, and goes on the same way."""
    said, cached = [], []
    for _ in range(2):
        server = serve(folder, "--deterministic")
        results = [turns(server, name) for name in NAMES]
        said.append([text for _, text in results])
        cached.append([counts[0] for counts, _ in results])
        assert stop_server(server) == 0
    assert said[0] == said[1]
    assert len(set(said[0])) == len(NAMES)
    assert cached[0] == [0] * len(NAMES)
    assert min(cached[1]) >= 128  # whole batches


def test_names_that_are_taken(folder: Path, tmp_path: Path) -> None:
    base = str(folder / "base.gguf")
    taken = make_prefix(tmp_path / "base", folder / "base").folder
    with pytest.raises(AssertionError, match="an adapter and a model are both called base"):
        start_server(base, "--prefix", str(taken))
    taken = make_prefix(tmp_path / "lora", folder / "base").folder
    with pytest.raises(AssertionError, match="two adapters are called lora"):
        start_server(base, "--lora", str(folder / "lora"), "--prefix", str(taken))
    with pytest.raises(AssertionError, match="give the model's own folder here, and this one to"):
        start_server(str(taken))
