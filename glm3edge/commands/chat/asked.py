"""What is sent in one shot: the words of the command line, and what is piped in."""

from collections.abc import Sequence
from typing import BinaryIO

from glm3edge.errors import ConfigError


def message_of(words: Sequence[str], piped: str) -> str:
    """What is sent: the words of the command line, then what was piped in.

    Raises:
        ConfigError: both are empty.
    """
    text = "\n\n".join(filter(None, (" ".join(words).strip(), piped.strip())))
    if not text:
        raise ConfigError("there is nothing to send: give a prompt, or pipe a text in")
    return text.encode(errors="replace").decode()  # halves of surrogate pairs have no tokens


def read_piped(file: BinaryIO) -> str:
    """All of ``file`` as text: UTF-8, or else GB 18030, which older Chinese files are in."""
    data = file.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("gb18030", errors="replace")
