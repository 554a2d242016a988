"""docs/serving.md on settings: its examples are what the code reads."""

import re
from pathlib import Path

import pytest

from glm3edge.config.settings import load_settings
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")


def test_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = re.findall(r"```toml\n(.+?)```", PAGE, re.DOTALL)
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setenv("GLM3EDGE_CONFIG", str(path))
    settings = load_settings()
    assert (settings.model, settings.open, settings.ctx_size) == ("chatglm3-6b", True, 16384)
    assert settings.disk_cache == 10 * 2**30


def test_variables_and_lines_of_the_table_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = re.findall(r"`(GLM3EDGE_\w+)=([^`]+)`", PAGE.partition("## Settings")[2])
    lines = re.findall(r"`([a-z-]+ = [^`]+)`", PAGE.partition("## Settings")[2])
    assert len(variables) == len(lines) == 5
    path = tmp_path / "config.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setenv("GLM3EDGE_CONFIG", str(path))
    from_file = load_settings()
    monkeypatch.delenv("GLM3EDGE_CONFIG")
    for name, value in variables:
        monkeypatch.setenv(name, value)
    assert load_settings() == from_file
    assert from_file.rpc == ("box:50052", "attic:50052")
