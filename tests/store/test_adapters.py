"""Adapters and prefixes by their files or folders."""

from pathlib import Path

import pytest

from glm3edge.errors import ConfigError
from glm3edge.store.adapters import AdapterFile, PrefixFile
from glm3edge.store.store import Store
from glm3edge_convert.errors import NotAnAdapterError, NotAPrefixError
from tests.support.lora_adapters import layer_modules, make_adapter
from tests.support.prefixes import make_prefix


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache", quant_type="q8_0")


def test_adapters_are_files_and_folders(
    store: Store, tmp_path: Path, tiny_checkpoint: Path, tiny_gguf: Path
) -> None:
    modules = layer_modules(4, ["self_attention.dense"])
    folder = make_adapter(tmp_path / "poet-v1.5", tiny_checkpoint, modules).folder
    poet, clerk = store.find_adapters([f"{folder}:0.5", str(tiny_gguf)])
    assert (poet.name, poet.scale) == ("poet-v1.5", 0.5)
    assert poet.path.parent == tmp_path / "cache" / "converted"
    assert poet.path.name.startswith("poet-v1.5-lora-f32-")
    assert clerk == AdapterFile("tiny", tiny_gguf, 1.0)  # looked into when it is loaded
    written = poet.path.stat().st_mtime_ns
    assert store.find_adapters([str(folder)])[0].path.stat().st_mtime_ns == written
    with pytest.raises(ConfigError, match="two adapters are called tiny"):
        store.find_adapters([str(tiny_gguf), f"{tiny_gguf}:2"])
    with pytest.raises(ConfigError, match="there is no file or folder nowhere: give a LoRA"):
        store.find_adapters(["nowhere:0.5"])
    with pytest.raises(NotAnAdapterError):
        store.find_adapters([str(tiny_checkpoint)])


def test_a_prefix_is_converted_once(store: Store, tmp_path: Path, tiny_checkpoint: Path) -> None:
    folder = make_prefix(tmp_path / "poet", tiny_checkpoint).folder
    (found,) = store.find_prefixes([str(folder)])
    assert found.name == "poet"
    assert found.path.name.startswith("poet-prefix-")
    written = found.path.stat().st_mtime_ns
    assert store.find_prefixes([str(folder)]) == [found]
    assert found.path.stat().st_mtime_ns == written
    clerk = tmp_path / "clerk.gguf"
    clerk.write_bytes(found.path.read_bytes())
    assert store.find_prefixes([str(clerk)]) == [PrefixFile("clerk", clerk)]


def test_prefixes_that_are_not_there(store: Store, tmp_path: Path, tiny_checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file or folder .*none: give a P-Tuning v2 prefix"):
        store.find_prefixes([str(tmp_path / "none")])
    folder = make_prefix(tmp_path / "poet", tiny_checkpoint).folder
    with pytest.raises(ConfigError, match="two adapters are called poet"):
        store.find_prefixes([str(folder), str(folder)])
    with pytest.raises(NotAPrefixError):
        store.find_prefixes([str(tiny_checkpoint)])
