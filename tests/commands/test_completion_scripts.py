"""Shell completion: the scripts are installed and complete in the shells that are here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import HANG_SECONDS
from tests.support.optional import missing

pytestmark = pytest.mark.slow

CASES = {
    "glm3edge mod": ["models"],
    "glm3edge serve --kv": ["--kv-on-gpu", "--kv-on-cpu", "--kv-type"],
    "glm3edge serve --log-level wa": ["warning"],
}
SHELLS = {
    "bash": "source ~/.bashrc; COMP_WORDS=({line}); COMP_CWORD={last};"
    ' _glm3edge_completion glm3edge; printf "%s\\n" "${{COMPREPLY[@]}}"',
    "fish": 'complete --do-complete "{line}"',
}
INSTALLED = {
    "bash": ".bash_completions/glm3edge.sh",
    "fish": ".config/fish/completions/glm3edge.fish",
    "zsh": ".zfunc/_glm3edge",
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A home, and a ``glm3edge`` that is this code."""
    program = tmp_path / "bin" / "glm3edge"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m glm3edge "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "HOME": str(tmp_path), "PATH": path, "XDG_CONFIG_HOME": ""}


def run_in(shell: str, script: str, environment: dict[str, str]) -> str:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here") if shell != "bash" else missing("there is no bash")
    result = subprocess.run(
        [shell, "-c", f"{script}\ntrue"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("shell", INSTALLED)
def test_it_is_installed_and_completes(
    shell: str, environment: dict[str, str], tmp_path: Path
) -> None:
    run_in(shell, "glm3edge --install-completion", environment)
    script = tmp_path / INSTALLED[shell]
    assert "glm3edge" in script.read_text()
    run_in(shell, f"{shell} -n {script}", environment)
    if shell not in SHELLS:
        return  # zsh completes at a terminal only: see below
    for line, expected in CASES.items():
        filled = SHELLS[shell].format(line=line, last=len(line.split()) - 1)
        output = run_in(shell, filled, environment)
        assert {entry.split("\t")[0] for entry in output.splitlines()} == set(expected), line


def test_what_zsh_is_told(environment: dict[str, str]) -> None:
    for line, expected in CASES.items():
        told = subprocess.run(
            ["glm3edge"],
            env={
                **environment,
                "_GLM3EDGE_COMPLETE": "complete_zsh",
                "_TYPER_COMPLETE_ARGS": line,
            },
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=True,
        ).stdout
        for word in expected:
            assert f'"{word}"' in told
        assert "\n" not in told.rstrip().replace('"\n"', "")
