"""The port is open at once: while a model is pulled the server says so, and can be stopped."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.hub_server import HubServer, hub_server
from tests.support.servers import early_server
from tests.support.waiting import SECONDS

pytestmark = pytest.mark.live

NAME = "zai-org/chatglm3-tiny"
MODEL = f"{NAME}:q8_0"
SLOW = 2**20  # bytes a second, of 7 MiB


@pytest.fixture
def hub(tiny_checkpoint: Path) -> Iterator[HubServer]:
    with hub_server() as hub:
        hub.push_folder(NAME, tiny_checkpoint)
        yield hub


def health(url: str) -> dict[str, Any]:
    body: dict[str, Any] = httpx.get(f"{url}/health", timeout=SECONDS).json()
    return body


def wait_for_bytes(url: str) -> dict[str, Any]:
    """What ``/health`` says once some of the weights have come."""
    end = time.monotonic() + SECONDS
    while not (found := health(url)).get("seconds_left"):
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return found


def test_a_pull_shows_and_goes_on_after_ctrl_c(hub: HubServer, tmp_path: Path) -> None:
    hub.bytes_per_second = SLOW
    with early_server(MODEL, hub_url=hub.url, folder=tmp_path, GLM3EDGE_API_KEY="key") as (
        process,
        url,
    ):
        found = wait_for_bytes(url)
        assert (found["status"], found["phase"]) == ("starting", "pulling")
        assert 0 < found["bytes_done"] < found["bytes_total"]
        assert httpx.get(f"{url}/v1/models", timeout=SECONDS).status_code == 401
        reply = httpx.get(
            f"{url}/v1/models", headers={"Authorization": "Bearer key"}, timeout=SECONDS
        )
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "server_starting")
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=SECONDS)
        assert process.returncode == 130
        assert "Traceback" not in stderr
        assert not list(tmp_path.rglob("*.gguf"))
    hub.bytes_per_second = 0
    with early_server(MODEL, hub_url=hub.url, folder=tmp_path) as (process, url):
        assert process.stdout is not None
        assert any(line.startswith("stop ") for line in process.stdout)
        assert health(url)["status"] == "ok"
        process.terminate()
        assert process.wait(SECONDS) == 0
    assert any(range_ for range_, _ in hub.bodies(".safetensors"))  # what came first was kept


def test_a_failure_ends_a_server_that_answers(hub: HubServer, tmp_path: Path) -> None:
    hub.bytes_per_second = SLOW
    files = hub.files_of(NAME, hub.commit_of(NAME, "main") or "")
    hub.sent_instead = {
        path: bytes(len(data)) for path, data in files.items() if path.endswith(".safetensors")
    }
    with early_server(MODEL, hub_url=hub.url, folder=tmp_path) as (process, url):
        wait_for_bytes(url)
        _, stderr = process.communicate(timeout=SECONDS)
        error = [line for line in stderr.splitlines() if line.startswith("error: ")]
        assert len(error) == 1, stderr
        assert "Traceback" not in stderr
        assert process.returncode not in {0, 1, 130}
        with pytest.raises(httpx.ConnectError):
            health(url)
