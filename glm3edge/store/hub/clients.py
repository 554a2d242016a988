"""Hub clients: what the store needs of one, and which serves a name."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from glm3edge.store.hub.download import DownloadProgress
from glm3edge.store.hub.listing import Listing
from glm3edge.store.hub.names import HubName


class Hub(Protocol):
    """Client of a hub, such as ``HuggingFace``."""

    def listing(self, name: HubName) -> Listing: ...
    def found(self, name: HubName) -> Iterator[Listing]: ...
    def folder(self, listing: Listing) -> Path: ...
    def fetch(
        self,
        listing: Listing,
        paths: Sequence[str],
        report: Callable[[DownloadProgress], None] | None,
    ) -> None: ...
    def has(self, listing: Listing, path: str) -> bool: ...
    def download(
        self, listing: Listing, path: str, target: Path, report: Callable[[int], None]
    ) -> None: ...
    def remove(self, name: HubName) -> int: ...


def client_for(name: HubName) -> Hub:
    """Client of a name's hub, imported once it is needed: its library takes long to import."""
    if name.hub == "modelscope":
        from glm3edge.store.hub.modelscope import ModelScope  # noqa: PLC0415

        return ModelScope()
    from glm3edge.store.hub.huggingface import HuggingFace  # noqa: PLC0415

    return HuggingFace()
