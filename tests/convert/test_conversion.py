"""convert() as a function: metadata, progress, summary, refusals before any work."""

from pathlib import Path

import gguf
import pytest

from glm3edge_convert import convert
from glm3edge_convert.errors import ConvertError, OutputExistsError, UnknownTypeError
from glm3edge_convert.plan import model_name
from glm3edge_convert.progress import Progress
from glm3edge_convert.tokenizer.vocab import SPECIAL_TOKENS
from tests.support.checkpoints import edit_json, reshard


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.gguf"


def test_metadata(small_checkpoint: Path, output: Path) -> None:
    convert(small_checkpoint, output, quant_type="q8_0", threads=1)
    fields = gguf.GGUFReader(output).fields
    found = {key: field.contents() for key, field in fields.items()}
    num_tokens = len(found["tokenizer.ggml.tokens"])
    num_pieces = found["tokenizer.ggml.tokens"].index(SPECIAL_TOKENS[0])
    expected = {
        "general.architecture": "chatglm",
        "general.name": "checkpoint",
        "general.type": "model",
        "general.file_type": 7,
        "general.quantization_version": 2,
        "chatglm.context_length": 256,
        "chatglm.embedding_length": 64,
        "chatglm.feed_forward_length": 256,
        "chatglm.block_count": 2,
        "chatglm.attention.head_count": 4,
        "chatglm.attention.head_count_kv": 2,
        "chatglm.attention.layer_norm_rms_epsilon": pytest.approx(1e-5),
        "chatglm.rope.dimension_count": 8,
        "chatglm.rope.freq_base": 10000.0,
        "chatglm.vocab_size": num_tokens,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "chatglm-spm",
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.eot_token_id": num_pieces + 6,
        "tokenizer.ggml.eom_token_id": num_pieces + 8,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.ggml.add_eos_token": False,
        "tokenizer.ggml.add_space_prefix": True,
    }
    arrays = {f"tokenizer.ggml.{name}" for name in ("tokens", "scores", "token_type")}
    header = {"GGUF.version", "GGUF.tensor_count", "GGUF.kv_count"}
    assert {k: v for k, v in found.items() if k not in arrays | header} == expected
    assert all(len(found[key]) == num_tokens for key in arrays)


def test_progress_and_summary(small_checkpoint: Path, output: Path) -> None:
    reports: list[Progress] = []
    summary = convert(
        small_checkpoint, output, quant_type="q8_0", threads=2, progress=reports.append
    )
    assert [report.num_bytes_done for report in reports] == sorted(
        {report.num_bytes_done for report in reports}
    )
    last = reports[-1]
    assert (last.tensor, last.num_tensors_done) == ("output.weight", last.num_tensors)
    assert last.num_bytes_done == last.num_bytes
    assert summary.path == output
    assert summary.num_bytes == output.stat().st_size > last.num_bytes
    assert summary.num_bytes_source == sum(
        path.stat().st_size for path in small_checkpoint.glob("*.safetensors")
    )
    assert summary.type_counts == {"Q8_0": 10, "F32": 7}
    assert summary.seconds > 0


def test_the_number_of_threads_changes_nothing(small_checkpoint: Path, tmp_path: Path) -> None:
    for threads in (1, 3):
        convert(small_checkpoint, tmp_path / f"{threads}.gguf", threads=threads)
    assert (tmp_path / "1.gguf").read_bytes() == (tmp_path / "3.gguf").read_bytes()


def test_the_order_of_the_files_changes_nothing(checkpoint: Path, tmp_path: Path) -> None:
    """Tensors are written in the order in which the files are read, each at its place."""
    convert(checkpoint, tmp_path / "before.gguf")
    for num_shards in (1, 5):
        reshard(checkpoint, num_shards)
        convert(checkpoint, tmp_path / "after.gguf", overwrite=True)
        assert (tmp_path / "after.gguf").read_bytes() == (tmp_path / "before.gguf").read_bytes()


def test_a_renamed_fine_tune_converts(checkpoint: Path, output: Path) -> None:
    """llama.cpp's converter picks the tokenizer by ``_name_or_path`` and fails on these."""
    edit_json(checkpoint / "config.json", _name_or_path="/data/output/checkpoint-3000")
    convert(checkpoint, output, quant_type="q8_0", threads=1)
    assert gguf.GGUFReader(output).fields["tokenizer.ggml.model"].contents() == "llama"


def test_refusals(small_checkpoint: Path, output: Path) -> None:
    with pytest.raises(UnknownTypeError):
        convert(small_checkpoint, output, quant_type="q3_k")
    output.touch()
    with pytest.raises(OutputExistsError):
        convert(small_checkpoint, output)
    convert(small_checkpoint, output, overwrite=True)
    assert output.stat().st_size


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("padded_vocab_size", "padded_vocab_size is 2147483647"),
        ("num_layers", "num_layers is 2147483647 and must be a positive whole number up to 512"),
    ],
)
def test_absurd_sizes_are_refused_before_they_fill_the_memory(
    checkpoint: Path, output: Path, key: str, message: str
) -> None:
    edit_json(checkpoint / "config.json", **{key: 2**31 - 1})
    with pytest.raises(ConvertError, match=message):
        convert(checkpoint, output)


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("my-model", "my-model"),
        (
            "models--zai-org--chatglm3-6b/snapshots/a5ba5501eb873d40d48bd0983bd2a8dd006bb838",
            "chatglm3-6b",
        ),
    ],
)
def test_model_name(folder: str, name: str, tmp_path: Path) -> None:
    assert model_name(tmp_path / folder) == name
