"""Tools that run on a provider's servers."""

import logging

import pytest

from glm3edge.errors import InvalidRequestError
from glm3edge.schema.server_tools import ServerTool, is_server_tool
from glm3edge.serving import server_tools
from glm3edge.serving.server_tools import without_server_tools


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("web_search", True),
        ("web_search_20250305", True),
        ("web_search_20260318", True),
        ("web_search_preview", True),
        ("web_search_preview_2025_03_11", True),
        ("web_fetch_20250910", True),
        ("image_generation", True),
        ("tool_search", True),
        ("tool_search_tool_bm25", True),
        ("tool_search_tool_regex_20251119", True),
        ("advisor_20260301", True),
        ("function", False),
        ("custom", False),
        ("namespace", False),
        ("mcp", False),
        ("mcp_toolset", False),
        ("file_search", False),
        ("code_interpreter", False),
        ("code_execution_20250825", False),
        ("bash_20250124", False),
        ("text_editor_20250728", False),
        ("computer_use_preview", False),
        ("web_searching", False),
        ("", False),
        (None, False),
        (3, False),
        ({}, False),
    ],
)
def test_kinds(kind: object, expected: bool) -> None:
    assert is_server_tool(kind) == expected


def test_they_are_left_out_beside_others(caplog: pytest.LogCaptureFixture) -> None:
    server_tools._warn.cache_clear()
    search = ServerTool(type="web_search_20260318")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert without_server_tools(["mine", search], param="tools") == ["mine"]
    assert len(caplog.records) == 1
    assert "web_search_20260318" in caplog.text
    assert without_server_tools([], param="tools") == []


def test_they_are_refused_alone() -> None:
    with pytest.raises(InvalidRequestError, match="no web_search: offer a function") as caught:
        without_server_tools([ServerTool(type="web_search")], param="tools")
    assert caught.value.param == "tools[0].type"
