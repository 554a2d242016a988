"""The client against a hub that speaks the real protocol, and breaks it where it is told to."""

import hashlib
import random
from pathlib import Path

import pytest
from huggingface_hub import hf_hub_download, try_to_load_from_cache

from glm3edge.store.hub.download import DownloadProgress
from glm3edge.store.hub.errors import (
    ChecksumError,
    DownloadBrokenError,
    HubError,
    HubSpaceError,
    HubUnreachableError,
    RepositoryGatedError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    TokenRefusedError,
)
from glm3edge.store.hub.huggingface import HuggingFace
from glm3edge.store.hub.listing import Listing, RemoteFile
from glm3edge.store.hub.names import HubName
from glm3edge.store.hub.transfer import MAX_STALLS
from tests.support.hub_server import CHUNK_BYTES, TOKEN, HubServer

pytestmark = pytest.mark.slow

NAME = HubName("huggingface", "o/n", "main")
BIG = random.Random(1).randbytes(5 * CHUNK_BYTES + 1000)
FILES = {"config.json": b"{}", "sub/big.gguf": BIG, "other.bin": b"not wanted"}


def fetch(client: HuggingFace, *paths: str) -> tuple[Listing, list[DownloadProgress]]:
    seen: list[DownloadProgress] = []
    listing = client.listing(NAME)
    client.fetch(listing, paths or ("config.json", "sub/big.gguf"), seen.append)
    return listing, seen


def part(client: HuggingFace, tmp_path: Path) -> Path:
    (path,) = (tmp_path / "hf").glob("models--o--n/blobs/*.incomplete")
    return path


def test_a_listing(hub: HubServer, client: HuggingFace) -> None:
    commit = hub.push("o/n", FILES)
    sha256 = hashlib.sha256(BIG).hexdigest()
    listing = client.listing(NAME)
    assert (listing.name, listing.commit, listing.is_found) == (NAME, commit, False)
    assert set(listing.files) == set(FILES)
    assert listing.files["config.json"] == RemoteFile("config.json", 2)
    assert listing.files["sub/big.gguf"] == RemoteFile("sub/big.gguf", len(BIG), sha256)


def test_files_come_where_other_programs_find_them(
    hub: HubServer, client: HuggingFace, tmp_path: Path
) -> None:
    commit = hub.push("o/n", FILES)
    listing, seen = fetch(client)
    folder = client.folder(listing)
    assert folder == tmp_path / "hf" / "models--o--n" / "snapshots" / commit
    assert (folder / "sub/big.gguf").read_bytes() == BIG
    assert sorted(p.name for p in folder.rglob("*") if p.is_file()) == ["big.gguf", "config.json"]
    found = try_to_load_from_cache("o/n", "sub/big.gguf", cache_dir=tmp_path / "hf")
    assert found == str(folder / "sub/big.gguf")
    last = seen[-1]
    assert (last.num_files_done, last.num_files, last.count) == (2, 2, "2 of 2 files")
    assert last.num_bytes_done == last.num_bytes == len(BIG) + 2
    assert seen[-2].label == "big.gguf"
    done = [progress.num_bytes_done for progress in seen]
    assert done == sorted(done)


def test_what_is_there_is_not_fetched_again(hub: HubServer, client: HuggingFace) -> None:
    hub.push("o/n", FILES)
    fetch(client)
    hub.requests.clear()
    fetch(client)
    assert hub.paths() == set()


def test_what_another_program_fetched_is_used(
    hub: HubServer, client: HuggingFace, tmp_path: Path
) -> None:
    hub.push("o/n", FILES)
    hf_hub_download("o/n", "sub/big.gguf", cache_dir=tmp_path / "hf", endpoint=hub.url)
    hub.requests.clear()
    fetch(client)
    assert hub.paths() == {"config.json"}


def test_a_new_commit_brings_what_changed(hub: HubServer, client: HuggingFace) -> None:
    hub.push("o/n", FILES)
    old, _ = fetch(client)
    hub.push("o/n", FILES | {"config.json": b"{ }"})
    hub.requests.clear()
    new, _ = fetch(client)
    assert new.commit != old.commit
    assert hub.paths() == {"config.json"}
    assert (client.folder(new) / "sub/big.gguf").read_bytes() == BIG
    assert (client.folder(new) / "config.json").read_bytes() == b"{ }"


