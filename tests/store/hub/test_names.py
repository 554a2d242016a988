import pytest

from glm3edge.store.hub.names import HubName, parse_name


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
        *("", "chatglm3-6b", "no/such/model.gguf", "models/a.gguf", "./o/n", "/o/n", "../o", "o/"),
        *(
            "o/n:",
            "o/n:a:b",
            "o/..",
            "o/a--b",
            "o/n.git",
            "C:/models",
            "o n/m",
            "other:o/n",
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
