import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from glm3edge.errors import ConfigError
from glm3edge.llama.model import Model
from glm3edge.store.cache import Origin
from glm3edge.store.hub.errors import HubUnreachableError
from glm3edge.store.hub.huggingface import HuggingFace
from glm3edge.store.hub.names import HubName, parse_name
from glm3edge.store.store import Store
from glm3edge_convert.conversion import Kind
from glm3edge_convert.errors import NotACheckpointError
from glm3edge_convert.progress import Step
from tests.support.encoders import make_bert, make_reranker
from tests.support.hub_server import HubServer, hub_server

pytestmark = pytest.mark.slow


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache", quant_type="q8_0")


def named(text: str) -> HubName:
    name = parse_name(text)
    assert name is not None
    return name


def test_a_gguf_file_is_itself(store: Store, tiny_gguf: Path) -> None:
    assert store.find(str(tiny_gguf)) == tiny_gguf


def test_a_checkpoint_is_converted_once(tmp_path: Path, tiny_checkpoint: Path) -> None:
    seen: list[Step] = []
    store = Store(tmp_path / "cache", quant_type="q8_0", progress=seen.append)
    path = store.find(str(tiny_checkpoint))
    assert path.parent == tmp_path / "cache" / "converted"
    assert seen
    seen.clear()
    assert store.find(str(tiny_checkpoint)) == path
    assert not seen
    assert {p.name for p in path.parent.iterdir()} == {path.name, f"{path.name}.json"}


def test_a_changed_checkpoint_is_converted_again(
    store: Store, tmp_path: Path, tiny_checkpoint: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_checkpoint, copy)
    first = store.find(str(copy))
    (copy / "config.json").write_text((copy / "config.json").read_text() + "\n")
    assert store.find(str(copy)) != first


def test_each_type_has_its_file(tmp_path: Path, tiny_checkpoint: Path) -> None:
    paths = {
        Store(tmp_path, quant_type=name).find(str(tiny_checkpoint))
        for name in ("q4_0", "q8_0", "f16")
    }
    assert len(paths) == 3


def test_the_type_suits_the_model_if_none_is_given(tmp_path: Path, tiny_checkpoint: Path) -> None:
    store = Store(tmp_path)
    assert "-q4_k_m-" in store.find(str(tiny_checkpoint)).name
    assert "-q8_0-" in store.find(None).name


def test_an_encoder_becomes_f16(tmp_path: Path, tiny_gguf: Path) -> None:
    make_bert(tmp_path / "bge")
    store = Store(tmp_path / "cache", quant_type="q4_k_m")  # that is the chat model's
    path = store.find_encoder(str(tmp_path / "bge"))
    assert path is not None
    assert path.name.startswith("bge-f16-")
    pooling = tmp_path / "bge" / "1_Pooling" / "config.json"
    pooling.write_text('{"pooling_mode_mean_tokens": true}')
    assert store.find_encoder(str(tmp_path / "bge")) != path
    assert store.find_encoder(str(tiny_gguf)) == tiny_gguf
    assert store.find_encoder(None) is None
    with pytest.raises(ConfigError, match="there is no file or folder nowhere"):
        store.find_encoder("nowhere")


def test_the_default_is_the_built_in_model(store: Store) -> None:
    path = store.find(None)
    assert path.name.startswith("glm3-tiny-q8_0-")
    with Model(path, vocab_only=True) as model:
        assert model.control_token_id("<|user|>")
    assert store.find(None) == path


