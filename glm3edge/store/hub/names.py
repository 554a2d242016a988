"""Names of models on a hub: ``[modelscope:][owner/]name[@revision][:choice]``.

The owner may be left out of the names of ChatGLM3's own models, such as ``chatglm3-6b``.

``choice`` is a type (``q4_k_m``), the name of a GGUF file in the repository, or a pattern of one
(``*Q8_0*.gguf``).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
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
    rf"(?P<modelscope>modelscope:)?(?:(?P<owner>{_PART})/)?(?P<model>{_PART})"
    r"(?:@(?P<revision>[A-Za-z0-9_][A-Za-z0-9_./-]*))?(?::(?P<choice>[^:]+))?",
)
_GGUF = ".gguf"

CHATGLM3 = {
    "chatglm3-6b": 8192,
    "chatglm3-6b-32k": 32768,
    "chatglm3-6b-128k": 131072,
    "chatglm3-6b-base": 8192,
}
"""ChatGLM3's own models, with their tokens of context; repositories are called after them."""

# The first of a hub is what a name without an owner stands for. THUDM became zai-org, and its
# repositories moved; caches that were filled before still have them by the old name.
_OWNERS: tuple[tuple[HubKind, str], ...] = (
    ("huggingface", "zai-org"),
    ("huggingface", "THUDM"),
    ("modelscope", "ZhipuAI"),
)


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

    @property
    def context_size(self) -> int | None:
        """Tokens of context, if it is one of ChatGLM3's own models."""
        owner, _, model = self.repo.partition("/")
        return CHATGLM3.get(model) if (self.hub, owner) in _OWNERS else None

    @property
    def copies(self) -> Iterator["HubName"]:
        """This name, then the other names of the same files: ChatGLM3's own models have three."""
        yield self
        if self.context_size is None:
            return
        owner, _, model = self.repo.partition("/")
        is_default = self.revision == DEFAULT_REVISIONS[self.hub]
        for hub, other in _OWNERS:
            if (hub, other) != (self.hub, owner) and (is_default or hub == self.hub):
                revision = DEFAULT_REVISIONS[hub] if is_default else self.revision
                yield HubName(hub, f"{other}/{model}", revision, self.choice)

    def at(self, revision: str | None) -> "HubName":
        """The same name at another revision, unless that is None."""
        return self if revision is None else replace(self, revision=revision)


def parse_name(text: str) -> HubName | None:
    """Parse ``text`` as a name; None if it is none, as most paths are."""
    match = _NAME.fullmatch(text)
    if match is None:
        return None
    hub: HubKind = "modelscope" if match["modelscope"] else "huggingface"
    owner, model = match["owner"], match["model"]
    if owner is None:
        owner, model = next(o for h, o in _OWNERS if h == hub), model.lower()
        if model not in CHATGLM3:
            return None
    repo = f"{owner}/{model}"
    # The hub allows no such names; one that ends in .gguf is a missing file.
    if repo.lower().endswith((_GGUF, ".git")) or ".." in repo or "--" in repo:
        return None
    return HubName(hub, repo, match["revision"] or DEFAULT_REVISIONS[hub], match["choice"])


def did_you_mean(text: str) -> str:
    """A question in parentheses, with a space before it, if ``text`` resembles a known name."""
    owned = [
        f"{'' if hub == 'huggingface' else 'modelscope:'}{owner}/{model}"
        for hub, owner in _OWNERS
        for model in CHATGLM3
    ]
    known = {name.lower(): name for name in (*CHATGLM3, *owned)}
    close = get_close_matches(text.lower(), known, n=1, cutoff=0.75)
    return f" (did you mean {known[close[0]]}?)" if close and known[close[0]] != text else ""
