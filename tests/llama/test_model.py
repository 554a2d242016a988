import gc
from pathlib import Path

import pytest

from glm3edge.core import Span
from glm3edge.errors import ModelLoadError, ResourceClosedError
from glm3edge.llama.context import Context
from glm3edge.llama.model import Model, TokenEntry


def test_metadata(tiny_model: Model, tiny_gguf: Path) -> None:
    assert tiny_model.name == "tiny"
    assert tiny_model.context_length == 1024
    assert tiny_model.embedding_length == 256
    assert tiny_model.metadata("general.architecture") == "chatglm"
    assert tiny_model.metadata("no.such.key") is None
    assert 0 < tiny_model.num_bytes < tiny_gguf.stat().st_size
    assert tiny_model.num_params > 1_000_000


@pytest.mark.parametrize(("kv_type", "bytes_of_32"), [("f16", 64), ("q8_0", 34), ("q4_0", 18)])
def test_key_value_bytes(tiny_model: Model, kv_type: str, bytes_of_32: int) -> None:
    """4 layers of 2 groups of 64, keys and values."""
    num_values = 1024 * 4 * 2 * 64 * 2
    assert tiny_model.kv_cache_bytes(1024, kv_type) == num_values // 32 * bytes_of_32


def test_pieces_join_to_the_text(tiny_model: Model) -> None:
    text = "你好，世界 😀\n\tdef f(x): return x"
    ids = tiny_model.tokenize(text)
    assert b"".join(map(tiny_model.piece, ids)).decode() == " " + text
    assert tiny_model.tokenize("") == []


def test_control_tokens_have_no_text(tiny_model: Model) -> None:
    user = tiny_model.control_token_id("<|user|>")
    assert user is not None
    assert tiny_model.piece(user) == b""
    assert user not in tiny_model.tokenize("<|user|>")
    assert tiny_model.control_token_id("你好") is None
    assert tiny_model.control_token_id("<|nobody|>") is None


@pytest.mark.parametrize("token_id", [-1, 1_000_000])
def test_unknown_token_ids(tiny_model: Model, token_id: int) -> None:
    with pytest.raises(IndexError, match="not in 0"):
        tiny_model.piece(token_id)


def test_half_a_surrogate_pair_is_text(tiny_model: Model) -> None:
    assert tiny_model.tokenize("\ud800") == tiny_model.tokenize("?")


def test_null_characters_are_text(tiny_model: Model) -> None:
    ids = tiny_model.tokenize("a\0b")
    assert b"".join(map(tiny_model.piece, ids)) == b" a\0b"


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="No such file") as caught:
        Model(tmp_path / "none.gguf")
    assert caught.value.path == tmp_path / "none.gguf"


def test_not_a_gguf_file(tmp_path: Path) -> None:
    path = tmp_path / "text.gguf"
    path.write_text("hello")
    with pytest.raises(ModelLoadError, match="not a GGUF file"):
        Model(path)


@pytest.mark.parametrize("kept", [8, 200, 50_000, 1_000_000])
def test_a_truncated_file(tiny_gguf: Path, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(tiny_gguf.read_bytes()[:kept])
    with pytest.raises(ModelLoadError) as caught:
        Model(path)
    assert caught.value.reason
    assert "\n" not in str(caught.value)


def test_another_architecture(tiny_gguf: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.gguf"
    path.write_bytes(tiny_gguf.read_bytes().replace(b"chatglm", b"chatgln"))
    with pytest.raises(
        ModelLoadError, match="its architecture is chatgln, and only chatglm chats here"
    ):
        Model(path)


def test_closing_twice(tiny_gguf: Path) -> None:
    model = Model(tiny_gguf)
    model.close()
    model.close()
    with pytest.raises(ResourceClosedError):
        model.tokenize("x")
    with pytest.raises(ResourceClosedError):
        _ = model.context_length


def test_closing_under_a_context(tiny_gguf: Path) -> None:
    """The weights stay until the context goes."""
    model = Model(tiny_gguf)
    context = Context(model, context_size=64, batch_size=8, num_sequences=1, num_threads=1)
    model.close()
    assert context.decode([Span(0, 0, [1, 2, 3], wants_output=True)]) == [2]
    context.close()
    context.close()
    with pytest.raises(ResourceClosedError):
        Context(model, context_size=64, batch_size=8, num_sequences=1, num_threads=1)
    gc.collect()


def test_entries(tiny_model: Model) -> None:
    kinds = [tiny_model.entry(token_id).kind for token_id in range(tiny_model.vocab_size)]
    assert kinds[:3] == ["unknown", "control", "control"]
    assert kinds.count("byte") == 256
    assert "unused" in kinds
    user = tiny_model.control_token_id("<|user|>")
    assert user is not None
    assert tiny_model.entry(user) == TokenEntry("<|user|>", "control", 0.0)
    first, second = (tiny_model.entry(3 + 256 + number) for number in range(2))
    assert (first.kind, second.kind) == ("normal", "normal")
    assert first.score > second.score
    with pytest.raises(IndexError):
        tiny_model.entry(tiny_model.vocab_size)
