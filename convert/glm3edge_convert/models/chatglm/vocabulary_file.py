"""GGUF file of a checkpoint's vocabulary alone, for servers whose weights are elsewhere."""

from pathlib import Path

from gguf import GGUFWriter

from glm3edge_convert.checkpoint.config import read_config
from glm3edge_convert.gguf.header import gguf_header
from glm3edge_convert.models.chatglm.architecture import check_architecture
from glm3edge_convert.models.chatglm.hparams import ARCHITECTURE, add_hparams, parse_hparams
from glm3edge_convert.plan import model_name
from glm3edge_convert.tokenizer.vocab import read_vocabulary


def write_vocabulary(source: Path, output: Path) -> None:
    """Write the vocabulary of the checkpoint folder ``source``, which needs no weights.

    Raises:
        ConvertError: it is no ChatGLM3 checkpoint, or its tokenizer cannot be used.
    """
    config = read_config(source)
    check_architecture(source, config)
    hparams = parse_hparams(source, config)
    vocabulary = read_vocabulary(source, hparams.vocab_size)

    def add_metadata(writer: GGUFWriter) -> None:
        if name := model_name(source):
            writer.add_name(name)
        add_hparams(writer, hparams)
        vocabulary.add_to(writer)

    output.write_bytes(gguf_header(ARCHITECTURE, add_metadata, ()))
