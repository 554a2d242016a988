"""``glm3edge config``: each setting's value, and where it comes from."""

import re
from pathlib import Path
from typing import get_type_hints

from glm3edge.commands.options import AsJson
from glm3edge.commands.serve.options import ServeOptions
from glm3edge.commands.tables import new_table, print_table
from glm3edge.config.settings import SECRETS, Settings, load_settings
from glm3edge.config.sources import as_text, config_path, find_given, key_of
from glm3edge_convert.printable import json_text, one_line

_DEFAULT = re.compile(r"(?:\[|Default: )([^][]+?)(?:\]|\.)$")
"""The end of an option's help, where its default is."""


def config_command(*, as_json: AsJson = False) -> None:
    """Show the settings of glm3edge serve, which other commands share, and where each comes from.

    An option wins over its variable, the variable over the configuration file. They have the same
    names: --ctx-size 8192, GLM3EDGE_CTX_SIZE=8192, and in the file the line ctx-size = 8192. A list
    is separated by commas, and is --rpc A --rpc B as an option; in the file it is ["A", "B"], too.
    """
    settings = load_settings()
    given = find_given({})
    places = {
        name: given[name].place if name in given else "default" for name in Settings.model_fields
    }
    path = config_path()
    if as_json:
        values = settings.model_dump(mode="json")
        entries = {key_of(name): {"value": values[name], "from": places[name]} for name in places}
        print(json_text({"file": str(path), "settings": entries}, indent=2))
        return
    print(one_line(f"file  {path}{'' if path.exists() else ' (there is none yet)'}") + "\n")
    defaults = _default_texts()
    table = new_table("SETTING", "VALUE", "FROM")
    for name, place in places.items():
        if name not in given:
            text = defaults[name]
        elif name in SECRETS:
            text = "(not shown)"
        else:
            value = getattr(settings, name)  # checked, but sizes have lost their units
            text = _shown(value if isinstance(value, bool | tuple) else given[name].value)
        table.add_row(key_of(name), text, place)
    print_table(table)


def _default_texts() -> dict[str, str]:
    """Default of each setting, in the words of its option's help."""
    hints = get_type_hints(ServeOptions, include_extras=True)
    found = {}
    for name, field in Settings.model_fields.items():
        match = _DEFAULT.search(hints[name].__metadata__[0].help)
        default = field.get_default(call_default_factory=True)
        is_path = isinstance(default, Path)  # by the platform
        found[name] = match[1] if match and not is_path else _shown(default) or "none"
    return found


def _shown(value: object) -> str:
    return ("off", "on")[value] if isinstance(value, bool) else as_text(value)
