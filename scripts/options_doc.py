"""Write docs/options.md from the code: every option of every command.

python scripts/options_doc.py --write docs/options.md
python scripts/options_doc.py --check docs/options.md
"""

import argparse
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from glm3edge.commands.app import app
from glm3edge.config.settings import Settings
from glm3edge.config.sources import CONFIG_VARIABLE, PREFIX

_HEAD = """\
# Options

<!-- Made by `python scripts/options_doc.py --write docs/options.md`; a test compares it. -->

Every option of every command, as `glm3edge COMMAND --help` has them. In brackets: the default.
Where a variable is named, the option can also be set by it, or in the configuration file:
[serving.md](serving.md#settings).
"""
_OWN = {
    "glm3edge bench": {"ctx_size"},
    "glm3edge convert": {"threads"},
    "glm3edge imatrix": {"type"},
    "glm3edge verify": {"kv_type"},
    "glm3edge worker": {"host", "port"},
}
"""Options that only share their names with those of serve."""


def main() -> int:
    """Write the page, or compare it; the exit code is 1 if it is not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--write", type=Path, metavar="FILE")
    group.add_argument("--check", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if arguments.write is not None:
        arguments.write.write_text(page(), encoding="utf-8")
        return 0
    if arguments.check.read_text(encoding="utf-8") == page():
        return 0
    print(
        f"{arguments.check} differs from the code; update it with "
        f"python scripts/options_doc.py --write {arguments.check}",
        file=sys.stderr,
    )
    return 1


def page() -> str:
    """Text of the page."""
    group = get_command(app)
    context = group.make_context("glm3edge", [], resilient_parsing=True)
    sections = list(_sections(group, context))
    names = [title.removeprefix("glm3edge ") for title, _ in sections]
    index = " · ".join(f"[{name}](#{_anchor(name)})" for name in names)
    return "\n".join([_HEAD, index, "", *(text for _, text in sections)]).rstrip() + "\n"


def _anchor(name: str) -> str:
    return "glm3edge" if name == "glm3edge" else f"glm3edge-{name.replace(' ', '-')}"


def _sections(command: Any, context: Any) -> Iterator[tuple[str, str]]:
    yield context.command_path, _section(command, context)
    commands = getattr(command, "commands", {})
    for name in sorted(commands):
        _, child, _ = command.resolve_command(context, [name])
        yield from _sections(child, type(context)(child, parent=context, info_name=name))


def _section(command: Any, context: Any) -> str:
    usage = command.get_usage(context).removeprefix("Usage: ")
    lines = [
        f"## {context.command_path}",
        "",
        _joined(command.help or ""),
        "",
        f"    {_joined(usage)}",
        "",
    ]
    rows = [row for parameter in command.get_params(context) if (row := _row(parameter, context))]
    if not rows:
        return "\n".join(lines)
    has_variables = any(variable for _, _, variable in rows)
    columns = ["option", "what it does", *(["environment"] if has_variables else [])]
    lines += [_line(columns), _line(["---"] * len(columns))]
    lines += [_line(row[: len(columns)]) for row in rows]
    return "\n".join([*lines, ""])


def _row(parameter: Any, context: Any) -> tuple[str, str, str] | None:
    record = parameter.get_help_record(context)
    if record is None or "--help" in getattr(parameter, "opts", ()):
        return None
    name, text = record
    return f"`{name}`", _joined(text), _variable(parameter, context)


def _variable(parameter: Any, context: Any) -> str:
    name = "model" if context.info_name == "pull" and parameter.name == "name" else parameter.name
    if context.parent is None:
        return f"`{CONFIG_VARIABLE}`" if name == "config" else ""
    if name not in Settings.model_fields or name in _OWN.get(context.command_path, ()):
        return ""
    return f"`{PREFIX}{name.upper()}`"


def _joined(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _line(cells: Any) -> str:
    escaped = (re.sub(r"(?<!\\)\|", r"\\|", cell) for cell in cells)
    return f"| {' | '.join(escaped)} |"


if __name__ == "__main__":
    os.environ["COLUMNS"] = "1000"  # usage lines are wrapped here, not by the terminal
    sys.exit(main())
