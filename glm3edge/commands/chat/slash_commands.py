"""Lines that begin with a slash: which command they are, and with what."""

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
"""The commands, and what is written after each."""

TAKES_FILE = ("tools", "save", "load")

_COMMAND = re.compile(r"/([A-Za-z_-]+)(?:\s+(.*))?", re.DOTALL)
_ALSO = {"quit": "exit", "bye": "exit", "q": "exit", "clear": "reset", "retry": "regenerate"}


@dataclass(frozen=True, slots=True)
class Command:
    """A command and what was written after it. ``name`` may be none that there is."""

    name: str
    argument: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is such a command."""
        return self.name in ARGUMENTS

    @property
    def nearest(self) -> str | None:
        """The command that may have been meant."""
        found = difflib.get_close_matches(self.name, ARGUMENTS, n=1, cutoff=0.5)
        return found[0] if found else None


def parse_command(line: str) -> Command | None:
    """The command that ``line`` is; None if it is a message.

    A path such as ``/usr/bin`` is none, and no line is one that begins with a space.
    """
    match = _COMMAND.fullmatch(line.rstrip())
    if match is None:
        return None
    name = match[1].lower()
    return Command(_ALSO.get(name, name), (match[2] or "").strip())
