"""Paths that are given in place of a checkpoint's or an adapter's folder, and what helps then."""

import re
from pathlib import Path

from glm3edge_convert.files import has_gguf_magic

_MODEL, _ADAPTER = "config.json", "adapter_config.json"
_STEP = re.compile(r"checkpoint-(\d+)")


def lookalike(path: Path, wanted: str) -> str | None:
    """What a path is, and what to do, as the end of a sentence; None if that is not known.

    Args:
        path: what was given.
        wanted: name of the configuration that the right folder has.
    """
    if path.is_file():
        if has_gguf_magic(path):
            return "it is a GGUF file, which is converted already; give it to glm3edge serve"
        return f"it is a file; give its folder, {path.parent}"
    return None if (path / wanted).is_file() else _folder(path, wanted)


def _folder(path: Path, wanted: str) -> str | None:
    if steps := _steps(path, wanted):
        return f"it contains checkpoints of a training run; give one of them, such as {steps[-1]}"
    if (path / _ADAPTER).is_file():
        return (
            "it is an adapter, not a model; if it is LoRA, glm3edge serve --lora and glm3edge "
            "convert-lora take it, and glm3edge convert --merge-lora beside the model's folder"
        )
    if (path / _MODEL).is_file():
        return (
            "it is a model, or a P-Tuning v2 prefix; glm3edge convert takes the one, glm3edge "
            "convert-prefix the other"
        )
    return None


def _steps(folder: Path, wanted: str) -> list[Path]:
    """Folders of a training's steps, in their order."""
    found = {
        int(match[1]): path
        for path in folder.glob("checkpoint-*")
        if (match := _STEP.fullmatch(path.name)) and (path / wanted).is_file()
    }
    return [found[number] for number in sorted(found)]
