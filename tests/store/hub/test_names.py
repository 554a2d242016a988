import pytest

from glm3edge.store.hub.names import HubName, did_you_mean, parse_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("zai-org/chatglm3-6b", HubName("huggingface", "zai-org/chatglm3-6b", "main")),
        ("zai-org/glm:q4_k_m", HubName("huggingface", "zai-org/glm", "main", "q4_k_m")),
        ("BAAI/bge-large-zh-v1.5", HubName("huggingface", "BAAI/bge-large-zh-v1.5", "main")),
        ("o/n@v1.0", HubName("huggingface", "o/n", "v1.0")),
        ("o/n@refs/pr/1:Q8_0", HubName("huggingface", "o/n", "refs/pr/1", "Q8_0")),
        ("o/n:sub/a file.gguf", HubName("huggingface", "o/n", "main", "sub/a file.gguf")),
        ("modelscope:ZhipuAI/chatglm3-6b", HubName("modelscope", "ZhipuAI/chatglm3-6b", "master")),
        ("modelscope:o/n@v2:q8_0", HubName("modelscope", "o/n", "v2", "q8_0")),
    ],
)
def test_names(text: str, name: HubName) -> None:
    assert parse_name(text) == name
    assert str(name) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "chatglm3", "no/such/model.gguf", "models/a.gguf", "./o/n", "/o/n", "../o", "o/"),
        *(
            "o/n:",
            "o/n:a:b",
            "o/..",
            "o/a--b",
            "o/n.git",
            "C:/models",
            "o n/m",
            "other:o/n",
            "other:chatglm3-6b",
            "chatglm3-6b/",
            "chatglm3-6b-int4",
            "chatglm3-6b.gguf",
            "o/n@",
        ),
        *("模型/北京", "~/models", "o/n\n"),
    ],
)
def test_what_is_no_name(text: str) -> None:
    assert parse_name(text) is None


@pytest.mark.parametrize(
    ("choice", "file", "type_name"),
    [
        (None, None, None),
        ("Q4_K_M", None, "q4_k_m"),
        ("a.gguf", "a.gguf", None),
        ("A.GGUF", "A.GGUF", None),
        ("*q8*", "*q8*", None),
    ],
)
def test_a_choice_is_a_file_or_a_type(
    choice: str | None, file: str | None, type_name: str | None
) -> None:
    name = HubName("huggingface", "o/n", "main", choice)
    assert (name.file_choice, name.type_choice) == (file, type_name)


def test_revisions() -> None:
    name = HubName("huggingface", "o/n", "main", "q8_0")
    assert name.at(None) == name
    assert str(name.at("v1")) == "o/n@v1:q8_0"
    assert str(name.at("v1").whole) == name.at("v1").repository == "o/n@v1"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("chatglm3-6b", "zai-org/chatglm3-6b"),
        ("ChatGLM3-6B-32k:q8_0", "zai-org/chatglm3-6b-32k:q8_0"),
        ("chatglm3-6b-128k@v1", "zai-org/chatglm3-6b-128k@v1"),
        ("chatglm3-6b-base", "zai-org/chatglm3-6b-base"),
        ("modelscope:chatglm3-6b", "modelscope:ZhipuAI/chatglm3-6b"),
    ],
)
def test_an_owner_may_be_left_out(text: str, name: str) -> None:
    assert str(parse_name(text)) == name


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("chatglm3-6b:q8_0", ["THUDM/chatglm3-6b:q8_0", "modelscope:ZhipuAI/chatglm3-6b:q8_0"]),
        ("THUDM/chatglm3-6b@v1", ["zai-org/chatglm3-6b@v1"]),
        ("modelscope:chatglm3-6b", ["zai-org/chatglm3-6b", "THUDM/chatglm3-6b"]),
        ("someone/chatglm3-6b", []),
        ("THUDM/chatglm2-6b", []),
    ],
)
def test_a_model_has_several_names(text: str, names: list[str]) -> None:
    name = parse_name(text)
    assert name is not None
    assert list(map(str, name.copies)) == [str(name), *names]


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("chatglm3", "chatglm3-6b"),
        ("chatglm3-6", "chatglm3-6b"),
        ("ChatGLM-6B-32K", "chatglm3-6b-32k"),
        ("zai-org/chatglm3-6B", "zai-org/chatglm3-6b"),
        ("thudm/chatglm3-6b-base", "THUDM/chatglm3-6b-base"),
        ("modelscope:ZhipuAI/chatglm-6b", "modelscope:ZhipuAI/chatglm3-6b"),
    ],
)
def test_what_a_mistyped_name_resembles(text: str, known: str) -> None:
    assert did_you_mean(text) == f" (did you mean {known}?)"


@pytest.mark.parametrize("text", ["", "o/n", "zai-org/chatglm3-6b", "model.gguf", "Qwen/Qwen3-8B"])
def test_what_resembles_none(text: str) -> None:
    assert did_you_mean(text) == ""
