import pytest

from glm3edge.core import partial_marker


@pytest.mark.parametrize(
    ("text", "marker", "length"),
    [
        ("", "abc", 0),
        ("x", "abc", 0),
        ("xa", "abc", 1),
        ("xab", "abc", 2),
        ("xabc", "abc", 0),
        ("abab", "ababc", 4),
        ("ab", "a", 0),
        ("你", "你好", 1),
    ],
)
def test_partial_marker(text: str, marker: str, length: int) -> None:
    assert partial_marker(text, marker) == length
