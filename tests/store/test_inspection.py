import random
from pathlib import Path

import pytest
from gguf import GGUFReader

from glm3edge.errors import ModelFileError
from glm3edge.store.inspection import inspect
from glm3edge_convert import convert
from glm3edge_convert.gguf.reader import MAX_ARRAY, LongArray

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def path(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inspection") / "tiny.gguf"
    convert(tiny_checkpoint, path, quant_type="q4_k_m")
    return path


def test_a_file(path: Path) -> None:
    found = inspect(path)
    assert (found.architecture, found.type, found.context_length) == ("chatglm", "q4_k_m", 1024)
    assert found.num_bytes == path.stat().st_size
    assert found.metadata["chatglm.block_count"] == 4
    assert found.metadata["tokenizer.ggml.add_bos_token"] is False
    tokens = found.metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, LongArray)
    assert tokens.first[:3] == ("<unk>", "<s>", "</s>")
    assert (len(tokens.first), tokens.length) == (MAX_ARRAY, 1664)
    assert not any(key.startswith("GGUF.") for key in found.metadata)


def test_tensors_and_their_types(path: Path) -> None:
    found = inspect(path)
    reader = GGUFReader(path)
    assert [tensor.name for tensor in found.tensors] == [t.name for t in reader.tensors]
    by_name = {tensor.name: tensor for tensor in found.tensors}
    assert by_name["output.weight"].type == "Q6_K"
    assert by_name["token_embd.weight"].shape == (1664, 256)
    assert by_name["output_norm.weight"].shape == (256,)
    assert by_name["output_norm.weight"].num_bytes == 1024
    totals = found.type_totals
    assert sum(total.num_tensors for total in totals) == len(reader.tensors)
    assert sum(total.num_bytes for total in totals) == sum(int(t.n_bytes) for t in reader.tensors)
    assert totals == sorted(totals, key=lambda total: -total.num_bytes)
    assert {total.type for total in totals} >= {"F32", "Q4_K", "Q6_K"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"text", "it is not a GGUF file"),
        (b"GGUF", "it is damaged"),
        (b"GGUF\x03\0\0\0" + b"\xff" * 100, "it is damaged"),
        (b"GGUF\x63\0\0\0" + bytes(100), "version 99, not 2 or 3"),
    ],
)
def test_what_is_no_gguf_file(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=reason) as caught:
        inspect(path)
    assert caught.value.path == path
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="No such file"):
        inspect(tmp_path / "a.gguf")
    with pytest.raises(ModelFileError, match="directory"):
        inspect(tmp_path)


def test_cut_anywhere(path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    rng = random.Random(5)
    for length in [4, 8, 23, 24, 100, *(rng.randrange(len(data)) for _ in range(20))]:
        cut = tmp_path / "cut.gguf"
        cut.write_bytes(data[:length])
        with pytest.raises(ModelFileError, match=r"damaged|cut off"):
            inspect(cut)


def test_any_byte_of_the_header_may_be_wrong(path: Path, tmp_path: Path) -> None:
    """It is then read or refused, and nothing else."""
    data = bytearray(path.read_bytes())
    rng = random.Random(6)
    refused = 0
    for _ in range(60):
        at, value = rng.randrange(4, 1500), rng.randrange(256)
        before, data[at] = data[at], value
        changed = tmp_path / "changed.gguf"
        changed.write_bytes(data)
        data[at] = before
        try:
            inspect(changed)
        except ModelFileError:
            refused += 1
    assert refused > 5
