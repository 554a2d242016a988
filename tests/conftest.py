"""Models and servers shared by the tests; made for real, once."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from glm3edge.config.sources import CONFIG_VARIABLE
from glm3edge.llama.model import Model
from glm3edge_convert import convert
from glm3edge_convert.synth.random_checkpoint import SHAPES, make_checkpoint
from tests.support.encoders import make_reranker
from tests.support.node_packages import install_packages
from tests.support.official_pieces import GOLDEN_TOKENS, make_model
from tests.support.optional import missing
from tests.support.paths import GLM3_TINY, NO_OFFICIAL, OFFICIAL_TOKENIZER, ROOT
from tests.support.servers import Server, start_server, stop_server
from tests.support.vllm import running_vllm

# Several tests run at once, each with processes that compute: on more threads than there are cores
# they wait for each other most of the time.
os.environ.setdefault("GLM3EDGE_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ[CONFIG_VARIABLE] = os.devnull  # no settings of whoever runs the tests

collect_ignore = ["clients"]
"""They have an environment of their own: ``make test-clients``."""


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint of ChatGLM3's shape in small."""
    path = tmp_path_factory.mktemp("checkpoint") / "tiny"
    make_checkpoint(path, shape=SHAPES["tiny"])
    return path


@pytest.fixture(scope="session")
def tiny_gguf(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint in f16."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    convert(tiny_checkpoint, path, quant_type="f16")
    return path


@pytest.fixture(scope="session")
def tiny_model(tiny_gguf: Path) -> Iterator[Model]:
    """The tiny model, loaded."""
    with Model(tiny_gguf) as model:
        yield model


@pytest.fixture(scope="session")
def official_vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """The official tokenizer as llama.cpp has it after conversion."""
    if not OFFICIAL_TOKENIZER.is_file():
        missing(NO_OFFICIAL)
    with _vocabulary(tmp_path_factory.mktemp("official"), OFFICIAL_TOKENIZER) as model:
        yield model


@pytest.fixture(scope="session")
def golden_vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """What the golden texts need of the official tokenizer, as llama.cpp has it."""
    folder = tmp_path_factory.mktemp("golden")
    path = folder / "tokenizer.model"
    path.write_bytes(make_model(json.loads(GOLDEN_TOKENS.read_text("utf-8"))["pieces"]))
    with _vocabulary(folder, path) as model:
        yield model


def _vocabulary(folder: Path, tokenizer: Path) -> Model:
    make_checkpoint(folder / "checkpoint", shape=SHAPES["tiny"], tokenizer=tokenizer)
    convert(folder / "checkpoint", folder / "model.gguf", quant_type="q4_0")
    return Model(folder / "model.gguf", vocab_only=True)


@pytest.fixture(scope="session")
def local_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """``glm3edge serve`` with nothing said: the built-in model, converted on the way."""
    cache = tmp_path_factory.mktemp("cache")
    server = start_server(GLM3EDGE_CACHE_DIR=str(cache))
    yield server
    assert stop_server(server) == 0


@pytest.fixture(scope="session")
def front_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server without weights, over ``local_server`` and another like it, or over vLLM."""
    with ExitStack() as stack:
        if python := request.config.getoption("vllm"):
            num_nodes = request.config.getoption("vllm_nodes")
            folder = tmp_path_factory.mktemp("vllm")
            urls = [
                stack.enter_context(running_vllm(python, GLM3_TINY, folder, num_nodes=num_nodes))
            ]
        else:
            local: Server = request.getfixturevalue("local_server")
            other = start_server()
            stack.callback(stop_server, other)
            urls = [local.url, other.url]
        server = start_server(*(part for url in urls for part in ("--engine", url)))
        yield server
        assert stop_server(server) == 0


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Server:
    """``local_server``, and for what is marked with ``engines`` also ``front_server``."""
    found: Server = request.getfixturevalue(getattr(request, "param", "local_server"))
    return found


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("glm3edge")
    group.addoption("--vllm", metavar="PYTHON", help="have vLLM for the engine of `front_server`")
    group.addoption("--vllm-nodes", type=int, default=1, help="as many node processes")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    if "server" in metafunc.fixturenames and "engines" in marks and "local_engine" not in marks:
        is_local = metafunc.config.getoption("vllm") is None
        servers = ["local_server", "front_server"] if is_local else ["front_server"]
        metafunc.parametrize("server", servers, indirect=True, scope="session")


@pytest.fixture(scope="session")
def rerank_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The built-in model with a random reranker beside it, converted on the way."""
    folder = tmp_path_factory.mktemp("rerank")
    make_reranker(folder / "bge-reranker-tiny")
    server = start_server(
        *("--rerank-model", str(folder / "bge-reranker-tiny")),
        GLM3EDGE_CACHE_DIR=str(folder / "cache"),
    )
    yield server
    assert stop_server(server) == 0


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with OpenAI's client for Node in it, from the registry."""
    return install_packages(ROOT / "tests" / "node", tmp_path_factory.mktemp("node") / "client")