def test_an_installation_without_its_built_in_model(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glm3edge.store.built_in._CHECKPOINTS", (tmp_path,))
    with pytest.raises(ConfigError, match="lacks its built-in model glm3-tiny: name a model"):
        store.find(None)


def test_nothing_there(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file or folder"):
        store.find(str(tmp_path / "nothing"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotACheckpointError):
        store.find(str(tmp_path / "empty"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub on loopback that the store's client asks."""
    with hub_server() as hub:
        client = HuggingFace(endpoint=hub.url, cache_dir=tmp_path / "hf")
        monkeypatch.setattr("glm3edge.store.store.client_for", lambda _: client)
        yield hub


def test_a_repository_is_pulled_and_converted_once(
    store: Store, hub: HubServer, tmp_path: Path, tiny_checkpoint: Path
) -> None:
    hub.push_folder("o/tiny", tiny_checkpoint)
    Store(tmp_path / "cache").pull(named("o/tiny"))
    path = store.find("o/tiny")
    assert path.parent == tmp_path / "cache" / "converted"
    assert path.name.startswith("tiny-q8_0-")
    hub.status = 500
    hub.requests.clear()
    assert store.find("o/tiny") == store.find("o/tiny:q8_0") == path
    assert "-q4_0-" in store.find("o/tiny:Q4_0").name
    assert hub.requests == []
    assert [model.origin and model.origin.place for model in store.models()] == ["o/tiny"] * 2


def test_a_converted_repository_needs_its_checkpoint_no_more(
    store: Store,
    hub: HubServer,
    tmp_path: Path,
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub.push_folder("o/tiny", tiny_checkpoint)
    Store(tmp_path / "cache").pull(named("o/tiny"))
    path = store.find("o/tiny")
    monkeypatch.setattr("glm3edge.store.conversion.__version__", "next")
    again = store.find("o/tiny")  # this version may convert otherwise
    assert again != path
    again.unlink()
    shutil.rmtree(tmp_path / "hf")
    hub.status = 500
    assert store.find("o/tiny") == path
    with pytest.raises(HubUnreachableError, match="o/tiny:q4_0 is not complete in the cache"):
        store.find("o/tiny:q4_0")


def test_pull_takes_a_new_commit_and_find_what_is_there(
    store: Store, hub: HubServer, tiny_checkpoint: Path
) -> None:
    hub.push_folder("o/tiny", tiny_checkpoint)
    path = store.find("o/tiny")
    config = (tiny_checkpoint / "config.json").read_bytes() + b"\n"
    commit = hub.push_folder("o/tiny", tiny_checkpoint, **{"config.json": config})
    assert store.find("o/tiny") == path
    pulled = store.pull(named("o/tiny:q8_0"))
    assert pulled.listing.commit == commit
    assert store.find("o/tiny") == pulled.converted != path


def test_what_is_on_the_disk_wins_over_a_repository(
    store: Store,
    hub: HubServer,
    tmp_path: Path,
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(tiny_checkpoint, tmp_path / "o" / "tiny")
    monkeypatch.chdir(tmp_path)
    store.find("o/tiny")
    assert hub.requests == []
    (model,) = store.models()
    assert model.origin == Origin("folder", str(tmp_path / "o" / "tiny"))


def test_a_reranker_of_a_hub_becomes_f16(store: Store, hub: HubServer, tmp_path: Path) -> None:
    make_reranker(tmp_path / "bge-reranker")
    hub.push_folder("o/bge-reranker", tmp_path / "bge-reranker")
    path = store.find_encoder("o/bge-reranker", Kind.RERANK)
    assert path is not None
    assert path.name.startswith("bge-reranker-f16-")
    assert store.find_encoder("o/bge-reranker:f16", Kind.RERANK) == path
    (model,) = store.models()
    assert model.path == path


OTHER_KINDS: dict[str, tuple[Callable[[Path], None], Kind, str]] = {
    "a reranker chats": (make_reranker, Kind.CHAT, "is a reranker, .* MODEL --rerank-model {}$"),
    "a reranker embeds": (
        make_reranker,
        Kind.EMBEDDING,
        "{}: that is a reranker; serve it with --rerank-model$",
    ),
    "BERT reranks": (make_bert, Kind.RERANK, "{}: that is a model for embeddings; serve it with"),
    "BERT chats": (make_bert, Kind.CHAT, "is a model for embeddings, .* --embedding-model {}$"),
}


@pytest.mark.parametrize("name", OTHER_KINDS)
@pytest.mark.parametrize("is_in_hub", [False, True])
def test_models_of_another_kind(
    store: Store, hub: HubServer, tmp_path: Path, name: str, is_in_hub: bool
) -> None:
    """Those of a hub are refused before their weights are pulled."""
    make, kind, message = OTHER_KINDS[name]
    make(tmp_path / "model")
    model = str(tmp_path / "model")
    if is_in_hub:
        hub.push_folder("o/model", tmp_path / "model")
        model = "o/model"
    with pytest.raises(ConfigError, match=message.format(model)):
        store.find(model) if kind is Kind.CHAT else store.find_encoder(model, kind)
    assert not any("safetensors" in request.path for request in hub.requests)


def test_a_chat_model_does_not_rerank(store: Store, tiny_checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match=r"not an encoder \(XLM-RoBERTa\); give a reranker"):
        store.find_encoder(str(tiny_checkpoint), Kind.RERANK)


def test_an_encoder_of_a_hub_becomes_f16(store: Store, hub: HubServer, tmp_path: Path) -> None:
    make_bert(tmp_path / "bge")
    hub.push_folder("o/bge", tmp_path / "bge")
    path = store.find_encoder("o/bge")
    assert path is not None
    assert path.name.startswith("bge-f16-")
    assert store.find_encoder("o/bge:f16") == path


def test_a_gguf_file_of_a_hub_stays_there(store: Store, hub: HubServer, tmp_path: Path) -> None:
    hub.push("o/n", {"n-q8_0.gguf": b"GGUF", "n-q4_0.gguf": b"GGUF"})
    path = store.find("o/n:q4_0")
    assert path.is_relative_to(tmp_path / "hf")
    assert path.name == "n-q4_0.gguf"
    hub.status = 500
    assert store.find("o/n:n-q4_0.gguf") == path
    assert [(model.name, model.is_converted) for model in store.models()] == [("n-q4_0", False)]
    assert store.remove_repository(named("o/n")) == 4
    assert store.models() == []
