"""From a name to files, with checkpoints of both kinds."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from glm3edge.store.hub.errors import MissingFileError, NotAModelError
from glm3edge.store.hub.huggingface import HuggingFace
from glm3edge.store.hub.listing import Listings
from glm3edge.store.hub.names import HubName, parse_name
from glm3edge.store.hub.pull import Pulled, find_pulled, pull
from glm3edge_convert import convert
from glm3edge_convert.errors import (
    CheckpointError,
    MissingLibraryError,
    UnknownTypeError,
    UnsupportedArchitectureError,
)
from tests.support.encoders import make_bert
from tests.support.hub_server import HubServer

pytestmark = pytest.mark.slow

WEIGHTS = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}
SMALL = {
    *("config.json", "model.safetensors.index.json", "tokenizer.model", "tokenizer_config.json"),
}


@dataclass(frozen=True)
class Puller:
    """A hub, its client and what is known of it."""

    hub: HubServer
    client: HuggingFace
    listings: Listings

    def pull(self, text: str, type_name: str | None = None) -> Pulled:
        return pull(self.client, named(text), self.listings, quant_type=type_name, report=print)

    def find(self, text: str) -> Path | None:
        there = find_pulled(self.client, named(text), self.listings)
        return there.path if there else None


@pytest.fixture
def puller(hub: HubServer, client: HuggingFace, tmp_path: Path) -> Puller:
    return Puller(hub, client, Listings(tmp_path / "cache" / "pulled"))


def named(text: str) -> HubName:
    name = parse_name(text)
    assert name is not None
    return name


def test_a_checkpoint(puller: Puller, tiny_checkpoint: Path, tmp_path: Path) -> None:
    unwanted = {"README.md": b"x", "pytorch_model.bin": b"x", "onnx/model.onnx": b"x"}
    puller.hub.push_folder("o/tiny", tiny_checkpoint, **unwanted)
    found = puller.pull("o/tiny")
    assert not found.is_gguf
    assert set(found.files) == SMALL | WEIGHTS
    assert puller.hub.paths() == SMALL | WEIGHTS
    assert found.num_bytes == sum((found.path / file).stat().st_size for file in found.files)
    convert(found.path, tmp_path / "a.gguf", quant_type="q8_0")
    convert(tiny_checkpoint, tmp_path / "b.gguf", quant_type="q8_0")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


def test_an_encoder(puller: Puller, tmp_path: Path) -> None:
    make_bert(tmp_path / "bge")
    puller.hub.push_folder("o/bge", tmp_path / "bge", **{"pytorch_model.bin": b"x"})
    found = puller.pull("o/bge:f16")
    assert "1_Pooling/config.json" in found.files
    assert "pytorch_model.bin" not in puller.hub.paths()
    convert(found.path, tmp_path / "a.gguf")


def test_a_gguf_file(puller: Puller) -> None:
    puller.hub.push("o/n", {"a-q8_0.gguf": b"GGUF", "b-q4_0.gguf": b"other", "README.md": b"x"})
    found = puller.pull("o/n:q8_0")
    assert found.is_gguf
    assert found.path.read_bytes() == b"GGUF"
    assert puller.hub.paths() == {"a-q8_0.gguf"}


def test_what_was_pulled_is_found_without_a_hub(puller: Puller, tiny_checkpoint: Path) -> None:
    puller.hub.push_folder("o/tiny", tiny_checkpoint)
    puller.hub.push("o/n", {"a-q8_0.gguf": b"GGUF", "b-q4_0.gguf": b"other"})

    found = puller.find
    assert found("o/tiny") is None
    first = puller.pull("o/tiny")
    second = puller.pull("o/n:q8_0")
    puller.hub.status = 500
    puller.hub.requests.clear()
    assert found("o/tiny") == first.path
    assert found("o/tiny:q4_0") == first.path
    assert found("o/tiny@v2") is None
    assert found("o/n:q8_0") == found("o/n:a-q8_0.gguf") == second.path
    assert found("o/n:q4_0") is None
    assert found("o/n:q6_k") is None
    assert puller.hub.requests == []
    shard = (first.path / "model-00002-of-00002.safetensors").resolve()
    shard.write_bytes(shard.read_bytes()[:-1])
    assert found("o/tiny") is None
    shard.unlink()
    assert found("o/tiny") is None


def test_an_interrupted_pull_leaves_the_older_commit(puller: Puller, tiny_checkpoint: Path) -> None:
    puller.hub.push_folder("o/tiny", tiny_checkpoint)
    first = puller.pull("o/tiny")
    config = json.loads((tiny_checkpoint / "config.json").read_text())
    config["model_type"] = "chatglm-next"
    puller.hub.push_folder(
        "o/tiny", tiny_checkpoint, **{"config.json": json.dumps(config).encode()}
    )
    with pytest.raises(UnsupportedArchitectureError):
        puller.pull("o/tiny")
    assert puller.find("o/tiny") == first.path


@pytest.mark.parametrize(
    ("text", "config", "error"),
    [
        ("o/m", {"model_type": "llama"}, UnsupportedArchitectureError),
        ("o/m", {"num_layers": 0}, CheckpointError),
        ("o/m:q9", {}, UnknownTypeError),
        ("o/m:q4_k_m", {"model_type": "bert"}, UnknownTypeError),
    ],
)
def test_what_cannot_work_ends_before_the_weights(
    puller: Puller,
    tiny_checkpoint: Path,
    text: str,
    config: dict[str, object],
    error: type[Exception],
) -> None:
    changed = json.loads((tiny_checkpoint / "config.json").read_text()) | config
    files = {"config.json": json.dumps(changed).encode()}
    puller.hub.push_folder("o/m", tiny_checkpoint, **files)
    with pytest.raises(error):
        puller.pull(text)
    assert not puller.hub.paths() & WEIGHTS
    assert list(puller.listings) == []


def test_the_type_may_be_said_apart(puller: Puller, tiny_checkpoint: Path) -> None:
    puller.hub.push_folder("o/m", tiny_checkpoint)
    with pytest.raises(UnknownTypeError):
        puller.pull("o/m", "q9")
    assert not puller.hub.paths() & WEIGHTS
    puller.pull("o/m:q8_0", "q9")


def test_bin_without_torch_too(
    puller: Puller,
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    files = {path.name: path.read_bytes() for path in tiny_checkpoint.glob("*[!s]")}
    files = {name: data for name, data in files.items() if "safetensors" not in name}
    puller.hub.push("o/m", files | {"pytorch_model.bin": b"weights"})
    with pytest.raises(MissingLibraryError, match=r"pip install 'glm3edge\[torch\]'"):
        puller.pull("o/m")
    assert "pytorch_model.bin" not in puller.hub.paths()


@pytest.mark.parametrize(
    ("shards", "error", "message"),
    [
        (["missing.safetensors"], MissingFileError, "o/m lacks missing.safetensors"),
        (["../../evil.safetensors"], CheckpointError, "outside its folder"),
    ],
)
def test_an_index_that_names_what_is_not_there(
    puller: Puller,
    tiny_checkpoint: Path,
    shards: Sequence[str],
    error: type[Exception],
    message: str,
) -> None:
    index = json.dumps({"weight_map": {str(n): shard for n, shard in enumerate(shards)}})
    puller.hub.push_folder(
        "o/m", tiny_checkpoint, **{"model.safetensors.index.json": index.encode()}
    )
    with pytest.raises(error, match=message):
        puller.pull("o/m")


def test_paths_of_a_hub_that_lies(puller: Puller, tmp_path: Path) -> None:
    puller.hub.push("o/m", {"../../../../a.gguf": b"GGUF", "C:a.gguf": b"GGUF", "/a.gguf": b"GGUF"})
    with pytest.raises(NotAModelError):
        puller.pull("o/m")
    assert not list(tmp_path.rglob("*a.gguf"))
