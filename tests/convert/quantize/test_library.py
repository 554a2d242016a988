"""Opening llama.cpp's library: a missing one, a broken one."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from glm3edge_convert.errors import MissingLibraryError
from glm3edge_convert.quantize import library as module


@pytest.fixture
def _no_library_loaded() -> Iterator[None]:
    module.load_library.cache_clear()
    yield
    module.load_library.cache_clear()


@pytest.mark.usefixtures("_no_library_loaded")
def test_no_llama_cpp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingLibraryError, match="pip install llama-cpp-python"):
        module.load_library()


@pytest.mark.usefixtures("_no_library_loaded")
def test_broken_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location(
        "llama_cpp", tmp_path / "__init__.py", submodule_search_locations=[str(tmp_path)]
    )
    (tmp_path / "lib").mkdir()
    name = module.LIBRARY_NAMES.get(sys.platform, module.DEFAULT_LIBRARY_NAME)
    (tmp_path / "lib" / name).write_bytes(b"not a library")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    with pytest.raises(MissingLibraryError, match="--force-reinstall"):
        module.load_library()


def test_heavy_libraries_are_not_imported() -> None:
    code = (
        "import sys; from glm3edge_convert import cli; from glm3edge_convert.synth import __main__;"
        "from glm3edge_convert.quantize import library; library.load_library();"
        "print({'torch', 'transformers', 'llama_cpp'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert result.stdout.strip() == b"set()"
