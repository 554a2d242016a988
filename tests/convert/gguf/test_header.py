"""Headers of GGUF files."""

from gguf import GGMLQuantizationType, GGUFWriter

from glm3edge_convert.gguf.header import ALIGNMENT, TensorInfo, gguf_header


def test_sizes_of_tensors() -> None:
    vector = TensorInfo("vector", (7,), GGMLQuantizationType.F32)
    assert (vector.num_bytes, vector.num_bytes_padded) == (28, 32)
    matrix = TensorInfo("matrix", (3, 64), GGMLQuantizationType.Q8_0)
    assert (matrix.num_bytes, matrix.num_bytes_padded) == (3 * 2 * 34, 224)


def test_data_begins_aligned() -> None:
    for length in range(40):

        def add_metadata(writer: GGUFWriter, length: int = length) -> None:
            writer.add_string("test.text", "x" * length)

        header = gguf_header("test", add_metadata, [])
        assert header[:4] == b"GGUF"
        assert len(header) % ALIGNMENT == 0
