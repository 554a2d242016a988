"""Tokenization service: text to token ids and back."""

from glm3edge.chatglm3.vocabulary import SpecialTokens, Vocabulary, check_token_ids, text_of
from glm3edge.schema.tokenize import (
    DetokenizeReply,
    DetokenizeRequest,
    TokenizeReply,
    TokenizeRequest,
    TokenPiece,
)


class TokenizationService:
    """Tokenization with the model's vocabulary. It needs no engine, and blocks for long texts."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._special = SpecialTokens.of(vocabulary)

    def tokenize(self, request: TokenizeRequest) -> TokenizeReply:
        """Tokens of a text."""
        prefix = self._special.prefix if request.add_special else ()
        ids = [*prefix, *self._vocabulary.tokenize(request.content)]
        if not request.with_pieces:
            return TokenizeReply(tokens=ids)
        return TokenizeReply(tokens=[TokenPiece(id=n, piece=self._piece(n)) for n in ids])

    def detokenize(self, request: DetokenizeRequest) -> DetokenizeReply:
        """Text of tokens, with control tokens by their names.

        The space that the tokenizer puts before a text is removed, so that this reverses
        ``tokenize()``; llama.cpp's server leaves it there.

        Raises:
            InvalidRequestError: there is no such token.
        """
        check_token_ids(request.tokens, self._vocabulary, param="tokens")
        content = text_of(request.tokens, self._vocabulary, with_control_tokens=True)
        return DetokenizeReply(content=content)

    def _piece(self, token_id: int) -> str | list[int]:
        piece = self._vocabulary.token_name(token_id)
        try:
            return piece.decode()
        except UnicodeDecodeError:
            return list(piece)
