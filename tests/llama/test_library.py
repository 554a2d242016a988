import logging

import pytest

from glm3edge.llama.library import _LogBridge


def test_fragments_become_lines_of_their_level(caplog: pytest.LogCaptureFixture) -> None:
    bridge = _LogBridge()
    with caplog.at_level(logging.DEBUG, logger="glm3edge.llama"):
        bridge(2, b"loading", None)
        bridge(5, b" ...", None)
        bridge(5, b" done\n", None)
        bridge(4, "坏了\nsecond\n".encode(), None)
        bridge(3, b"\n", None)
        bridge(1, b"\xff\n", None)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("DEBUG", "loading ... done"),
        ("ERROR", "坏了"),
        ("ERROR", "second"),
        ("DEBUG", "\ufffd"),
    ]
    assert bridge.errors == []
    caplog.clear()
    bridge.num_watchers = 1
    with caplog.at_level(logging.DEBUG, logger="glm3edge.llama"):
        bridge(4, b"first\nsecond\n", None)
    assert bridge.errors == ["first", "second"]
    assert [record.levelname for record in caplog.records] == ["DEBUG", "DEBUG"]
