"""Fixtures to plan with: models, and a child process with fake devices."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from glm3edge.llama.child_process import ChildProcess
from glm3edge_convert import convert
from glm3edge_convert.models.chatglm.header_only import write_header_only
from glm3edge_convert.models.chatglm.hparams import CHATGLM3_6B
from tests.support.fake_devices import FakeDevices
from tests.support.paths import GLM3_TINY

TYPES = ("f16", "q4_k_m", "q8_0")


@pytest.fixture(scope="session")
def child() -> Iterator[ChildProcess]:
    """A child process with FakeDevices, whose methods are called by ``call()``."""
    process = ChildProcess(FakeDevices).wait_ready()
    yield process
    process.close()


@pytest.fixture(scope="session")
def glm3_tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The built-in model in each of TYPES."""
    folder = tmp_path_factory.mktemp("glm3-tiny")
    paths = {name: folder / f"{name}.gguf" for name in TYPES}
    for name, path in paths.items():
        convert(GLM3_TINY, path, quant_type=name)
    return paths


@pytest.fixture(scope="session")
def headers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Header-only files of ChatGLM3-6B in some types."""
    folder = tmp_path_factory.mktemp("headers")
    paths = {name: folder / f"{name}.gguf" for name in ("q2_k", "q4_k_m", "q8_0", "f16")}
    for name, path in paths.items():
        write_header_only(path, CHATGLM3_6B, name)
    return paths


def close(found: float, expected: float, *, slack: float = 0) -> bool:
    """Whether both are within 3 %; ``slack`` is what a figure was rounded by."""
    return abs(found - expected) <= 0.03 * expected + slack
