"""Models that other programs left in the caches of the hubs: used without a hub, if complete."""

import shutil
from pathlib import Path

import pytest
from huggingface_hub import hf_hub_download, snapshot_download

from glm3edge.errors import ConfigError
from glm3edge.store.hub.huggingface import HuggingFace
from glm3edge.store.hub.modelscope import ModelScope
from glm3edge.store.hub.names import HubName, parse_name
from glm3edge.store.store import Store
from tests.support.encoders import make_bert
from tests.support.hub_server import HubServer

pytestmark = pytest.mark.slow

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


@pytest.fixture
def store(
    hub: HubServer, client: HuggingFace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Store:
    """A store whose hubs answer nothing any more once the cache is filled."""
    clients = {
        "huggingface": client,
        "modelscope": ModelScope(endpoint=hub.url, cache_dir=tmp_path / "ms"),
    }
    monkeypatch.setattr("glm3edge.store.store.client_for", lambda name: clients[name.hub])
    return Store(tmp_path / "cache", quant_type="q8_0")


def left(
    hub: HubServer,
    tmp_path: Path,
    repo: str = "o/tiny",
    *,
    revision: str | None = None,
    without: str | None = None,
) -> Path:
    """The snapshot that huggingface_hub, and so transformers, puts into the cache."""
    folder = snapshot_download(
        repo,
        revision=revision,
        ignore_patterns=without,
        cache_dir=tmp_path / "hf",
        endpoint=hub.url,
    )
    close(hub)
    return Path(folder)


def close(hub: HubServer) -> None:
    hub.status = 500
    hub.requests.clear()


def named(text: str) -> HubName:
    name = parse_name(text)
    assert name is not None
    return name


def is_pulled(store: Store, hub: HubServer, name: str) -> bool:
    """Whether the store asks the hub, which answers nothing, for a model."""
    try:
        store.find_checkpoint(name)
    except Exception:
        assert hub.requests
        return True
    assert not hub.requests
    return False


def test_a_snapshot_of_another_program(
    store: Store, hub: HubServer, tmp_path: Path, tiny_checkpoint: Path
) -> None:
    hub.push_folder("o/tiny", tiny_checkpoint, **{"README.md": b"x"})
    folder = left(hub, tmp_path)
    assert store.look_up("o/tiny") == store.find_checkpoint("o/tiny") == folder
    path = store.find("o/tiny")
    assert path == store.find("o/tiny:q8_0")
    assert path.name.startswith("tiny-q8_0-")
    (model,) = store.models()
    assert model.origin is not None
    assert (model.origin.place, model.origin.commit) == ("o/tiny", folder.name)
    assert hub.requests == []


def test_by_its_commit(store: Store, hub: HubServer, tmp_path: Path, tiny_checkpoint: Path) -> None:
    commit = hub.push_folder("o/tiny", tiny_checkpoint)
    folder = left(hub, tmp_path, revision=commit)
    assert store.find_checkpoint("o/tiny") == store.find_checkpoint(f"o/tiny@{commit}") == folder
    assert is_pulled(store, hub, "o/tiny@v2")


@pytest.mark.parametrize("missing", [*SHARDS, "tokenizer.model", "config.json"])
def test_a_snapshot_that_is_not_complete(
    store: Store, hub: HubServer, tmp_path: Path, tiny_checkpoint: Path, missing: str
) -> None:
    hub.push_folder("o/tiny", tiny_checkpoint)
    folder = left(hub, tmp_path, without=missing)
    assert not (folder / missing).exists()
    assert is_pulled(store, hub, "o/tiny")


def test_a_shard_that_is_cut_off_or_gone(
    store: Store, hub: HubServer, tmp_path: Path, tiny_checkpoint: Path
) -> None:
    """Someone removed a blob to make room, or the disk filled up."""
    hub.push_folder("o/tiny", tiny_checkpoint)
    shard = (left(hub, tmp_path) / SHARDS[1]).resolve()
    shard.write_bytes(shard.read_bytes()[:-1])
    assert is_pulled(store, hub, "o/tiny")
    shard.replace(shard.with_name(f"{shard.name}.incomplete"))
    hub.requests.clear()
    assert is_pulled(store, hub, "o/tiny")


def test_the_rest_of_a_snapshot_is_pulled(
    store: Store, hub: HubServer, tmp_path: Path, tiny_checkpoint: Path
) -> None:
    hub.push_folder("o/tiny", tiny_checkpoint)
    folder = left(hub, tmp_path, without=SHARDS[1])
    hub.status = None
    assert store.find_checkpoint("o/tiny") == folder
    assert hub.paths() == {SHARDS[1]}


@pytest.mark.parametrize("owner", ["THUDM", "zai-org"])
def test_a_repository_that_moved(
    store: Store, hub: HubServer, tmp_path: Path, tiny_checkpoint: Path, owner: str
) -> None:
    """Caches have the model by the name that it had when they were filled."""
    hub.push_folder(f"{owner}/chatglm3-6b", tiny_checkpoint)
    folder = left(hub, tmp_path, f"{owner}/chatglm3-6b")
    names = ("chatglm3-6b", "THUDM/chatglm3-6b", "zai-org/chatglm3-6b", "modelscope:chatglm3-6b")
    for name in names:
        assert store.look_up(name) == store.find_checkpoint(name) == folder
    path = store.find(names[0])
    shutil.rmtree(tmp_path / "hf")
    assert {store.find(name) for name in names} == {path}
    assert hub.requests == []


def test_pull_completes_what_is_there_by_the_other_name(
    store: Store, hub: HubServer, tmp_path: Path, tiny_checkpoint: Path
) -> None:
    """The hub leads from THUDM to zai-org; the loopback hub has both."""
    hub.push_folder("THUDM/chatglm3-6b", tiny_checkpoint)
    folder = left(hub, tmp_path, "THUDM/chatglm3-6b")
    hub.status = None
    config = (tiny_checkpoint / "config.json").read_bytes() + b"\n"
    for owner in ("THUDM", "zai-org"):
        hub.push_folder(f"{owner}/chatglm3-6b", tiny_checkpoint, **{"config.json": config})
    pulled = store.pull(named("chatglm3-6b"))
    assert pulled.path.parent == folder.parent
    assert hub.paths() & {"config.json", *SHARDS} == {"config.json"}
    assert store.find_checkpoint("chatglm3-6b") == pulled.path


def test_a_folder_that_was_downloaded(
    store: Store, hub: HubServer, tmp_path: Path, tiny_checkpoint: Path
) -> None:
    """``hf download --local-dir`` leaves notes beside the files, which change at each run."""
    hub.push_folder("o/tiny", tiny_checkpoint)
    folder = tmp_path / "chatglm3-6b"
    snapshot_download("o/tiny", local_dir=folder, endpoint=hub.url)
    notes = list((folder / ".cache").rglob("*.metadata"))
    path = store.find(str(folder))
    assert notes
    for note in notes:
        note.write_text(f"{note.read_text()}\n")
    assert store.find(str(folder)) == path


def test_the_folder_of_a_repository(
    store: Store, hub: HubServer, tmp_path: Path, tiny_checkpoint: Path
) -> None:
    hub.push_folder("o/tiny", tiny_checkpoint)
    folder = left(hub, tmp_path)
    repository = folder.parents[1]
    assert repository.name == "models--o--tiny"
    assert store.look_up(str(repository)) == store.find_checkpoint(str(repository)) == folder
    assert store.find(str(repository)) == store.find(str(folder))


def test_an_encoder(store: Store, hub: HubServer, tmp_path: Path) -> None:
    make_bert(tmp_path / "bge")
    hub.push_folder("BAAI/bge", tmp_path / "bge")
    left(hub, tmp_path, "BAAI/bge")
    path = store.find_encoder("BAAI/bge")
    assert path is not None
    assert path.name.startswith("bge-f16-")
    assert hub.requests == []


def test_gguf_files(store: Store, hub: HubServer, tmp_path: Path) -> None:
    parts = {f"m-q4_0-0000{n}-of-00002.gguf": b"GGUF" for n in (1, 2)}
    hub.push("o/n", {"m-q8_0.gguf": b"GGUF", **parts})
    for file in ("m-q8_0.gguf", "m-q4_0-00001-of-00002.gguf"):
        hf_hub_download("o/n", file, cache_dir=tmp_path / "hf", endpoint=hub.url)
    close(hub)
    assert store.find("o/n:q8_0").name == "m-q8_0.gguf"
    assert hub.requests == []
    with pytest.raises(ConfigError, match="o/n:q8_0 is a GGUF file: serve it as it is"):
        store.find_checkpoint("o/n:q8_0")
    assert is_pulled(store, hub, "o/n:q4_0")  # it lacks the second part


OLDER = ("models/ZhipuAI", "hub/models/ZhipuAI", "hub/ZhipuAI")


@pytest.mark.parametrize("place", [*OLDER, "models/ZhipuAI--chatglm3-6b/snapshots"])
def test_caches_of_modelscope(
    store: Store, hub: HubServer, tmp_path: Path, tiny_checkpoint: Path, place: str
) -> None:
    """Its package had four layouts; the newest has a folder for each revision."""
    folder = tmp_path / "ms" / place / ("master" if "--" in place else "chatglm3-6b")
    shutil.copytree(tiny_checkpoint, folder)
    (folder / ".mv").write_text("Revision:v1.0.2,CreatedAt:1698747600")
    names = ("modelscope:ZhipuAI/chatglm3-6b", "chatglm3-6b", "zai-org/chatglm3-6b")
    for name in names:
        assert store.look_up(name) == store.find_checkpoint(name) == folder
    assert store.find("chatglm3-6b").name.startswith("chatglm3-6b-q8_0-")
    assert hub.requests == []
    assert is_pulled(store, hub, "modelscope:ZhipuAI/chatglm3-6b@v9")
    hub.requests.clear()
    if "--" not in place:
        assert store.find_checkpoint("modelscope:chatglm3-6b@v1.0.2") == folder
    (folder / SHARDS[0]).rename(folder / f"{SHARDS[0]}.incomplete")
    assert is_pulled(store, hub, names[0])
    assert store.remove_repository(named(names[0])) > 0
    assert not folder.exists()


def test_names_of_modelscope_with_dots(
    store: Store, hub: HubServer, tmp_path: Path, tiny_checkpoint: Path
) -> None:
    folder = tmp_path / "ms" / "models" / "o" / "n-v1___5"
    shutil.copytree(tiny_checkpoint, folder)
    assert store.find_checkpoint("modelscope:o/n-v1.5") == folder