def test_a_revision(hub: HubServer, client: HuggingFace) -> None:
    hub.push("o/n", FILES)
    commit = hub.push("o/n", {"a.gguf": b"older"}, revision="v1")
    for revision in ("v1", commit):
        listing = client.listing(NAME.at(revision))
        client.fetch(listing, ["a.gguf"], print)
        assert listing.commit == commit
        assert (client.folder(listing) / "a.gguf").read_bytes() == b"older"


def test_a_connection_that_is_cut_goes_on(hub: HubServer, client: HuggingFace) -> None:
    hub.push("o/n", FILES)
    hub.cuts["big.gguf"] = [2 * CHUNK_BYTES, CHUNK_BYTES + 10]
    listing, seen = fetch(client)
    assert (client.folder(listing) / "sub/big.gguf").read_bytes() == BIG
    assert hub.bodies("big.gguf") == [
        (None, 2 * CHUNK_BYTES),
        (f"bytes={2 * CHUNK_BYTES}-", CHUNK_BYTES + 10),
        (f"bytes={3 * CHUNK_BYTES}-", len(BIG) - 3 * CHUNK_BYTES),
    ]
    assert seen[-1].num_bytes_done == seen[-1].num_bytes


def test_so_does_one_that_is_reset(hub: HubServer, client: HuggingFace) -> None:
    hub.push("o/n", FILES)
    hub.how = "reset"
    hub.cuts["big.gguf"] = [4 * CHUNK_BYTES]
    listing, _ = fetch(client)
    assert (client.folder(listing) / "sub/big.gguf").read_bytes() == BIG
    assert len(hub.bodies("big.gguf")) == 2


def test_the_next_run_goes_on_where_the_last_gave_up(
    hub: HubServer, client: HuggingFace, tmp_path: Path
) -> None:
    hub.push("o/n", FILES)
    hub.cuts["big.gguf"] = [2 * CHUNK_BYTES, *[0] * 6 * (MAX_STALLS + 1)]
    with pytest.raises(DownloadBrokenError, match="run the command again to go on") as caught:
        fetch(client)
    assert caught.value.num_bytes == 2 * CHUNK_BYTES
    assert caught.value.num_bytes_total == len(BIG)
    assert part(client, tmp_path).read_bytes() == BIG[: 2 * CHUNK_BYTES]
    hub.cuts.clear()
    hub.requests.clear()
    listing, seen = fetch(HuggingFace(endpoint=hub.url, cache_dir=tmp_path / "hf"))
    assert hub.bodies("big.gguf") == [
        (f"bytes={2 * CHUNK_BYTES}-", len(BIG) - 2 * CHUNK_BYTES),
    ]
    assert (client.folder(listing) / "sub/big.gguf").read_bytes() == BIG
    assert seen[1].num_bytes_done == 2 + 2 * CHUNK_BYTES
    assert not list((tmp_path / "hf").rglob("*.incomplete"))


@pytest.mark.parametrize(
    "sent",
    [BIG[:9] + b"x" + BIG[10:], BIG[: 2 * CHUNK_BYTES], BIG + b"x"],
    ids=["changed", "shorter", "longer"],
)
def test_what_came_damaged_is_removed(
    hub: HubServer, client: HuggingFace, tmp_path: Path, sent: bytes
) -> None:
    hub.push("o/n", FILES)
    hub.sent_instead["sub/big.gguf"] = sent
    with pytest.raises(ChecksumError) as caught:
        fetch(client)
    assert str(caught.value).startswith("sub/big.gguf of o/n arrived damaged (SHA-256 ")
    assert caught.value.expected == hashlib.sha256(BIG).hexdigest()
    assert caught.value.found != caught.value.expected
    blobs = tmp_path / "hf" / "models--o--n" / "blobs"
    assert [path.stat().st_size for path in blobs.iterdir()] == [2]
    assert try_to_load_from_cache("o/n", "sub/big.gguf", cache_dir=tmp_path / "hf") is None
    hub.sent_instead.clear()
    listing, _ = fetch(client)
    assert (client.folder(listing) / "sub/big.gguf").read_bytes() == BIG


