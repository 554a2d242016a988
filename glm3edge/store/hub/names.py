"""Names of models on a hub: ``[modelscope:]owner/name[@revision][:choice]``.

``choice`` is a type (``q4_k_m``), the name of a GGUF file in the repository, or a pattern of one
(``*Q8_0*.gguf``).
"""

import re
from dataclasses import dataclass, replace
from typing import Literal

HubKind = Literal["huggingface", "modelscope"]

DEFAULT_REVISIONS: dict[HubKind, str] = {"huggingface": "main", "modelscope": "master"}


@dataclass(frozen=True)
class Variables:
    """Environment variables of a hub: its address, its cache folder, the user's token."""

    endpoint: str
    cache: str
    token: str


VARIABLES: dict[HubKind, Variables] = {
    "huggingface": Variables("HF_ENDPOINT", "HF_HOME", "HF_TOKEN"),
    "modelscope": Variables("MODELSCOPE_ENDPOINT", "MODELSCOPE_CACHE", "MODELSCOPE_API_TOKEN"),
}

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_NAME = re.compile(
    rf"(?P<modelscope>modelscope:)?(?P<repo>{_PART}/{_PART})"
    r"(?:@(?P<revision>[A-Za-z0-9_][A-Za-z0-9_./-]*))?(?::(?P<choice>[^:]+))?",
)
_GGUF = ".gguf"


@dataclass(frozen=True)
class HubName:
    """A repository at a revision, and the file or type to take of it."""

    hub: HubKind
    repo: str
    revision: str
    choice: str | None = None

    def __str__(self) -> str:
        """The name as a user writes it, without defaults."""
        return f"{self.repository}:{self.choice}" if self.choice else self.repository

    @property
    def repository(self) -> str:
        """The name without the choice: hub, repository and revision."""
        prefix = "" if self.hub == "huggingface" else f"{self.hub}:"
        is_default = self.revision == DEFAULT_REVISIONS[self.hub]
        return f"{prefix}{self.repo}{'' if is_default else f'@{self.revision}'}"

    @property
    def file_choice(self) -> str | None:
        """The choice, if it is a file name or a pattern; else None."""
        choice = self.choice or ""
        is_file = choice.lower().endswith(_GGUF) or any(mark in choice for mark in "*?[")
        return choice if is_file else None

    @property
    def type_choice(self) -> str | None:
        """The choice in lower case, if it is a type; else None."""
        return self.choice.lower() if self.choice and not self.file_choice else None

    @property
    def variables(self) -> Variables:
        """Environment variables of its hub."""
        return VARIABLES[self.hub]

    @property
    def whole(self) -> "HubName":
        """The same name without the choice."""
        return replace(self, choice=None)

    def at(self, revision: str | None) -> "HubName":
        """The same name at another revision, unless that is None."""
        return self if revision is None else replace(self, revision=revision)


def parse_name(text: str) -> HubName | None:
    """Parse ``text`` as a name; None if it is none, as most paths are."""
    match = _NAME.fullmatch(text)
    if match is None:
        return None
    repo = match["repo"]
    # The hub allows no such names; one that ends in .gguf is a missing file.
    if repo.lower().endswith((_GGUF, ".git")) or ".." in repo or "--" in repo:
        return None
    hub: HubKind = "modelscope" if match["modelscope"] else "huggingface"
    return HubName(hub, repo, match["revision"] or DEFAULT_REVISIONS[hub], match["choice"])
