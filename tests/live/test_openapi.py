"""schemathesis asks what the OpenAPI document allows, and worse: no 5xx, replies as described."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.conftest import Server, start_server, stop_server

pytestmark = pytest.mark.live

CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.BaseSchema]:
    """The document of a server whose replies are short."""
    cache = tmp_path_factory.mktemp("cache")
    server: Server = start_server(
        "--ctx-size", "128", "--disk-cache", "0", GLM3EDGE_CACHE_DIR=str(cache)
    )
    yield schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    assert stop_server(server) == 0


schema = schemathesis.pytest.from_fixture("api")


@schema.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_the_document_and_the_server_agree(case: "schemathesis.Case[Any]") -> None:
    case.call_and_validate(checks=CHECKS, timeout=60)