def test_a_part_that_is_something_else_is_found_out(
    hub: HubServer, client: HuggingFace, tmp_path: Path
) -> None:
    hub.push("o/n", FILES)
    hub.cuts["big.gguf"] = [2 * CHUNK_BYTES, *[0] * 6 * (MAX_STALLS + 1)]
    with pytest.raises(DownloadBrokenError):
        fetch(client)
    hub.cuts.clear()
    part(client, tmp_path).write_bytes(b"x" * CHUNK_BYTES)
    with pytest.raises(ChecksumError):
        fetch(client)
    listing, _ = fetch(client)
    assert (client.folder(listing) / "sub/big.gguf").read_bytes() == BIG


def test_there_has_to_be_room(hub: HubServer, client: HuggingFace, tmp_path: Path) -> None:
    hub.push("o/n", FILES)
    hub.sizes["sub/big.gguf"] = 10**18
    with pytest.raises(HubSpaceError, match=r"953,674,316,406 MiB are needed and .* are free") as c:
        fetch(client)
    assert c.value.num_bytes_needed == 10**18 + 2
    assert hub.paths() == set()
    assert not (tmp_path / "hf").exists()


def test_the_token_goes_to_the_hub_and_nowhere_else(
    hub: HubServer, client: HuggingFace, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.push("o/n", FILES)
    hub.gated.add("o/n")
    with pytest.raises(RepositoryGatedError) as caught:
        fetch(client)
    assert caught.value.url == f"{hub.url}/o/n"
    assert "HF_TOKEN" in str(caught.value)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(TokenRefusedError, match="HF_TOKEN is a valid token"):
        fetch(client)
    hub.requests.clear()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    fetch(client)
    assert {r.has_token for r in hub.requests if "/resolve/" in r.path} == {True}
    assert {r.has_token for r in hub.requests if "/cdn/" in r.path} == {False}


def test_what_the_hub_does_not_have(hub: HubServer, client: HuggingFace) -> None:
    hub.push("o/n", FILES)
    with pytest.raises(RepositoryNotFoundError, match="no file or folder o/x, and no repository"):
        client.listing(HubName("huggingface", "o/x", "main"))
    with pytest.raises(RevisionNotFoundError, match="o/n has no revision v9"):
        client.listing(NAME.at("v9"))


@pytest.mark.parametrize("status", [500, 503])
def test_a_hub_in_trouble(hub: HubServer, client: HuggingFace, status: int) -> None:
    hub.status = status
    with pytest.raises(HubUnreachableError, match=f"answered {status}"):
        client.listing(NAME)


def test_no_hub(tmp_path: Path) -> None:
    client = HuggingFace(endpoint="http://127.0.0.1:9", cache_dir=tmp_path)
    with pytest.raises(HubUnreachableError, match="HF_ENDPOINT"):
        client.listing(NAME)


def test_a_cache_that_cannot_be_written(
    hub: HubServer, client: HuggingFace, tmp_path: Path
) -> None:
    hub.push("o/n", FILES)
    (tmp_path / "hf").write_text("a file")
    with pytest.raises(HubError, match="cannot write the cache"):
        fetch(client)


def test_a_repository_can_be_removed(hub: HubServer, client: HuggingFace, tmp_path: Path) -> None:
    assert client.remove(NAME) == 0
    hub.push("o/n", FILES)
    hub.push("o/other", {"a.gguf": b"stays"})
    listing, _ = fetch(client)
    other = client.listing(HubName("huggingface", "o/other", "main"))
    client.fetch(other, ["a.gguf"], print)
    assert client.remove(NAME) == len(BIG) + 2
    assert not client.folder(listing).exists()
    assert (client.folder(other) / "a.gguf").read_bytes() == b"stays"
    assert client.remove(NAME) == 0
