"""What is proposed where a pull failed: each command does the same with the model of elsewhere."""

import shlex

import pytest

from glm3edge.commands.remedies import MIRROR, remedies
from glm3edge.errors import ConfigError
from glm3edge.store.hub.errors import (
    DownloadBrokenError,
    HubError,
    HubOfflineError,
    HubUnreachableError,
    RepositoryNotFoundError,
)
from glm3edge.store.hub.names import HubName, parse_name

PROGRAM = "/opt/my tools/glm3edge"


def named(text: str) -> HubName:
    name = parse_name(text)
    assert name is not None
    return name


def unreachable(text: str) -> HubError:
    return HubUnreachableError(named(text), "https://hub", "no route")


def commands(error: Exception, line: str, **environment: str) -> list[str]:
    """The proposed commands, without the program."""
    lines = remedies(error, [PROGRAM, *shlex.split(line)], {"LANG": "C"} | environment)
    return [line.strip().replace(f"'{PROGRAM}' ", "") for line in lines[2::2]]


def test_the_model_of_another_hub_with_the_same_options() -> None:
    line = "serve chatglm3-6b:q8_0 --port 8010 --system '你 好'"
    assert commands(unreachable("chatglm3-6b:q8_0"), line) == [
        "serve modelscope:ZhipuAI/chatglm3-6b:q8_0 --port 8010 --system '你 好'",
        f"HF_ENDPOINT={MIRROR} serve zai-org/chatglm3-6b:q8_0 --port 8010 --system '你 好'",
        "serve ./chatglm3-6b --port 8010 --system '你 好'",
    ]


def test_one_that_came_from_modelscope() -> None:
    assert commands(unreachable("modelscope:chatglm3-6b"), "pull modelscope:chatglm3-6b") == [
        "pull zai-org/chatglm3-6b",
        f"HF_ENDPOINT={MIRROR} pull zai-org/chatglm3-6b",
        "serve ./chatglm3-6b",
    ]


def test_a_model_of_one_hub_alone() -> None:
    line = "serve chatglm3-6b --embedding-model BAAI/bge-m3"
    assert commands(unreachable("BAAI/bge-m3"), line) == [
        f"HF_ENDPOINT={MIRROR} serve chatglm3-6b --embedding-model BAAI/bge-m3",
        "serve chatglm3-6b --embedding-model ./bge-m3",
    ]
    assert commands(unreachable("modelscope:o/n"), "serve modelscope:o/n") == ["serve ./n"]


def test_the_mirror_is_not_proposed_to_its_users() -> None:
    found = commands(unreachable("o/n"), "serve o/n", HF_ENDPOINT=f"{MIRROR}/")
    assert found == ["serve ./n"]


def test_a_download_that_broke_off() -> None:
    error = DownloadBrokenError(named("o/n"), "a", num_bytes=1, num_bytes_total=2)
    assert commands(error, "convert o/n -o a.gguf") == [
        f"HF_ENDPOINT={MIRROR} convert o/n -o a.gguf",
        "convert ./n -o a.gguf",
    ]


def test_where_the_network_is_switched_off() -> None:
    assert commands(HubOfflineError(named("o/n")), "plan o/n") == [
        "HF_HUB_OFFLINE=0 plan o/n",
        "plan ./n",
    ]


def test_a_model_that_is_named_elsewhere() -> None:
    """In GLM3EDGE_MODEL, or in no argument that is a name."""
    assert commands(unreachable("o/n"), "serve")[-1] == "serve ./n"


@pytest.mark.parametrize(
    ("language", "heading", "comment"),
    [
        ("zh_CN.UTF-8", "可以试试下面的命令：", "  # 从魔搭（ModelScope）下载"),
        ("de_DE.UTF-8", "One of these may work:", "  # from ModelScope"),
    ],
)
def test_in_the_language_of_the_user(language: str, heading: str, comment: str) -> None:
    error = unreachable("chatglm3-6b")
    lines = remedies(error, [PROGRAM, "serve", "chatglm3-6b"], {"LC_ALL": language, "LANG": "C"})
    assert lines[:2] == [heading, comment]


@pytest.mark.parametrize(
    "error", [ConfigError("no"), RepositoryNotFoundError(named("o/n"), "https://hub")]
)
def test_nothing_where_it_would_not_help(error: Exception) -> None:
    assert remedies(error, [PROGRAM, "serve", "o/n"], {}) == []


def test_the_program_is_what_was_run() -> None:
    error = unreachable("o/n")
    module = remedies(error, ["/x/glm3edge/__main__.py", "serve", "o/n"], {})
    assert module[-1].endswith(" -m glm3edge serve ./n")
    assert remedies(error, ["glm3edge", "serve", "o/n"], {})[-1] == "  glm3edge serve ./n"
