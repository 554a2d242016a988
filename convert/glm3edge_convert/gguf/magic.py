"""Check of a file's first bytes, by which GGUF files are recognized."""

from pathlib import Path

from glm3edge_convert.downloads import download_problem

_MAGIC = b"GGUF"


def gguf_problem(path: Path) -> str | None:
    """The reason why ``path`` is no GGUF file, and what to do; None if it begins as one."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except PermissionError as exc:
        return f"{exc.strerror}; check its permissions"
    except OSError as exc:
        return exc.strerror or str(exc)
    if magic == _MAGIC:
        return None
    if (problem := download_problem(path)) is not None:
        return f"it {problem}"
    return "it is not a GGUF file; give one, or a checkpoint folder"
