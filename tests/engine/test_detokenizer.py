from hypothesis import given
from hypothesis import strategies as st

from glm3edge.engine.detokenizer import Detokenizer


@given(st.text(), st.integers(1, 4))
def test_text_survives_any_split(text: str, size: int) -> None:
    data = text.encode("utf-8", errors="replace")
    detokenizer = Detokenizer()
    pieces = [detokenizer.feed(data[i : i + size]) for i in range(0, len(data), size)]
    assert "".join(pieces) + detokenizer.finish() == data.decode()
    assert all("\ufffd" not in piece for piece in pieces) or "\ufffd" in data.decode()


@given(st.binary())
def test_any_bytes_become_text(data: bytes) -> None:
    detokenizer = Detokenizer()
    text = "".join(detokenizer.feed(bytes([byte])) for byte in data) + detokenizer.finish()
    assert text == data.decode("utf-8", errors="replace")


def test_finish_starts_afresh() -> None:
    detokenizer = Detokenizer()
    assert detokenizer.feed("好".encode()[:2]) == ""
    assert detokenizer.finish() == "\ufffd"
    assert detokenizer.feed("好".encode()) == "好"
