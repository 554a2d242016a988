import pytest

from glm3edge.store.hub.errors import FileChoiceError, MissingFileError, NotAModelError
from glm3edge.store.hub.names import parse_name
from glm3edge.store.hub.selection import Selection, select

CHATGLM3 = (
    *(".gitattributes", "MODEL_LICENSE", "README.md", "config.json", "configuration_chatglm.py"),
    *("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"),
    *("model.safetensors.index.json", "modeling_chatglm.py", "pytorch_model.bin.index.json"),
    *("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin", "quantization.py"),
    *("special_tokens_map.json", "tokenization_chatglm.py", "tokenizer.model"),
    "tokenizer_config.json",
)
BGE = (
    *("1_Pooling/config.json", "README.md", "config.json", "config_sentence_transformers.json"),
    *("model.safetensors", "modules.json", "onnx/model.onnx", "pytorch_model.bin"),
    *("sentence_bert_config.json", "special_tokens_map.json", "tokenizer.json"),
    *("tokenizer_config.json", "vocab.txt", "imgs/a.jpg", "onnx/config.json"),
)
GGUFS = ("README.md", "m.Q4_K_M.gguf", "m.Q4_K_S.gguf", "m.Q8_0.gguf", "sub/m-f16.gguf")


def chosen(text: str, paths: tuple[str, ...], type_name: str | None = None) -> Selection:
    name = parse_name(text)
    assert name is not None
    return select(name, paths, type_name)


@pytest.mark.parametrize("text", ["o/n", "o/n:q4_k_m"])
def test_of_a_checkpoint_what_conversion_reads(text: str) -> None:
    selection = chosen(text, CHATGLM3)
    assert selection.kind == "checkpoint"
    assert set(selection.files) == {
        *("config.json", "model.safetensors.index.json", "modeling_chatglm.py"),
        *("special_tokens_map.json", "tokenization_chatglm.py", "tokenizer.model"),
        "tokenizer_config.json",
    }


def test_of_an_encoder_its_pooling_too() -> None:
    assert set(chosen("o/n", BGE).files) == {
        *("1_Pooling/config.json", "config.json", "model.safetensors", "modules.json"),
        *("sentence_bert_config.json", "special_tokens_map.json", "tokenizer.json"),
        *("tokenizer_config.json", "vocab.txt"),
    }


def test_bin_where_there_is_nothing_else() -> None:
    paths = tuple(path for path in CHATGLM3 if "safetensors" not in path)
    assert "pytorch_model.bin.index.json" in chosen("o/n", paths).files
    assert chosen("o/n", ("config.json", "pytorch_model.bin")).files[-1] == "pytorch_model.bin"


@pytest.mark.parametrize(
    ("text", "type_name", "file"),
    [
        ("o/n", None, "m.Q4_K_M.gguf"),
        ("o/n", "q8_0", "m.Q8_0.gguf"),
        ("o/n:q8_0", "f16", "m.Q8_0.gguf"),
        ("o/n:Q4_K_S", None, "m.Q4_K_S.gguf"),
        ("o/n:f16", None, "sub/m-f16.gguf"),
        ("o/n:m.Q8_0.gguf", None, "m.Q8_0.gguf"),
        ("o/n:sub/m-f16.gguf", None, "sub/m-f16.gguf"),
        ("o/n:m-f16.gguf", None, "sub/m-f16.gguf"),
        ("o/n:*q8*", None, "m.Q8_0.gguf"),
    ],
)
def test_one_gguf_file(text: str, type_name: str | None, file: str) -> None:
    assert chosen(text, GGUFS, type_name) == Selection("gguf", (file,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "o/n:q6_k",
            "no file matches o/n:q6_k: name one as o/n:FILE (m.Q4_K_M.gguf, m.Q4_K_S.gguf, ",
        ),
        ("o/n:x.gguf", "no file matches o/n:x.gguf"),
        ("o/n:*Q4*", "2 GGUF files match o/n:*Q4*"),
        ("o/n:q4", "no file matches o/n:q4"),
    ],
)
def test_none_or_several(text: str, message: str) -> None:
    with pytest.raises(FileChoiceError) as caught:
        chosen(text, GGUFS)
    assert str(caught.value).startswith(message)
    assert caught.value.files == GGUFS[1:]


def test_the_only_file_whatever_its_type() -> None:
    assert chosen("o/n", ("a.Q6_K.gguf",)) == Selection("gguf", ("a.Q6_K.gguf",))
    with pytest.raises(FileChoiceError, match="no file matches o/n: "):
        chosen("o/n", ("a.Q6_K.gguf", "b.Q5_K_M.gguf"))


def test_types_are_words() -> None:
    names = ("m_q4_0.gguf", "m-bf16.gguf", "m.IQ4_XS.gguf", "m-Q4_K_M.gguf", "q8_0/m-f32.gguf")
    for type_name, found in (("q4_0", 0), ("bf16", 1), ("iq4_xs", 2), ("q4_k_m", 3), ("f32", 4)):
        assert chosen(f"o/n:{type_name}", names).files == (names[found],)
    for type_name in ("f16", "q4_k", "k", "q8_0", "4_0"):
        with pytest.raises(FileChoiceError):
            chosen(f"o/n:{type_name}", names)


def test_a_split_model_is_one() -> None:
    parts = tuple(f"m-q8_0-0000{n}-of-00003.gguf" for n in (1, 2, 3))
    assert chosen("o/n:q8_0", parts) == Selection("gguf", parts)
    assert chosen("o/n:m-q8_0-00001-of-00003.gguf", parts) == Selection("gguf", parts)


def test_a_split_model_needs_all_parts() -> None:
    with pytest.raises(MissingFileError, match="o/n lacks a file that it names itself"):
        chosen("o/n:q8_0", ("m-q8_0-00001-of-00003.gguf", "m-q8_0-00003-of-00003.gguf"))


def test_a_gguf_file_of_the_type_goes_before_a_checkpoint() -> None:
    both = (*CHATGLM3, "m-q8_0.gguf")
    assert chosen("o/n:q8_0", both) == Selection("gguf", ("m-q8_0.gguf",))
    assert chosen("o/n", both, "q8_0") == Selection("gguf", ("m-q8_0.gguf",))
    assert chosen("o/n:q4_0", both).kind == "checkpoint"
    assert chosen("o/n", both).kind == "checkpoint"


@pytest.mark.parametrize("paths", [(), ("README.md",), ("config.json",), ("model.safetensors",)])
def test_no_model(paths: tuple[str, ...]) -> None:
    with pytest.raises(NotAModelError, match="o/n holds no GGUF file and no checkpoint"):
        chosen("o/n", paths)
