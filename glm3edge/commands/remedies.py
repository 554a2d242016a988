"""Commands that may work where a pull failed, ready to paste, in the user's language."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from glm3edge.commands.chat.terminal.translations import LANGUAGES, user_language
from glm3edge.store.hub.errors import DownloadBrokenError, HubOfflineError, HubUnreachableError
from glm3edge.store.hub.names import HubName, parse_name

MIRROR = "https://hf-mirror.com"
"""The mirror of Hugging Face's hub that is best known in China."""

_TEXTS = {
    "heading": ("One of these may work:", "可以试试下面的命令："),
    "online": ("with the network", "允许联网"),
    "modelscope": ("from ModelScope", "从魔搭（ModelScope）下载"),
    "huggingface": ("from Hugging Face", "从 Hugging Face 下载"),
    "mirror": ("from a mirror of Hugging Face", "从 Hugging Face 镜像站下载"),
    "folder": (
        "offline: copy the model's folder from a computer that has it, then",
        "离线：从有该模型的电脑上复制模型文件夹，然后运行",
    ),
}


def remedies(
    exc: Exception,
    arguments: Sequence[str],
    environment: Mapping[str, str] = os.environ,
) -> list[str]:
    """Lines that say what to run instead of a command that failed; none if that would not help.

    Args:
        exc: what the command failed with.
        arguments: the command line, with the program's path.
        environment: the variables that the command had.
    """
    if not isinstance(exc, HubUnreachableError | HubOfflineError | DownloadBrokenError):
        return []
    column = LANGUAGES.index(user_language(environment))
    lines = [_TEXTS["heading"][column]]
    for key, command in _commands(exc, arguments, environment):
        lines += [f"  # {_TEXTS[key][column]}", f"  {command}"]
    return lines


def _commands(
    exc: HubUnreachableError | HubOfflineError | DownloadBrokenError,
    arguments: Sequence[str],
    environment: Mapping[str, str],
) -> Iterator[tuple[str, str]]:
    name = exc.name
    if isinstance(exc, HubOfflineError):
        yield "online", f"HF_HUB_OFFLINE=0 {_command(arguments, name, str(name))}"
    else:
        copies = {copy.hub: copy for copy in reversed(list(name.copies))}
        for hub, copy in copies.items():
            if hub != name.hub:
                yield hub, _command(arguments, name, str(copy))
        on_hub = copies.get("huggingface")
        if on_hub and environment.get("HF_ENDPOINT", "").rstrip("/") != MIRROR:
            yield "mirror", f"HF_ENDPOINT={MIRROR} {_command(arguments, name, str(on_hub))}"
    yield "folder", _command(arguments, name, f"./{name.repo.rpartition('/')[2]}", is_folder=True)


def _command(
    arguments: Sequence[str], name: HubName, replacement: str, *, is_folder: bool = False
) -> str:
    """The command line with another model in place of ``name``; serve's, if it has no such name."""
    words = [replacement if _is(word, name) else word for word in arguments[1:]]
    if replacement not in words or (is_folder and words[0] == "pull"):
        words = ["serve", replacement]
    return f"{_program(arguments[0])} {shlex.join(words)}"


def _is(word: str, name: HubName) -> bool:
    found = parse_name(word)
    return found is not None and (found.hub, found.repo) == (name.hub, name.repo)


def _program(path: str) -> str:
    """What to type for the program at ``path``."""
    program = Path(path)
    if program.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m glm3edge"
    return program.name if shutil.which(program.name) == path else shlex.quote(path)
