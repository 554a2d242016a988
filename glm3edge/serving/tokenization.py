"""Tokenization service: text to token ids and back."""

from collections.abc import Sequence

from glm3edge.chatglm3.prompt import build_turns, decode_turns, encode_turn
from glm3edge.chatglm3.vocabulary import SpecialTokens, Vocabulary, check_token_ids, text_of
from glm3edge.errors import InvalidRequestError
from glm3edge.schema.chat import Message
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

    def encode_messages(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a conversation so far, without tools."""
        return [
            token_id
            for turn in build_turns(messages)
            for token_id in encode_turn(turn, self._vocabulary, self._special)
        ]

    def decode_messages(self, token_ids: Sequence[int], *, param: str) -> list[Message]:
        """Conversation of the ``token_ids`` in the request field ``param``.

        Raises:
            InvalidRequestError: they are none of ``encode_messages()``.
        """
        check_token_ids(token_ids, self._vocabulary, param=param)
        try:
            turns = decode_turns(token_ids, self._vocabulary, self._special)
        except InvalidRequestError as exc:
            raise InvalidRequestError(f"{param}: {exc}", param=param) from exc
        return [Message(role=turn.role.value, content=turn.content) for turn in turns]

    def _piece(self, token_id: int) -> str | list[int]:
        piece = self._vocabulary.token_name(token_id)
        try:
            return piece.decode()
        except UnicodeDecodeError:
            return list(piece)
