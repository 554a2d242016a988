"""Slash commands of the chat, and their parser."""

import difflib
import re
from dataclasses import dataclass

ARGUMENTS: dict[str, str] = {
    "help": "",
    "system": "TEXT",
    "tools": "FILE",
    "save": "FILE",
    "load": "FILE",
    "stats": "",
    "reset": "",
    "model": "NAME",
    "set": "NAME VALUE",
    "regenerate": "",
    "undo": "",
    "exit": "",
}
"""Commands, and the argument of each."""

TAKES_FILE = ("tools", "save", "load")
"""Commands whose argument is a file."""

_COMMAND = re.compile(r"/([A-Za-z_-]+)(?:\s+(.*))?", re.DOTALL)
_ALSO = {"quit": "exit", "bye": "exit", "q": "exit", "clear": "reset", "retry": "regenerate"}


@dataclass(frozen=True, slots=True)
class Command:
    """Command and its argument; ``name`` may be unknown."""

    name: str
    argument: str = ""

    @property
    def is_known(self) -> bool:
        """Whether the command exists."""
        return self.name in ARGUMENTS

    @property
    def nearest(self) -> str | None:
        """Name of the most similar command."""
        found = difflib.get_close_matches(self.name, ARGUMENTS, n=1, cutoff=0.5)
        return found[0] if found else None


def parse_command(line: str) -> Command | None:
    """Command in ``line``; None if it is a message.

    A path such as ``/usr/bin`` is a message, and so is a line that begins with a space.
    """
    match = _COMMAND.fullmatch(line.rstrip())
    if match is None:
        return None
    name = match[1].lower()
    return Command(_ALSO.get(name, name), (match[2] or "").strip())
