import json
import time
from pathlib import Path

import pytest

from glm3edge import __version__
from glm3edge.store.cache import CachedModel, ConvertedModels, Origin
from glm3edge.store.hub.names import HubName
from glm3edge_convert import convert

pytestmark = pytest.mark.slow

REPOSITORY = HubName("huggingface", "o/tiny", "main")
ORIGIN = Origin("repository", "o/tiny", "c" * 40)


@pytest.fixture
def models(tmp_path: Path) -> ConvertedModels:
    models = ConvertedModels(tmp_path)
    models.folder.mkdir()
    return models


@pytest.fixture
def path(models: ConvertedModels, tiny_checkpoint: Path) -> Path:
    path = models.folder / "tiny-q8_0-1.gguf"
    convert(tiny_checkpoint, path, quant_type="q8_0")
    return path


def only(models: ConvertedModels) -> CachedModel:
    (model,) = models
    return model


def test_no_cache(tmp_path: Path) -> None:
    assert list(ConvertedModels(tmp_path / "nothing")) == []
    assert ConvertedModels(tmp_path / "nothing").find(REPOSITORY, "q8_0") is None


def test_a_use_is_noted(models: ConvertedModels, path: Path) -> None:
    before = time.time()
    models.note_use(path, ORIGIN)
    model = only(models)
    assert (model.name, model.type, model.context_length) == ("tiny-q8_0-1", "q8_0", 1024)
    assert (model.origin, model.version, model.is_converted) == (ORIGIN, __version__, True)
    assert model.num_bytes == path.stat().st_size
    assert before <= model.last_used <= time.time()
    models.note_use(path)
    again = only(models)
    assert again.last_used > model.last_used
    assert (again.origin, again.version) == (ORIGIN, __version__)
    names = ["tiny-q8_0-1", "tiny-q8_0-1.gguf", str(path), "o/tiny:q8_0", "o/tiny:Q8_0", "o/tiny"]
    assert all(model.is_called(name) for name in names)
    assert not any(model.is_called(name) for name in ["tiny", "o/tiny:q4_0", "p/tiny", "o/tiny@2"])


def test_a_short_name_is_any_of_its_repositories(models: ConvertedModels, path: Path) -> None:
    models.note_use(path, Origin("repository", "modelscope:ZhipuAI/chatglm3-6b", "c0"))
    model = only(models)
    assert all(map(model.is_called, ["chatglm3-6b", "THUDM/chatglm3-6b", "chatglm3-6b:q8_0"]))
    assert not any(map(model.is_called, ["chatglm3-6b-32k", "chatglm3-6b:q4_k_m"]))


@pytest.mark.parametrize("sidecar", [None, "", "{}", "[" * 100_000, '{"type": 3}'])
def test_without_a_sidecar_the_file_tells(
    models: ConvertedModels, path: Path, sidecar: str | None
) -> None:
    if sidecar is not None:
        path.with_name(f"{path.name}.json").write_text(sidecar)
    model = only(models)
    assert (model.type, model.context_length, model.origin) == ("q8_0", 1024, None)
    assert abs(model.last_used - time.time()) < 100
    models.note_use(path)
    assert only(models).origin is None


def test_a_damaged_model_is_listed_too(models: ConvertedModels) -> None:
    (models.folder / "bad.gguf").write_bytes(b"GGUF but no more")
    model = only(models)
    assert (model.name, model.type, model.num_bytes) == ("bad", None, 16)


def test_an_origin_that_is_none(models: ConvertedModels, path: Path) -> None:
    models.note_use(path, ORIGIN)
    sidecar = path.with_name(f"{path.name}.json")
    value = json.loads(sidecar.read_text())
    value["origin"]["kind"] = "moon"
    sidecar.write_text(json.dumps(value))
    assert only(models).origin is None


def test_what_was_made_of_a_repository(models: ConvertedModels, path: Path) -> None:
    assert models.find(REPOSITORY, "q8_0") is None
    models.note_use(path, ORIGIN)
    other = path.with_name("tiny-q8_0-2.gguf")
    other.write_bytes(path.read_bytes())
    models.note_use(other, Origin("repository", "o/tiny", "d" * 40))
    assert models.find(REPOSITORY, "Q8_0", version=__version__) == other
    models.note_use(path)
    assert models.find(REPOSITORY, "q8_0") == path
    assert models.find(HubName("huggingface", "o/tiny", "main", "q8_0"), "q8_0") == path
    assert models.find(REPOSITORY, "q4_0") is None
    assert models.find(REPOSITORY.at("v2"), "q8_0") is None
    assert models.find(REPOSITORY, "q8_0", version="another") is None
    models.note_use(path, Origin("folder", "o/tiny"))
    assert models.find(REPOSITORY, "q8_0") == other


def test_removed_with_its_sidecar(models: ConvertedModels, path: Path) -> None:
    models.note_use(path, ORIGIN)
    models.remove(only(models))
    assert list(models.folder.iterdir()) == []


def test_a_cache_that_cannot_be_written_works(
    models: ConvertedModels, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    models.note_use(path, ORIGIN)
    assert only(models).type == "q8_0"
