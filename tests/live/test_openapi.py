"""schemathesis asks what the OpenAPI document allows, and worse: no 5xx, replies as described."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import start_server, stop_server

pytestmark = pytest.mark.live

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
NUM_EXAMPLES = 15
"""Of each kind for each route; more by hand found nothing else."""


@pytest.mark.timeout(400)
def test_the_document_and_the_server_agree(tmp_path: Path) -> None:
    # A small context keeps replies short: what is asked seldom says how long they may be.
    server = start_server(
        "--ctx-size", "128", "--disk-cache", "0", GLM3EDGE_CACHE_DIR=str(tmp_path / "cache")
    )
    result = subprocess.run(
        [
            str(Path(sys.executable).with_name("st")),
            *("run", f"{server.url}/openapi.json", "--checks", ",".join(CHECKS)),
            *("--max-examples", str(NUM_EXAMPLES), "--seed", "1", "--no-color"),
            *("--request-timeout", "60", "--suppress-health-check", "all"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=380,
        check=False,
    )
    assert stop_server(server) == 0
    assert result.returncode == 0, result.stdout[-6000:]
