from pathlib import Path
from typing import Any

import pytest

from glm3edge.store.hub.errors import HubError
from glm3edge.store.hub.listing import Listing, Listings, RemoteFile, checked_listing
from glm3edge.store.hub.names import HubName, parse_name

NAME = HubName("huggingface", "o/n", "refs/pr/1")
LISTING = Listing(NAME, "c" * 40, {"a": RemoteFile("a", 3, "f" * 64), "b/c": RemoteFile("b/c", 0)})


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    listings = Listings(tmp_path / "pulled")
    assert listings.get(NAME) is None
    assert list(listings) == []
    listings.save(LISTING)
    assert Listings(tmp_path / "pulled").get(NAME) == LISTING
    assert list(listings) == [LISTING]
    chosen = parse_name("o/n@refs/pr/1:q8_0")
    assert chosen is not None
    assert listings.get(chosen) == LISTING
    assert listings.get(NAME.at("main")) is None
    listings.remove(NAME)
    listings.remove(NAME)
    assert listings.get(NAME) is None
    assert list((tmp_path / "pulled").iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", '{"name": "o/n"}', "[" * 100_000),
        '{"name": "o", "commit": "c", "files": {}}',
        '{"name": "o/n", "commit": "c", "files": {"a": [1]}}',
        '{"name": "o/n", "commit": "c", "files": {"a": ["1", null]}}',
    ],
)
def test_damaged_ones_are_not_there(tmp_path: Path, text: str) -> None:
    listings = Listings(tmp_path)
    listings.save(LISTING)
    (path,) = tmp_path.iterdir()
    path.write_text(text)
    assert listings.get(NAME) is None
    assert list(listings) == []


def test_a_failed_write_leaves_the_old(tmp_path: Path) -> None:
    listings = Listings(tmp_path)
    listings.save(LISTING)
    bad: Any = Listing(NAME, b"no JSON", {})  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        listings.save(bad)
    assert listings.get(NAME) == LISTING
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_hub_tells_is_checked() -> None:
    inside = RemoteFile("a/b.gguf", 1, "0" * 64)
    outside = [RemoteFile(path, 1) for path in ("../a", "a/../../b", "/a", "a//b", "C:a", "a\\b")]
    listing = checked_listing(NAME, "c" * 40, [inside, *outside])
    assert listing.files == {"a/b.gguf": inside}
    for commit in (None, "", "../..", "main"):
        with pytest.raises(HubError, match="reports no commit"):
            checked_listing(NAME, commit, [inside])
    with pytest.raises(HubError, match="reports no SHA-256 of a"):
        checked_listing(NAME, "c" * 40, [RemoteFile("a", 1, "../../evil")])
