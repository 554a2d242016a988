"""Whether a file can be a GGUF file at all: its first bytes, and what else it may be."""

from pathlib import Path

from glm3edge_convert.foreign import foreign

_MAGIC = b"GGUF"


def gguf_problem(path: Path) -> str | None:
    """What keeps ``path`` from being a GGUF file, and what to do; None for one that begins so."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except PermissionError as exc:
        return f"{exc.strerror}; check its permissions"
    except OSError as exc:
        return exc.strerror or str(exc)
    if magic == _MAGIC:
        return None
    if (problem := foreign(path)) is not None:
        return f"it {problem}"
    return "it is not a GGUF file; give one, or a checkpoint folder"
