"""The command-line client ``llm``, told of this server as its documentation says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import Server

pytestmark = pytest.mark.live


@pytest.fixture
def home(tmp_path: Path, server: Server) -> Path:
    """A folder with ``llm``'s settings."""
    (tmp_path / "extra-openai-models.yaml").write_text(
        "- model_id: glm3\n  model_name: any\n"
        f'  api_base: "{server.base_url}"\n  supports_tools: true\n  supports_schema: true\n',
        encoding="utf-8",
    )
    return tmp_path


def llm(home: Path, *arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, "-m", "llm", *arguments],
        env={**os.environ, "LLM_USER_PATH": str(home), "OPENAI_API_KEY": "none"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("options", [(), ("--no-stream",)])
def test_a_prompt(home: Path, options: tuple[str, ...]) -> None:
    assert "glm3edge" in llm(home, "-m", "glm3", "-o", "temperature", "0", *options, "你好")


def test_a_conversation_goes_on(home: Path) -> None:
    llm(home, "-m", "glm3", "-o", "temperature", "0", "你好")
    assert llm(home, "-c", "-o", "temperature", "0", "你是谁？").strip()


def test_a_schema(home: Path) -> None:
    said = llm(home, "-m", "glm3", "--schema", "good bool", "北京好吗？")
    assert said.strip() in ('{"good": true}', '{"good": false}')
