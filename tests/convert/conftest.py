"""Random checkpoints, made once for all tests of the converter."""

import shutil
from pathlib import Path

import pytest

from glm3edge.llama import library
from glm3edge_convert.synth.random_checkpoint import Shape, make_checkpoint, train_tokenizer
from tests.support.checkpoints import SMALL, MakeCheckpoint
from tests.support.optional import missing
from tests.support.paths import NO_OFFICIAL, OFFICIAL_TOKENIZER


@pytest.fixture(scope="session", autouse=True)
def _llama_cpp_started() -> None:
    library.start()  # llama.cpp's log goes to pytest's


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own tokenizer.model."""
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    path.write_bytes(train_tokenizer())
    return path


@pytest.fixture(scope="session")
def official_tokenizer() -> Path:
    """The official tokenizer.model, which is test data beside the repository where present."""
    if not OFFICIAL_TOKENIZER.is_file():
        missing(NO_OFFICIAL)
    return OFFICIAL_TOKENIZER


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory, tokenizer: Path) -> Path:
    """A two-layer checkpoint in two shards. Read-only; see ``checkpoint`` for one to damage."""
    path = tmp_path_factory.mktemp("small") / "checkpoint"
    make_checkpoint(path, shape=SMALL, tokenizer=tokenizer)
    return path


@pytest.fixture
def checkpoint(tmp_path: Path, small_checkpoint: Path) -> Path:
    """A copy of ``small_checkpoint`` to damage."""
    return Path(shutil.copytree(small_checkpoint, tmp_path / "checkpoint"))


@pytest.fixture
def make(tmp_path: Path, tokenizer: Path) -> MakeCheckpoint:
    """Make a checkpoint of a given shape."""

    def make(shape: Shape, *, seed: int = 0, dtype: str = "float16") -> Path:
        path = tmp_path / "made"
        make_checkpoint(path, shape=shape, tokenizer=tokenizer, seed=seed, dtype=dtype)
        return path

    return make
