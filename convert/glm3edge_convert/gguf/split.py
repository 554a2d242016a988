"""Parts of a split model, as llama.cpp names them: ``NAME-00001-of-00003.gguf``."""

import re
from pathlib import Path

_PART = re.compile(r"(?P<stem>.+)-\d{5}-of-(?P<count>\d{5})\.gguf")


def parts_of(path: Path) -> list[Path]:
    """All parts of the model that a file is a part of by its name; else the file alone."""
    match = _PART.fullmatch(path.name)
    if match is None:
        return [path]
    stem, count = match["stem"], int(match["count"])
    return [
        path.with_name(f"{stem}-{number:05d}-of-{count:05d}.gguf") for number in range(1, count + 1)
    ]
