"""A model by its name on a hub: pulled, converted and served once; served again with no hub."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import openai
import pytest
from huggingface_hub import snapshot_download

from tests.support.encoders import make_bert
from tests.support.hub_server import hub_server
from tests.support.modelscope_server import modelscope_server
from tests.support.servers import Server, start_server, stop_server

pytestmark = pytest.mark.live


def home(folder: Path) -> dict[str, Any]:
    """Cache folders of their own."""
    return {"HF_HOME": str(folder / "hf"), "GLM3EDGE_CACHE_DIR": str(folder / "cache")}


def reply(server: Server) -> str:
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        completion = client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "你好"}],
            max_tokens=12,
            temperature=0,
        )
        return completion.choices[0].message.content or ""


def vector(server: Server) -> list[float]:
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        return client.embeddings.create(model="m", input="你好").data[0].embedding


def test_served_from_a_hub_and_then_without(tiny_checkpoint: Path, tmp_path: Path) -> None:
    make_bert(tmp_path / "bge")
    names = ("zai-org/chatglm3-tiny:q8_0", "--embedding-model", "BAAI/bge-tiny")
    environment = home(tmp_path)
    with hub_server() as hub:
        hub.push_folder("zai-org/chatglm3-tiny", tiny_checkpoint)
        hub.push_folder("BAAI/bge-tiny", tmp_path / "bge")
        environment["HF_ENDPOINT"] = hub.url
        server = start_server(*names, **environment)
        assert "chatglm3-tiny" in server.banner
        assert "embeds   bge-tiny" in server.banner
        said, embedded = reply(server), vector(server)
        assert stop_server(server) == 0
        num_requests = len(hub.requests)
        server = start_server(*names, **environment)
        assert stop_server(server) == 0
        assert len(hub.requests) == num_requests  # it is asked for nothing
    for offline in ("0", "1"):
        server = start_server(*names, **environment, HF_HUB_OFFLINE=offline)
        assert reply(server) == said
        assert vector(server) == pytest.approx(embedded, abs=1e-5)
        assert stop_server(server) == 0


def test_served_from_the_cache_of_another_program(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """Without a hub, by the name of today, from where transformers put it by the older name."""
    with hub_server() as hub:
        hub.push_folder("THUDM/chatglm3-6b", tiny_checkpoint)
        snapshot_download("THUDM/chatglm3-6b", cache_dir=tmp_path / "hf/hub", endpoint=hub.url)
    server = start_server("chatglm3-6b:q8_0", **home(tmp_path), HF_HUB_OFFLINE="1")
    assert reply(server)
    assert stop_server(server) == 0


def test_served_from_modelscope(tiny_checkpoint: Path, tmp_path: Path) -> None:
    environment = home(tmp_path) | {"MODELSCOPE_CACHE": str(tmp_path / "ms")}
    with modelscope_server() as hub:
        hub.push_folder("ZhipuAI/chatglm3-6b", tiny_checkpoint)
        environment["MODELSCOPE_ENDPOINT"] = hub.url
        server = start_server("modelscope:chatglm3-6b:q8_0", **environment)
        said = reply(server)
        assert stop_server(server) == 0
    server = start_server("modelscope:chatglm3-6b:q8_0", **environment)
    assert reply(server) == said
    assert stop_server(server) == 0


NOTED = """
import os, socket, sys

def note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        with open(os.environ["NOTES"], "a") as file:
            print(event, *arguments[-1 if event == "socket.connect" else 0:], file=file)

sys.addaudithook(note)
"""


def test_the_built_in_model_connects_to_nothing(tmp_path: Path) -> None:
    """Nor asks for a name: Python's own connections, in all of the server's processes."""
    (tmp_path / "sitecustomize.py").write_text(NOTED)
    notes = tmp_path / "notes"
    environment = {
        **home(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
        "NOTES": str(notes),
    }
    for arguments in ((), ("--isolate",)):
        server = start_server(*arguments, **environment)
        assert reply(server)
        assert stop_server(server) == 0
    assert not notes.exists() or notes.read_text() == ""
    pull = [sys.executable, "-m", "glm3edge", "pull", "o/n"]
    environment["HF_ENDPOINT"] = "http://127.0.0.1:9"
    subprocess.run(pull, env={**os.environ, **environment}, check=False, capture_output=True)
    assert "127.0.0.1" in notes.read_text()  # so it is noted


def test_a_gguf_file_from_a_hub(tiny_gguf: Path, tmp_path: Path) -> None:
    environment = home(tmp_path)
    with hub_server() as hub:
        files = {"tiny-F16.gguf": tiny_gguf.read_bytes(), "tiny-Q2_K.gguf": b"not wanted"}
        hub.push("o/tiny-GGUF", files)
        environment["HF_ENDPOINT"] = hub.url
        server = start_server("o/tiny-GGUF:f16", **environment)
        assert "tiny-F16.gguf" in server.banner
        said = reply(server)
        assert stop_server(server) == 0
    server = start_server("o/tiny-GGUF:f16", **environment)
    assert reply(server) == said
    assert stop_server(server) == 0
