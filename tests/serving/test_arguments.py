"""Arguments of calls as objects."""

import json
from typing import Any

import pytest

from glm3edge.serving.arguments import parsed_arguments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"city": "北京", "days": 3}', {"city": "北京", "days": 3}),
        ("{}", {}),
        ("", {}),
        ("{", {}),
        ('{"city": "北京", "da', {"city": "北京"}),
        ('{"a": ' + "[" * 5000, {}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        ('{"a": ["\\ud83d"], "\\udc00": 1}', {"a": ["?"], "?": 1}),
    ],
)
def test_arguments(text: str, expected: dict[str, Any]) -> None:
    found = parsed_arguments(text)
    assert found == expected
    json.dumps(found, ensure_ascii=False).encode()  # or no reply could have them
