"""A hub on loopback, and this process's client of it."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from glm3edge.store.hub.huggingface import HuggingFace
from tests.support.hub_server import CHUNK_BYTES, HubServer, hub_server


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with hub_server() as hub:
        yield hub


@pytest.fixture
def client(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HuggingFace:
    """A client with a cache of its own, that writes what comes in small pieces and never pauses."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", CHUNK_BYTES)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    return HuggingFace(endpoint=hub.url, cache_dir=tmp_path / "hf")
