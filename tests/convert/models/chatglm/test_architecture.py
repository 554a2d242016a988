"""ChatGLM3 and its fine-tunes are accepted under any name; its relatives are refused by name."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from glm3edge_convert.errors import (
    AmbiguousArchitectureError,
    NotACheckpointError,
    UnsupportedArchitectureError,
)
from glm3edge_convert.models.chatglm.architecture import check_architecture
from glm3edge_convert.synth.layout import CONFIG, TOKENIZER_CONFIG

CHATGLM2_CODE = 'special_tokens = ["[MASK]", "[gMASK]", "[sMASK]", "sop", "eop"]\n'
CHATGLM3_CODE = CHATGLM2_CODE + 'roles = ["<|system|>", "<|user|>", "<|assistant|>"]\n'
TIKTOKEN = b"".join(base64.b64encode(bytes([i])) + b" %d\n" % i for i in range(256))
CHATGLM3 = CONFIG | {"seq_length": 8192, "padded_vocab_size": 65024}

Files = dict[str, str | bytes]

ACCEPTED: dict[str, tuple[dict[str, Any], Files]] = {
    "official": ({}, {}),
    "with its code": ({}, {"tokenization_chatglm.py": CHATGLM3_CODE}),
    "renamed": ({"_name_or_path": "/home/me/output/checkpoint-3000"}, {}),
    "saved from a ChatGLM2 folder": (
        {"_name_or_path": "THUDM/chatglm2-6b"},
        {"tokenization_chatglm.py": CHATGLM3_CODE},
    ),
    "32k": ({"seq_length": 32768, "rope_ratio": 50}, {}),
    "128k": ({"seq_length": 131072, "rope_ratio": 500}, {}),
    "32768 positions, with its code": (
        {"seq_length": 32768},
        {"tokenization_chatglm.py": CHATGLM3_CODE},
    ),
    "32768 positions, role tokens listed": (
        {"seq_length": 32768},
        {"tokenizer_config.json": '{"additional_special_tokens": ["<|assistant|>"]}'},
    ),
    "round prompts beside role tokens": (
        {},
        {"tokenization_chatglm.py": CHATGLM3_CODE, "modeling_chatglm.py": '"[Round {}]"'},
    ),
    "more tokens": ({"padded_vocab_size": 80000}, {}),
}

REFUSED: dict[str, tuple[dict[str, Any], Files, str]] = {
    "ChatGLM2": (
        {"seq_length": 32768},
        {"tokenization_chatglm.py": CHATGLM2_CODE + 'f"[Round {i}]"'},
        "ChatGLM2",
    ),
    "ChatGLM2, renamed": (
        {"seq_length": 8192, "_name_or_path": "THUDM/chatglm3-6b"},
        {"tokenization_chatglm.py": CHATGLM2_CODE},
        "ChatGLM2",
    ),
    "ChatGLM2, model code only": ({}, {"modeling_chatglm.py": '"[Round {}]"'}, "ChatGLM2"),
    "GLM-4 by its tokenizer": ({}, {"tokenizer.model": TIKTOKEN}, "GLM-4"),
    "GLM-4 by its vocabulary": ({"padded_vocab_size": 151552}, {}, "GLM-4"),
    "GLM-4 in transformers": ({"model_type": "glm4"}, {}, "GLM-4"),
    "ChatGLM-6B": ({"position_encoding_2d": True}, {}, "ChatGLM-6B"),
    "ChatGLM-6B, early": ({"inner_hidden_size": 16384}, {}, "ChatGLM-6B"),
    "another": ({"model_type": "llama"}, {}, "a llama model"),
    "nameless": ({"model_type": None}, {}, "a nameless model"),
}


def _write(folder: Path, files: Files) -> None:
    defaults: Files = {
        "tokenizer.model": b"\x0a\x0e\x0a\x05<unk>",
        "tokenizer_config.json": json.dumps(TOKENIZER_CONFIG),
    }
    for name, content in (defaults | files).items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(data)


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(case: str, tmp_path: Path) -> None:
    changes, files = ACCEPTED[case]
    _write(tmp_path, files)
    check_architecture(tmp_path, CHATGLM3 | changes)


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, tmp_path: Path) -> None:
    changes, files, architecture = REFUSED[case]
    _write(tmp_path, files)
    with pytest.raises(UnsupportedArchitectureError, match="not ChatGLM3") as info:
        check_architecture(tmp_path, CHATGLM3 | changes)
    assert info.value.architecture == architecture


def test_what_may_be_either_is_asked_about(tmp_path: Path) -> None:
    """ChatGLM3 in a folder without Python files was called ChatGLM2."""
    _write(tmp_path, {})
    with pytest.raises(AmbiguousArchitectureError, match=r"add tokenization_chatglm\.py"):
        check_architecture(tmp_path, CHATGLM3 | {"seq_length": 32768})


def test_code_is_not_run(tmp_path: Path) -> None:
    _write(tmp_path, {"tokenization_chatglm.py": CHATGLM3_CODE + "raise SystemExit(1)"})
    check_architecture(tmp_path, CHATGLM3)


def test_the_tokenizer_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(NotACheckpointError, match=r"tokenizer\.model is missing"):
        check_architecture(tmp_path, CHATGLM3)
