"""The cache of conversions: what is converted once, and under which name."""

import os
from pathlib import Path

import pytest

from glm3edge.errors import ConfigError
from glm3edge.store.cache import ConvertedModels, Origin
from glm3edge.store.conversion import CachedConverter
from tests.support.prefixes import make_prefix

FINGERPRINT = "fb18b71a98b2"
"""Of the folder that ``old_folder`` makes, by version 0.1.0."""


@pytest.fixture
def old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files and times are known; it is no checkpoint."""
    monkeypatch.setattr("glm3edge.store.conversion.__version__", "0.1.0")
    folder = tmp_path / "glm"
    (folder / "parts").mkdir(parents=True)
    for number, name in enumerate(("config.json", "parts/a.bin")):
        (folder / name).write_bytes(b"x" * number)
        os.utime(folder / name, ns=(0, 10**18 + number))
    return folder


def test_files_of_earlier_releases_are_found(old_folder: Path, tmp_path: Path) -> None:
    models = ConvertedModels(tmp_path / "cache")
    models.folder.mkdir(parents=True)
    names = ("glm-q8_0", "glm-lora-f32", "glm-prefix")
    for name in names:
        (models.folder / f"{name}-{FINGERPRINT}.gguf").write_bytes(b"GGUF")
    converter = CachedConverter(models)
    found = (
        converter.convert_checkpoint(old_folder, "Q8_0", Origin("folder", str(old_folder))),
        converter.convert_lora(old_folder),
        converter.convert_prefix(old_folder),
    )
    assert [path.name for path in found] == [f"{name}-{FINGERPRINT}.gguf" for name in names]


def test_conversions_are_announced_once(tmp_path: Path, tiny_checkpoint: Path) -> None:
    folder = make_prefix(tmp_path / "poet", tiny_checkpoint).folder
    said: list[tuple[str, str]] = []
    converter = CachedConverter(
        ConvertedModels(tmp_path / "cache"), announce=lambda *words: said.append(words)
    )
    path = converter.convert_prefix(folder)
    assert said == [("convert", f"{folder}, once")]
    assert converter.convert_prefix(folder) == path
    assert len(said) == 1


def test_a_cache_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    converter = CachedConverter(ConvertedModels(tmp_path / "cache"))
    with pytest.raises(ConfigError, match=r"cannot be written: .*; give another with --cache-dir"):
        converter.make_folder()
