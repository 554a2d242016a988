"""Tokenization service: text to token ids and back."""

from collections.abc import Sequence

from glm3edge.chatglm3.prompt import build_turns, decode_turns, encode_turn
from glm3edge.chatglm3.vocabulary import SpecialTokens, Vocabulary, check_token_ids, text_of
from glm3edge.errors import InvalidRequestError
from glm3edge.schema.chat import Message
from glm3edge.schema.tokenize import (
    DetokenizeReply,
    DetokenizeRequest,
    TokenizeRequest,
    TokenPiece,
)
from glm3edge.serving.text_limits import TextMeter

_SLICE_TOKENS = 2**16  # joined without a pause for other threads


class TokenizationService:
    """Tokenization with the model's vocabulary. It needs no engine, and blocks for long texts."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._meter = TextMeter(vocabulary)
        self._special = SpecialTokens.of(vocabulary)

    def tokenize(self, request: TokenizeRequest) -> bytes:
        """Tokens of a text: JSON of a ``TokenizeReply``, which has a million tokens at the worst.

        Raises:
            InvalidRequestError: it is too long.
        """
        self._meter.check([request.content], param="content")
        prefix = self._special.prefix if request.add_special else ()
        ids = [*prefix, *self._vocabulary.tokenize(request.content)]
        items = {n: str(n).encode() for n in set(ids)}
        if request.with_pieces:
            items = {n: self._json_piece(n) for n in items}
        slices = range(0, len(ids), _SLICE_TOKENS)
        joined = (b",".join([items[n] for n in ids[i : i + _SLICE_TOKENS]]) for i in slices)
        return b'{"tokens":[%b]}' % b",".join(joined)

    def count(self, text: str) -> int:
        """Number of tokens of a text."""
        return len(self._vocabulary.tokenize(text))

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

    def _json_piece(self, token_id: int) -> bytes:
        return TokenPiece(id=token_id, piece=self._piece(token_id)).model_dump_json().encode()

    def _piece(self, token_id: int) -> str | list[int]:
        piece = self._vocabulary.token_name(token_id)
        try:
            return piece.decode()
        except UnicodeDecodeError:
            return list(piece)
