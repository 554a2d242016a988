"""Model names as Ollama writes them: with a tag, which is ``latest`` if there is no other."""

_LATEST = ":latest"


def tagged(name: str) -> str:
    """``name`` with a tag."""
    return name if ":" in name.rpartition("/")[2] else name + _LATEST


def untagged(name: str) -> str:
    """``name`` without the tag that means nothing."""
    return name.removesuffix(_LATEST)
