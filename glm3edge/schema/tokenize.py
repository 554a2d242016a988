"""POST /tokenize and POST /detokenize, as llama.cpp's server has them."""

from glm3edge.schema.base import ReplyModel, RequestModel
from glm3edge.schema.tokens import TokenId


class TokenizeRequest(RequestModel):
    """A text to take apart. What spells a control token is text like any other.

    ``add_special`` puts the prefix in front that every prompt of the model begins with.
    """

    content: str
    add_special: bool | None = None
    with_pieces: bool | None = None


class TokenPiece(ReplyModel):
    """A token and its text: a string, or a list of bytes if they are no UTF-8 by themselves."""

    id: int
    piece: str | list[int]


class TokenizeReply(ReplyModel):
    """The text's tokens; with ``with_pieces`` each has its text beside it."""

    tokens: list[int] | list[TokenPiece]


class DetokenizeRequest(RequestModel):
    """Token ids to put together."""

    tokens: list[TokenId]


class DetokenizeReply(ReplyModel):
    """The text of the tokens; bytes that are no UTF-8 have become U+FFFD."""

    content: str
