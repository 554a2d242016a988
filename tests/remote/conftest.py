"""A scripted engine on a socket."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.fake_engine import FakeServer
from tests.support.scripted_server import running


@pytest.fixture
def fake() -> FakeServer:
    return FakeServer()


@pytest.fixture
def url(fake: FakeServer) -> Iterator[httpx.URL]:
    with running(fake.app) as url:
        yield httpx.URL(f"{url}/v1")
