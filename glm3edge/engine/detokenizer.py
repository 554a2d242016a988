"""Detokenizer: the bytes of tokens to text, never half a character."""

import codecs


class Detokenizer:
    """Joins token pieces to text incrementally.

    A character may be spread over several byte tokens; it comes out with the last of them. Bytes
    that are no UTF-8 come out as U+FFFD.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, piece: bytes) -> str:
        """Text that ``piece`` completes."""
        return self._decoder.decode(piece)

    def finish(self) -> str:
        """U+FFFD if the text breaks off inside a character, else nothing. Ready for new text."""
        text = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return text
