import socket
from contextlib import ExitStack

import pytest

from glm3edge.config.addresses import parse_address
from glm3edge.llama.workers import find_duplicate, worker_problem


@pytest.mark.parametrize(
    ("text", "address"),
    [("box", "box:50052"), (" box:1 ", "box:1"), ("192.168.0.7:50052", "192.168.0.7:50052")],
)
def test_addresses(text: str, address: str) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", ":1", "box:", "box:http", "box:0", "box:65536", "http://box"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        parse_address(text)


def test_ipv6_is_refused_as_llama_cpp_would() -> None:
    with pytest.raises(ValueError, match="IPv6"):
        parse_address("[::1]:50052")


def test_who_does_not_listen_is_named() -> None:
    with socket.socket() as listening, socket.socket() as other:
        for sock in (listening, other):
            sock.bind(("127.0.0.1", 0))
        listening.listen()
        here, nowhere = (f"127.0.0.1:{sock.getsockname()[1]}" for sock in (listening, other))
        assert worker_problem([]) is None
        assert worker_problem([here]) is None
        reason = worker_problem([here, nowhere])
    assert reason is not None
    assert nowhere in reason
    assert "refused" in reason
    for name in ("a..b", "a" * 70):  # no name can be so
        assert f"{name}:1 cannot be reached" in str(worker_problem([f"{name}:1"]))


def test_a_worker_that_lets_nobody_wait_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """As llama.cpp's own server is while it serves another."""
    monkeypatch.setattr("glm3edge.llama.workers._SECONDS", 0.2)
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        for _ in range(8):  # they wait, and nobody takes them
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        assert worker_problem([address], are_busy=True) is None
        assert "does not answer" in str(worker_problem([address]))


def test_one_worker_by_two_names() -> None:
    assert find_duplicate(["127.0.0.1:1", "127.0.0.1:2", "nowhere.invalid:1"]) is None
    assert find_duplicate(["x.invalid:1", "127.0.0.1:1", "localhost:1"]) == (
        "127.0.0.1:1",
        "localhost:1",
    )
