"""Types of token ids, and of texts that may be given as token ids, in requests."""

from typing import Annotated

from pydantic import Discriminator, Field, Tag

from glm3edge.limits import MAX_TEXTS

TokenId = Annotated[int, Field(ge=0, strict=True)]  # strict: there may be half a million
TokenIds = Annotated[list[TokenId], Field(min_length=1)]
TokenIdText = Annotated[str, Field(pattern=r"^\d{1,9}$")]


def _texts_tag(value: object) -> str:
    match value:
        case [int() | float(), *_]:
            return "<token ids>"
        case [list(), *_]:
            return "<lists of token ids>"
        case list():
            return "<texts>"
    return "<text>"


Texts = Annotated[
    Annotated[str, Tag("<text>")]
    | Annotated[TokenIds, Tag("<token ids>")]
    | Annotated[list[str], Field(min_length=1, max_length=MAX_TEXTS), Tag("<texts>")]
    | Annotated[
        list[TokenIds], Field(min_length=1, max_length=MAX_TEXTS), Tag("<lists of token ids>")
    ],
    Discriminator(_texts_tag),
]
"""One text or several, each as a string or as token ids."""
