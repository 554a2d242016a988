"""Models of POST /tokenize and POST /detokenize, as llama.cpp's server has them."""

from glm3edge.schema.base import ReplyModel, RequestModel
from glm3edge.schema.tokens import TokenId


class TokenizeRequest(RequestModel):
    """A text to tokenize. Text that spells a control token is not turned into one.

    ``add_special`` adds the prefix that every prompt of the model begins with.
    """

    content: str
    add_special: bool | None = None
    with_pieces: bool | None = None


class TokenPiece(ReplyModel):
    """A token and its text: a string, or a list of bytes if it is not valid UTF-8 by itself."""

    id: int
    piece: str | list[int]


class TokenizeReply(ReplyModel):
    """Tokens of the text; with ``with_pieces`` each has its own text."""

    tokens: list[int] | list[TokenPiece]


class DetokenizeRequest(RequestModel):
    """Token ids to detokenize."""

    tokens: list[TokenId]


class DetokenizeReply(ReplyModel):
    """Text of the tokens; bytes that are not valid UTF-8 become U+FFFD."""

    content: str
