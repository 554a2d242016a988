"""Models to plan for, and a process with devices to plan with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from glm3edge.llama.child_process import ChildProcess
from glm3edge_convert.convert import convert
from glm3edge_convert.models.outline import CHATGLM3_6B, write_outline
from tests.support.fake_devices import Host
from tests.support.paths import GLM3_TINY

TYPES = ("f16", "q4_k_m", "q8_0")


@pytest.fixture(scope="session")
def host() -> Iterator[ChildProcess]:
    """The methods of Host, by ``call()``."""
    child = ChildProcess(Host).wait_ready()
    yield child
    child.close()


@pytest.fixture(scope="session")
def glm3_tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The built-in model in each of TYPES."""
    folder = tmp_path_factory.mktemp("glm3-tiny")
    paths = {name: folder / f"{name}.gguf" for name in TYPES}
    for name, path in paths.items():
        convert(GLM3_TINY, path, type=name)
    return paths


@pytest.fixture(scope="session")
def outlines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """ChatGLM3-6B without its data, in some types."""
    folder = tmp_path_factory.mktemp("outlines")
    paths = {name: folder / f"{name}.gguf" for name in ("q2_k", "q4_k_m", "q8_0", "f16")}
    for name, path in paths.items():
        write_outline(path, CHATGLM3_6B, name)
    return paths
