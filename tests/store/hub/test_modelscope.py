"""The client against a hub that speaks ModelScope's protocol, and breaks it where it is told to."""

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from glm3edge.store.hub.download import DownloadProgress
from glm3edge.store.hub.errors import (
    ChecksumError,
    DownloadBrokenError,
    HubError,
    HubOfflineError,
    HubSpaceError,
    HubUnreachableError,
    MissingFileError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    TokenRefusedError,
)
from glm3edge.store.hub.listing import Listing, RemoteFile
from glm3edge.store.hub.modelscope import ModelScope
from glm3edge.store.hub.names import HubName
from glm3edge.store.hub.transfer import MAX_STALLS
from tests.support.hub_server import CHUNK_BYTES, TOKEN, HubServer
from tests.support.modelscope_server import modelscope_server

pytestmark = pytest.mark.slow

NAME = HubName("modelscope", "o/n", "master")
BIG = random.Random(1).randbytes(5 * CHUNK_BYTES + 1000)
FILES = {"config.json": b"{}", "sub/big one.gguf": BIG, "other.bin": b"not wanted"}
WANTED = ("config.json", "sub/big one.gguf")


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with modelscope_server() as hub:
        hub.push("o/n", FILES)
        yield hub


@pytest.fixture
def scope(
    hub: HubServer, client: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ModelScope:
    """A client with a cache of its own, that writes in small pieces and never pauses."""
    for name in ("MODELSCOPE_API_TOKEN", "MODELSCOPE_DOMAIN", "MODELSCOPE_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    return ModelScope(endpoint=hub.url, cache_dir=tmp_path / "ms")


def fetch(scope: ModelScope) -> tuple[Path, list[DownloadProgress]]:
    seen: list[DownloadProgress] = []
    listing = scope.listing(NAME)
    scope.fetch(listing, WANTED, seen.append)
    return scope.folder(listing), seen


def test_a_listing(hub: HubServer, scope: ModelScope) -> None:
    sha256 = hashlib.sha256(BIG).hexdigest()
    listing = scope.listing(NAME)
    assert listing.name == NAME
    assert set(listing.files) == set(FILES)
    assert listing.files["sub/big one.gguf"] == RemoteFile("sub/big one.gguf", len(BIG), sha256)
    assert Listing.from_json(listing.to_json()) == listing
    assert scope.listing(NAME).commit == listing.commit
    hub.push("o/n", FILES | {"config.json": b"[]"})
    assert scope.listing(NAME).commit != listing.commit


def test_files_come_where_its_package_finds_them(
    hub: HubServer, scope: ModelScope, tmp_path: Path
) -> None:
    folder, seen = fetch(scope)
    assert folder == tmp_path / "ms" / "models" / "o--n" / "snapshots" / "master"
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")} == set(WANTED)
    assert (folder / "config.json").read_bytes() == b"{}"
    assert (folder / "sub/big one.gguf").read_bytes() == BIG
    assert seen[-1].num_files_done == 2
    assert seen[-1].num_bytes_done == seen[-1].num_bytes == len(BIG) + 2
    done = [progress.num_bytes_done for progress in seen]
    assert done == sorted(done)


def test_what_is_there_is_not_fetched_again(hub: HubServer, scope: ModelScope) -> None:
    fetch(scope)
    hub.requests.clear()
    fetch(scope)
    (request,) = hub.requests
    assert "/repo/files?" in request.path


def test_a_file_of_another_state_is_replaced(hub: HubServer, scope: ModelScope) -> None:
    fetch(scope)
    hub.push("o/n", FILES | {"config.json": b"[]"})
    hub.requests.clear()
    folder, _ = fetch(scope)
    assert (folder / "config.json").read_bytes() == b"[]"
    assert hub.bodies("one.gguf") == []


def test_a_connection_that_is_cut_goes_on(hub: HubServer, scope: ModelScope) -> None:
    hub.cuts["one.gguf"] = [2 * CHUNK_BYTES]
    folder, _ = fetch(scope)
    assert (folder / "sub/big one.gguf").read_bytes() == BIG
    assert hub.bodies("big one.gguf") == [
        (None, 2 * CHUNK_BYTES),
        (f"bytes={2 * CHUNK_BYTES}-", len(BIG) - 2 * CHUNK_BYTES),
    ]


def test_the_next_run_goes_on_where_the_last_gave_up(hub: HubServer, scope: ModelScope) -> None:
    hub.cuts["one.gguf"] = [2 * CHUNK_BYTES, *[0] * 6 * (MAX_STALLS + 1)]
    with pytest.raises(DownloadBrokenError, match="run the command again to go on") as caught:
        fetch(scope)
    assert caught.value.num_bytes == 2 * CHUNK_BYTES
    hub.cuts.clear()
    hub.requests.clear()
    folder, _ = fetch(scope)
    assert hub.bodies("big one.gguf") == [(f"bytes={2 * CHUNK_BYTES}-", len(BIG) - 2 * CHUNK_BYTES)]
    assert (folder / "sub/big one.gguf").read_bytes() == BIG
    assert not list(folder.rglob("*.incomplete"))


def test_a_small_file_ignores_ranges(hub: HubServer, scope: ModelScope) -> None:
    """ModelScope sends the whole of what it serves itself, whatever range is asked for."""
    hub.push("o/n", FILES | {"config.json": b"0123456789" * CHUNK_BYTES})
    hub.cuts["config.json"] = [CHUNK_BYTES]
    folder, _ = fetch(scope)
    assert (folder / "config.json").read_bytes() == b"0123456789" * CHUNK_BYTES
    assert [sent for sent, _ in hub.bodies("config.json")] == [None, f"bytes={CHUNK_BYTES}-"]


@pytest.mark.parametrize("sent", [BIG[:9] + b"x" + BIG[10:], BIG + b"x"], ids=["changed", "longer"])
def test_what_came_damaged_is_removed(hub: HubServer, scope: ModelScope, sent: bytes) -> None:
    hub.sent_instead["sub/big one.gguf"] = sent
    with pytest.raises(ChecksumError, match="MODELSCOPE_ENDPOINT to another mirror"):
        fetch(scope)
    folder = scope.folder(scope.listing(NAME))
    assert not list(folder.rglob("*big*"))
    hub.sent_instead.clear()
    fetch(scope)
    assert (folder / "sub/big one.gguf").read_bytes() == BIG


def test_an_empty_answer_is_no_file(hub: HubServer, scope: ModelScope) -> None:
    """modelscope/modelscope#1365: the hub sent nothing, and its client hashed that."""
    hub.sent_instead["sub/big one.gguf"] = b""
    with pytest.raises(DownloadBrokenError, match=r"broke off after 0 of 82,920 bytes"):
        fetch(scope)
    hub.sent_instead.clear()
    folder, _ = fetch(scope)
    assert (folder / "sub/big one.gguf").read_bytes() == BIG


def test_without_checksums_the_length_counts(hub: HubServer, scope: ModelScope) -> None:
    hub.hides_checksums = True
    hub.sizes["other.bin"] = 3
    folder, _ = fetch(scope)
    assert (folder / "sub/big one.gguf").read_bytes() == BIG
    with pytest.raises(DownloadBrokenError, match="broke off after 10 of 3 bytes"):
        scope.fetch(scope.listing(NAME), ["other.bin"], print)
    assert not list(folder.glob("other.bin*"))


def test_the_token_goes_to_the_hub_and_nowhere_else(
    hub: HubServer, scope: ModelScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gated.add("o/n")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(TokenRefusedError, match="MODELSCOPE_API_TOKEN is a valid token"):
        fetch(scope)
    assert not any(request.has_token for request in hub.requests)
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", TOKEN)
    hub.requests.clear()
    fetch(scope)
    assert {r.has_token for r in hub.requests if "/api/" in r.path} == {True}
    assert {r.has_token for r in hub.requests if "/cdn/" in r.path} == {False}


def test_what_the_hub_does_not_have(hub: HubServer, scope: ModelScope) -> None:
    with pytest.raises(RepositoryNotFoundError, match="folder modelscope:o/x, and no repository"):
        scope.listing(HubName("modelscope", "o/x", "master"))
    with pytest.raises(RevisionNotFoundError, match="modelscope:o/n@v9 has no revision v9"):
        scope.listing(NAME.at("v9"))
    listing = scope.listing(NAME)
    hub.push("o/n", {"config.json": b"{}"})
    with pytest.raises(MissingFileError):
        scope.fetch(listing, WANTED, print)


@pytest.mark.parametrize(
    ("status", "page", "message"),
    [
        (500, b"", "cannot be reached (it answered 500"),
        (200, b"<!doctype html>log in to this network", "(it answered 200 with no list of files)"),
        (200, b'{"Code": 10, "Message": "too many requests"}', "too many requests"),
    ],
)
def test_a_hub_in_trouble(
    hub: HubServer, scope: ModelScope, status: int, page: bytes, message: str
) -> None:
    hub.status, hub.page = status, page
    with pytest.raises(HubError) as caught:
        scope.listing(NAME)
    assert message in str(caught.value)


def test_a_hub_that_lies(hub: HubServer, scope: ModelScope) -> None:
    paths = ("../../a.gguf", "/a.gguf", "C:a.gguf", "in/a.gguf")
    entries: list[object] = [{"Path": path, "Size": 1, "Sha256": ""} for path in paths]
    entries += [None, [], {}, {"Path": 1}, {"Path": "b.gguf", "Size": "1", "Sha256": None}]
    hub.status = 200
    hub.page = json.dumps({"Code": 200, "Data": {"Files": entries}}).encode()
    assert set(scope.listing(NAME).files) == {"in/a.gguf"}
    bad = {"Path": "a", "Size": 1, "Sha256": "../../evil"}
    hub.page = json.dumps({"Code": 200, "Data": {"Files": [bad]}}).encode()
    with pytest.raises(HubError, match="no SHA-256 of a: set MODELSCOPE_ENDPOINT to another"):
        scope.listing(NAME)


def test_no_hub(tmp_path: Path) -> None:
    scope = ModelScope(endpoint="http://127.0.0.1:9", cache_dir=tmp_path)
    with pytest.raises(HubUnreachableError, match="MODELSCOPE_ENDPOINT"):
        scope.listing(NAME)


def test_offline_means_offline(
    hub: HubServer, scope: ModelScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubOfflineError, match="run glm3edge pull modelscope:o/n once without it"):
        scope.listing(NAME)
    assert hub.requests == []


def test_there_has_to_be_room(hub: HubServer, scope: ModelScope, tmp_path: Path) -> None:
    hub.sizes["sub/big one.gguf"] = 10**18
    with pytest.raises(HubSpaceError, match="MODELSCOPE_CACHE to another disk"):
        fetch(scope)
    assert not (tmp_path / "ms").exists()


def test_a_repository_can_be_removed(hub: HubServer, scope: ModelScope) -> None:
    assert scope.remove(NAME) == 0
    folder, _ = fetch(scope)
    assert scope.remove(NAME) == len(BIG) + 2
    assert not folder.exists()


@pytest.mark.parametrize(
    ("variable", "value", "endpoint"),
    [
        ("MODELSCOPE_ENDPOINT", "http://127.0.0.1:9/", "http://127.0.0.1:9"),
        ("MODELSCOPE_DOMAIN", "www.modelscope.ai", "https://www.modelscope.ai"),
        ("MODELSCOPE_ENDPOINT", "", "https://modelscope.cn"),
    ],
)
def test_the_environment_names_the_hub(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, endpoint: str
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv(variable, value)
    assert ModelScope()._endpoint == endpoint
