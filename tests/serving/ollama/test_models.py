"""Models as Ollama describes them."""

from dataclasses import replace

import pytest

from glm3edge.schema.models import ModelCard
from glm3edge.schema.ollama import ShowReply
from glm3edge.serving.model_file import ModelFile
from glm3edge.serving.ollama import models
from glm3edge.serving.ollama.names import tagged, untagged

FILE = ModelFile(
    architecture="chatglm",
    quant_type="q4_k_m",
    num_params=6_243_584_000,
    num_layers=28,
    embedding_length=4096,
    num_bytes=3_800_000_000,
    modified=1_700_000_000.5,
    fingerprint="abc",
    num_device_bytes=7,
)
ENCODER = replace(FILE, architecture="bert", num_params=326_000_000, fingerprint="def")
CARDS = [
    ModelCard(id="chatglm3-6b", created=1, context_length=8192),
    ModelCard(id="poet", created=1, parent="chatglm3-6b", context_length=8192),
    ModelCard(id="bge", created=1, context_length=512),
    ModelCard(id="unknown", created=1, context_length=512),
]
FILES = {"chatglm3-6b": FILE, "bge": ENCODER}


def shown(name: str) -> ShowReply | None:
    return models.show(models.served_models(CARDS, FILES), name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("m", "m:latest"),
        ("m:q4", "m:q4"),
        ("org/m", "org/m:latest"),
        ("host:80/m", "host:80/m:latest"),
    ],
)
def test_tags(name: str, expected: str) -> None:
    assert tagged(name) == expected
    assert tagged(expected) == expected
    assert untagged(expected) == name


def test_the_list_has_what_is_known() -> None:
    model, adapter, encoder = models.tag_list(models.served_models(CARDS, FILES)).models
    assert (model.name, model.model) == ("chatglm3-6b:latest", "chatglm3-6b:latest")
    assert model.details.model_dump() == {
        "parent_model": "",
        "format": "gguf",
        "family": "chatglm",
        "families": ["chatglm"],
        "parameter_size": "6.2B",
        "quantization_level": "Q4_K_M",
    }
    assert model.model_dump(mode="json")["modified_at"] == "2023-11-14T22:13:20.500000Z"
    assert adapter.details.parent_model == "chatglm3-6b:latest"
    assert len({model.digest, adapter.digest, encoder.digest}) == 3
    assert len(model.digest) == 64
    assert model.capabilities == adapter.capabilities == ["completion", "tools"]
    assert (encoder.capabilities, encoder.details.parameter_size) == (["embedding"], "326.0M")


def test_all_are_loaded() -> None:
    running = models.running_list(models.served_models(CARDS, FILES)).models
    assert [(m.name, m.context_length, m.size_vram) for m in running] == [
        ("chatglm3-6b:latest", 8192, 7),
        ("poet:latest", 8192, 7),
        ("bge:latest", 512, 7),
    ]


@pytest.mark.parametrize("name", ["chatglm3-6b", "chatglm3-6b:latest"])
def test_details(name: str) -> None:
    reply = shown(name)
    assert reply is not None
    info = reply.model_info
    # VS Code and others look for the context length under the architecture's name.
    assert info[f"{info['general.architecture']}.context_length"] == 8192
    assert info["general.basename"] == "chatglm3-6b"
    # Continue splits each line in two; LiteLLM looks for tools in the template.
    assert all(len(line.split()) == 2 for line in reply.parameters.split("\n"))
    assert ["num_ctx", "8192"] in [line.split() for line in reply.parameters.split("\n")]
    assert "tools" in reply.template.lower()
    assert ".Suffix" not in reply.template
    assert reply.modelfile.startswith("FROM chatglm3-6b:latest\n")


def test_details_of_an_encoder() -> None:
    reply = shown("bge")
    assert reply is not None
    assert reply.parameters.split() == ["num_ctx", "512"]
    assert "Tools" not in reply.template


@pytest.mark.parametrize("name", ["", "other", "chatglm3-6b:q4", "unknown", "poet:latest:latest"])
def test_unknown_names(name: str) -> None:
    assert shown(name) is None
