import pytest

from glm3edge.config.addresses import canonical, host_of, is_local, is_wildcard


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("localhost", "localhost"),
        ("LocalHost:8000", "localhost"),
        ("127.0.0.1:8000", "127.0.0.1"),
        ("[::1]:8000", "::1"),
        ("[::1]", "::1"),
        ("[0:0:0:0:0:0:0:1]:80", "::1"),
        ("[FE80::ABCD]", "fe80::abcd"),
        ("my-box.lan:", "my-box.lan"),
        ("my_box", "my_box"),
        ("", None),
        (":8000", None),
        ("::1", None),
        ("[::1", None),
        ("[127.0.0.1]", None),
        ("[::1]x", None),
        ("localhost:80x", None),
        ("localhost:80:80", None),
        ("user@localhost", None),
        ("localhost/path", None),
        ("localhost evil.example", None),
        ("localhost,evil.example", None),
        ("localhost\n", None),
        ("böx", None),
    ],
)
def test_host_of(authority: str, host: str | None) -> None:
    assert host_of(authority) == host


def test_one_spelling() -> None:
    assert canonical("[::0001]") == canonical("::1") == "::1"
    assert canonical("Box.LAN") == "box.lan"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("[::1]", True),
        ("0:0:0:0:0:0:0:1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("128.0.0.1", False),
        ("192.168.0.7", False),
        ("fe80::1", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("127.1", False),  # sockets take it for 127.0.0.1; asking for a key is the safe side
        ("", False),
    ],
)
def test_is_local(host: str, expected: bool) -> None:
    assert is_local(host) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [("0.0.0.0", True), ("::", True), ("[::]", True), ("127.0.0.1", False), ("box", False)],
)
def test_is_wildcard(host: str, expected: bool) -> None:
    assert is_wildcard(host) is expected
