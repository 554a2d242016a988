"""Files of a vocabulary alone, as llama.cpp reads them."""

import shutil
from pathlib import Path

import pytest

from glm3edge.llama.model import Model
from glm3edge_convert.errors import ConvertError
from glm3edge_convert.models.chatglm.vocabulary_file import write_vocabulary

TEXTS = ("你好，世界 42 😀", "philosophy sop eop", "<|user|>\n x", "")


def test_it_tokenizes_as_the_whole_model(
    tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path
) -> None:
    """Of a folder without weights."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    for name in ("config.json", "tokenizer.model"):
        shutil.copy(tiny_checkpoint / name, folder)
    write_vocabulary(folder, tmp_path / "vocabulary.gguf")
    with Model(tmp_path / "vocabulary.gguf", vocab_only=True) as model:
        assert (model.name, model.vocab_size) == ("tiny", tiny_model.vocab_size)
        ids = range(model.vocab_size)
        assert [model.entry(one) for one in ids] == [tiny_model.entry(one) for one in ids]
        for text in TEXTS:
            assert model.tokenize(text) == tiny_model.tokenize(text)


def test_what_is_no_checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ConvertError):
        write_vocabulary(tmp_path, tmp_path / "vocabulary.gguf")
    shutil.copy(tiny_checkpoint / "config.json", tmp_path)
    with pytest.raises(ConvertError, match=r"tokenizer\.model"):
        write_vocabulary(tmp_path, tmp_path / "vocabulary.gguf")
    assert not (tmp_path / "vocabulary.gguf").exists()
