"""Models whose metadata lies are refused in one line, where llama.cpp would end the process."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glm3edge.errors import ModelLoadError
from glm3edge.llama.adapter import Adapter
from glm3edge.llama.model import Model
from glm3edge.llama.model_checks import ENCODER_ARCHITECTURE
from glm3edge_convert import convert, convert_lora
from glm3edge_convert.synth.random_checkpoint import make_checkpoint
from tests.support.checkpoints import SMALL
from tests.support.encoders import make_bert, make_xlm_roberta
from tests.support.hostile_gguf import HIDDEN, Document, read_document, value_bytes
from tests.support.lora_adapters import layer_modules, make_adapter

BOOL, UINT16, UINT32, INT32, FLOAT32, STRING = 7, 2, 4, 5, 6, 8
F16, I8, Q8_K, I32 = 1, 24, 15, 26
NAN, INFINITY = float("nan"), float("inf")
TOKENS = "tokenizer.ggml.tokens"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checks")
    make_checkpoint(folder / "chat", shape=SMALL)
    make_bert(folder / "bert")
    make_xlm_roberta(folder / "xlm")
    for name in ("chat", "bert", "xlm"):
        convert(folder / name, folder / f"{name}.gguf", quant_type="f16")
    lora = make_adapter(folder / "lora", folder / "chat", layer_modules(SMALL.num_layers))
    convert_lora(lora.folder, folder / "lora.gguf")
    return folder


def with_value(document: Document, key: str, kind: int, value: Any) -> Document:
    return replace(document, values={**document.values, key.encode(): value_bytes(kind, value)})


def with_tensor(document: Document, tensor: bytes, /, **changes: Any) -> Document:
    infos = tuple(
        replace(info, **changes) if info.name == tensor else info for info in document.infos
    )
    assert infos != document.infos
    return replace(document, infos=infos)


CHAT_VALUES: list[tuple[str, int, Any, str]] = [
    *(("chatglm.block_count", UINT32, n, f"block_count is {n}") for n in (0, 513, 2**31 - 1)),
    ("chatglm.block_count", UINT32, [2, 2], r"block_count is \[2, 2\]"),
    ("chatglm.block_count", BOOL, True, "block_count is True"),
    ("chatglm.block_count", UINT32, 1, "and 1 layers"),
    *(("chatglm.context_length", UINT32, n, "context_length is") for n in (0, 2**32 - 1)),
    *(("chatglm.embedding_length", UINT32, n, "embedding_length is") for n in (0, 2**31)),
    ("chatglm.embedding_length", UINT32, 63, "do not share 63 values"),
    *(("chatglm.attention.head_count", UINT32, n, "head_count is") for n in (0, 2**20)),
    ("chatglm.attention.head_count", UINT32, 3, "do not share 64 values"),
    ("chatglm.attention.head_count_kv", UINT32, 0, "head_count_kv is 0"),
    ("chatglm.attention.head_count_kv", UINT32, 3, "in 3 groups do not share"),
    ("chatglm.attention.causal", BOOL, False, "its attention is not causal"),
    ("chatglm.embedding_length_out", UINT32, 65536, "embedding_length_out is 65536"),
    ("chatglm.attention.key_length", UINT32, 4096, "key_length is 4096"),
    *(("chatglm.rope.dimension_count", UINT32, n, f"count is {n}") for n in (0, 7, 64, 2**31)),
    *(("chatglm.rope.freq_base", FLOAT32, n, "freq_base is") for n in (0.0, -1.0, NAN, INFINITY)),
    *(
        ("chatglm.attention.layer_norm_rms_epsilon", FLOAT32, n, "rms_epsilon is")
        for n in (-1.0, NAN, INFINITY)
    ),
    ("chatglm.rope.scaling.type", STRING, HIDDEN, "rope.scaling.type is"),
    ("chatglm.expert_count", UINT32, 2000, "expert_count is 2000"),
    ("chatglm.expert_used_count", UINT32, 1, "expert_used_count is 1"),
    ("chatglm.nextn_predict_layers", UINT32, 9, "nextn_predict_layers is 9"),
    ("chatglm.vocab_size", UINT32, 2**32 - 1, "vocab_size is"),
    ("general.architecture", STRING, "llama", "its architecture is llama, and only chatglm"),
    ("general.architecture", STRING, "x" * 10_000, "its architecture is xxx"),
    ("general.architecture", UINT32, 5, "its architecture is 5"),
    ("tokenizer.ggml.model", STRING, "rwkv", "its tokenizer is rwkv"),
    ("tokenizer.ggml.model", STRING, ["llama"], "its tokenizer is"),
    (TOKENS, STRING, "text", "is not a list of strings"),
    (TOKENS, UINT32, [1, 2], "is not a list of strings"),
    (TOKENS, STRING, ["a", "b", "a"], "a token twice"),
    (TOKENS, STRING, ["", "[EMPTY_0]"], "a token twice"),
    (TOKENS, STRING, ["a", "b"], "lacks tokens for bytes"),
    ("general.alignment", UINT32, 2, "its alignment is 2"),
    ("split.count", UINT16, 2, "it is one of 2 parts"),
]


@pytest.mark.parametrize(
    ("key", "kind", "value", "reason"), CHAT_VALUES, ids=lambda part: ascii(part)[:40]
)
def test_values_of_a_chat_model(
    folder: Path, tmp_path: Path, *, key: str, kind: int, value: Any, reason: str
) -> None:
    document = with_value(read_document(folder / "chat.gguf"), key, kind, value)
    _assert_refused(document, tmp_path / "a.gguf", reason)


@pytest.mark.parametrize(
    "key",
    [
        "chatglm.block_count",
        "chatglm.attention.head_count",
        "chatglm.attention.head_count_kv",
        "chatglm.attention.layer_norm_rms_epsilon",
        "chatglm.embedding_length",
        "chatglm.feed_forward_length",
        "chatglm.rope.dimension_count",  # all of a head would be rotated
        "chatglm.rope.freq_base",  # a model for long contexts would be rotated as one for short
        "tokenizer.ggml.scores",  # pieces would be joined in any order, to wrong token ids
    ],
)
def test_values_that_are_missing(folder: Path, tmp_path: Path, key: str) -> None:
    document = read_document(folder / "chat.gguf")
    values = {k: value for k, value in document.values.items() if k != key.encode()}
    _assert_refused(replace(document, values=values), tmp_path / "a.gguf", "it lacks ")


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        (b"blk.0.attn_norm.weight", {"type": I32}, "is I32, which no weights are"),
        (b"blk.0.attn_norm.weight", {"type": F16, "shape": (128,)}, "vectors are F32"),
        (b"blk.1.attn_norm.weight", {"name": b"blk.4000000000.a"}, "and 2 layers"),
        (b"token_embd.weight", {"type": I8, "shape": (128, 1664)}, "is I8, which no weights are"),
    ],
)
def test_tensors(
    folder: Path, tmp_path: Path, name: bytes, changes: dict[str, Any], reason: str
) -> None:
    document = with_tensor(read_document(folder / "chat.gguf"), name, **changes)
    _assert_refused(document, tmp_path / "a.gguf", reason)


ENCODER_VALUES: list[tuple[str, str, int, Any, str]] = [
    ("bert", "bert.pooling_type", UINT32, 77, "pooling_type is 77"),
    ("bert", "bert.attention.layer_norm_epsilon", FLOAT32, NAN, "layer_norm_epsilon is nan"),
    ("bert", "tokenizer.ggml.token_type", INT32, [6] * 171, "its tokenizer has none"),
    ("bert", TOKENS, STRING, ["a", "b"], "it lacks the token (bos|sep)|wrong shape|cannot load"),
    ("xlm", "tokenizer.ggml.precompiled_charsmap", 0, [255] * 64, "leads outside itself"),
    ("xlm", "tokenizer.ggml.precompiled_charsmap", 0, [4], "leads outside itself"),
    ("xlm", "tokenizer.ggml.precompiled_charsmap", UINT32, [4, 0, 0], "leads outside itself"),
    ("xlm", "tokenizer.ggml.precompiled_charsmap", 0, [4, 0, 0, 0, 0, 255, 255, 0, 0], "leads"),
]


@pytest.mark.parametrize(("model", "key", "kind", "value", "reason"), ENCODER_VALUES)
def test_values_of_an_encoder(
    folder: Path, tmp_path: Path, *, model: str, key: str, kind: int, value: Any, reason: str
) -> None:
    document = with_value(read_document(folder / f"{model}.gguf"), key, kind, value)
    _assert_refused(document, tmp_path / "a.gguf", reason, ENCODER_ARCHITECTURE)


@pytest.mark.parametrize(
    ("key", "kind", "value", "reason"),
    [
        ("general.type", UINT32, 1, "general.type is not of the type string"),
        (
            "general.architecture",
            STRING,
            ["chatglm"] * 2,
            "general.architecture is not of the type string",
        ),
        ("adapter.type", FLOAT32, 1.0, "adapter.type is not of the type string"),
        ("adapter.lora.alpha", UINT32, 8, "adapter.lora.alpha is not of the type float32"),
        ("adapter.lora.alpha", FLOAT32, NAN, "adapter.lora.alpha is nan"),
    ],
)
def test_values_of_an_adapter(
    folder: Path, tmp_path: Path, *, key: str, kind: int, value: Any, reason: str
) -> None:
    document = with_value(read_document(folder / "lora.gguf"), key, kind, value)
    (tmp_path / "a.gguf").write_bytes(document.encode()[0])
    with (
        Model(folder / "chat.gguf") as model,
        pytest.raises(ModelLoadError, match=reason),
    ):
        Adapter(model, tmp_path / "a.gguf")


def _parts(folder: Path, tmp_path: Path, change: Callable[[Document], Document]) -> Path:
    """A model in two files: all in the first one, and what ``change`` makes of the second."""
    document = read_document(folder / "chat.gguf")
    first = with_value(with_value(document, "split.count", UINT16, 2), "split.no", UINT16, 0)
    first = with_value(first, "split.tensors.count", INT32, len(document.infos))
    second = change(Document({}, (), b""))
    (tmp_path / "m-00001-of-00002.gguf").write_bytes(first.encode()[0])
    (tmp_path / "m-00002-of-00002.gguf").write_bytes(second.encode()[0])
    return tmp_path / "m-00001-of-00002.gguf"


def test_parts_of_a_split_model(folder: Path, tmp_path: Path) -> None:
    path = _parts(folder, tmp_path, lambda part: with_value(part, "split.no", UINT16, 1))
    with Model(path) as model:
        assert model.num_layers == SMALL.num_layers
    path = _parts(folder, tmp_path, lambda part: with_value(part, "split.no", UINT32, 1))
    with pytest.raises(
        ModelLoadError, match=r"00002-of-00002.gguf: split.no is not of the type uint16"
    ):
        Model(path)
    path.with_name("m-00002-of-00002.gguf").unlink()
    with pytest.raises(ModelLoadError, match="No such file"):
        Model(path)


def test_one_part_of_a_split_model(folder: Path, tmp_path: Path) -> None:
    """It was called a model without an architecture."""
    path = _parts(folder, tmp_path, lambda part: with_value(part, "split.count", UINT16, 2))
    with pytest.raises(ModelLoadError, match=r"one of 2 parts; give that named \*-00001-of-00002"):
        Model(path.with_name("m-00002-of-00002.gguf"))
    path.rename(tmp_path / "renamed.gguf")
    with pytest.raises(ModelLoadError, match="it is one of 2 parts"):
        Model(tmp_path / "renamed.gguf")


@pytest.mark.parametrize(
    ("kinds", "option"),
    [
        (("adapter", "lora"), "serve --lora"),
        (("adapter", "prefix"), "serve --prefix"),
        (("imatrix", None), "convert --imatrix"),
    ],
)
def test_files_that_are_no_models(
    folder: Path, tmp_path: Path, kinds: tuple[str, str | None], option: str
) -> None:
    """They were called models that lack hyperparameters."""
    document = read_document(folder / "lora.gguf")
    for key, kind in zip(("general.type", "adapter.type"), kinds, strict=True):
        values = {name: value for name, value in document.values.items() if name != key.encode()}
        document = replace(document, values=values)
        document = document if kind is None else with_value(document, key, STRING, kind)
    _assert_refused(
        document, tmp_path / "a.gguf", f"it is not a model; give it to glm3edge {option}"
    )


def test_files_that_are_no_lora_adapters(folder: Path, tmp_path: Path) -> None:
    document = with_value(read_document(folder / "lora.gguf"), "adapter.type", STRING, "prefix")
    (tmp_path / "a.gguf").write_bytes(document.encode()[0])
    with Model(folder / "chat.gguf") as model:
        with pytest.raises(ModelLoadError, match="give it to glm3edge serve --prefix"):
            Adapter(model, tmp_path / "a.gguf")
        with pytest.raises(ModelLoadError, match="serve it as the model"):
            Adapter(model, folder / "chat.gguf")


def test_a_name_that_hides_something(folder: Path, tmp_path: Path) -> None:
    name = f"a{HIDDEN}\n b{'c' * 10_000}"
    document = with_value(read_document(folder / "chat.gguf"), "general.name", STRING, name)
    (tmp_path / "a.gguf").write_bytes(document.encode()[0])
    with Model(tmp_path / "a.gguf", vocab_only=True) as model:
        assert model.name.startswith("a bcc")
        assert len(model.name) <= 200


def _assert_refused(
    document: Document, path: Path, reason: str, architecture: str = "chatglm"
) -> None:
    path.write_bytes(document.encode()[0])
    with pytest.raises(ModelLoadError, match=reason) as caught:
        Model(path, architecture=architecture)
    assert "\n" not in str(caught.value)
    assert len(caught.value.reason) < 400
