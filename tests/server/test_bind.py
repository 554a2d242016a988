"""One port: who listens there first is known from the first moment on."""

import multiprocessing
import multiprocessing.connection
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from glm3edge.commands.app import app
from glm3edge.config.settings import load_settings
from glm3edge.errors import ConfigError
from glm3edge.server.bind import bind
from tests.support.ports import free_port
from tests.support.servers import start_server, stop_server

pytestmark = pytest.mark.slow

KEY = "key-of-the-port-test"
HOSTS = ["127.0.0.1", "0.0.0.0", *(["::"] if socket.has_dualstack_ipv6() else [])]


@contextmanager
def start(model: Path, port: int, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """``glm3edge serve``, not waited for."""
    process = subprocess.Popen(
        [sys.executable, "-m", "glm3edge", "serve", str(model), "--port", str(port), *arguments],
        env={**os.environ, "GLM3EDGE_API_KEY": KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(process: "subprocess.Popen[str]", label: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(label):
            return
    raise AssertionError(process.communicate()[1])


def check_refused(process: "subprocess.Popen[str]", host: str, port: int) -> None:
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 2, stderr
    assert (
        stderr
        == f"error: cannot listen on {host}:{port}: Address already in use; try another --port\n"
    )
    assert "load " not in stdout


@pytest.mark.parametrize("first", HOSTS)
def test_a_port_is_held_while_the_model_is_loaded(tiny_gguf: Path, first: str) -> None:
    """By all addresses against one, and the other way round; who connects is answered."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with start(tiny_gguf, port, "--host", first) as holder:
        wait_for(holder, "load")
        holder.send_signal(signal.SIGSTOP)
        for host in HOSTS:
            with start(tiny_gguf, port, "--host", host) as other:
                check_refused(other, host, port)
        left = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
        for sock in left:
            sock.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            sock.close()
        replies: list[int] = []
        early = threading.Thread(
            target=lambda: replies.append(httpx.get(f"{url}/health", timeout=60).status_code)
        )
        early.start()
        holder.send_signal(signal.SIGCONT)
        wait_for(holder, "stop")
        early.join(60)
        assert replies in ([200], [503])  # whether the model is there already
        holder.terminate()
        assert holder.communicate(timeout=60)[1] == ""
        assert holder.returncode == 0


def run(seconds: float, *arguments: str) -> None:
    time.sleep(seconds)
    app(["serve", *arguments])


def test_of_two_that_start_together_one_serves(tiny_gguf: Path) -> None:
    """At once or nearly so; both used to say that they serve, as only one had the port."""
    forkserver = multiprocessing.get_context("forkserver")  # which has imported all of it
    forkserver.set_forkserver_preload(["glm3edge.commands.serve.run", "glm3edge.server.run"])
    delays = random.Random(0)
    for _ in range(50):
        port = free_port()
        arguments = (str(tiny_gguf), "--port", str(port))
        both = [
            forkserver.Process(target=run, args=(delays.uniform(0, 0.1), *arguments))
            for _ in range(2)
        ]
        for process in both:
            process.start()
        multiprocessing.connection.wait([process.sentinel for process in both], 60)
        lost, won = sorted(both, key=lambda process: process.is_alive())
        lost.join(60)
        assert lost.exitcode == 2
        reply = httpx.get(f"http://127.0.0.1:{port}/health", timeout=60)
        assert reply.json()["status"] in {"starting", "ok"}
        assert won.is_alive()
        won.kill()
        won.join(60)


@pytest.mark.parametrize("host", [*HOSTS, "localhost"])
def test_two_sockets(host: str) -> None:
    settings = load_settings(host=host, port=0, no_auth=True)
    with bind(settings) as one, bind(settings) as other:
        port = one.getsockname()[1]
        assert other.getsockname()[1] != port
        with pytest.raises(ConfigError, match=f"cannot listen on {host}:{port}: .*--port"):
            bind(settings.model_copy(update={"port": port}))


def test_a_server_starts_again_where_one_has_just_stopped(tiny_gguf: Path) -> None:
    """Connections that the server closed linger for a minute; they do not hold the port."""
    server = start_server(str(tiny_gguf))
    port = server.url.rpartition(":")[2]
    with httpx.Client(base_url=server.url, timeout=60) as client:
        assert client.get("/health", timeout=60).status_code == 200
        assert stop_server(server) == 0
    with start(tiny_gguf, int(port)) as again:
        wait_for(again, "stop")
        assert httpx.get(f"{server.url}/health", timeout=60).status_code == 200
