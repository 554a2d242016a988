"""Content of a message: a string, or a list of text parts.

A tag in angle brackets names the branch of a union; error messages leave it out.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Tag

from glm3edge.schema.base import RequestModel
from glm3edge.schema.checks import kind_of, refusal

_INSTEAD = {
    "image_url": "describe the image in a text part",
    "input_audio": "send what is said as a text part",
    "file": "send the file's text as a text part",
}


class TextPart(RequestModel):
    """A text part of a message."""

    type: Literal["text"]
    text: str


class RefusalPart(RequestModel):
    """An earlier refusal of the assistant. The model reads it as text."""

    type: Literal["refusal"]
    refusal: str

    @property
    def text(self) -> str:
        """Text of the refusal."""
        return self.refusal


def _refuse_unreadable(part: object) -> object:
    kind = kind_of(part)
    if kind not in ("text", "refusal"):
        instead = _INSTEAD.get(str(kind), 'send {"type": "text", "text": ...}')
        raise refusal(f"ChatGLM3 reads text only, not a part of type {kind!r}: {instead}")
    return part


def _part_tag(part: object) -> str:
    return f"<{kind_of(part)}>"


def _content_tag(content: object) -> str:
    return "<parts>" if isinstance(content, list) else "<string>"


Part = Annotated[
    Annotated[TextPart, Tag("<text>")] | Annotated[RefusalPart, Tag("<refusal>")],
    Discriminator(_part_tag),
    BeforeValidator(_refuse_unreadable),
]
Content = Annotated[
    Annotated[str, Tag("<string>")] | Annotated[list[Part], Tag("<parts>")],
    Discriminator(_content_tag),
]


def text_of(content: str | list[TextPart | RefusalPart] | None) -> str:
    """Text of ``content``, as one string."""
    if isinstance(content, list):
        return "".join(part.text for part in content)
    return content or ""
