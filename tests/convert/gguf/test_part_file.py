"""Part files: locked, moved or removed, with a journal beside them."""

import os
from pathlib import Path

import pytest

from glm3edge_convert.gguf.part_file import Journal, open_part

OUTPUT = "out.gguf"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_part_is_removed_unless_it_becomes_the_output(tmp_path: Path) -> None:
    with open_part(tmp_path / OUTPUT) as part:
        part.file.write(b"data")
        assert names(tmp_path) == [".out.gguf.part"]
    assert not names(tmp_path)
    with open_part(tmp_path / OUTPUT) as part:
        part.file.write(b"data")
        part.sync()
        part.move_to(tmp_path / OUTPUT)
    assert names(tmp_path) == [OUTPUT]
    assert (tmp_path / OUTPUT).read_bytes() == b"data"


@pytest.mark.skipif(os.name != "posix", reason="flock is per open file on POSIX only")
def test_a_locked_part_is_left_alone(tmp_path: Path) -> None:
    with open_part(tmp_path / OUTPUT) as first:
        with open_part(tmp_path / OUTPUT) as second:
            assert first.path != second.path
        assert names(tmp_path) == [".out.gguf.part"]


def test_the_journal_counts_tensors_of_one_conversion(tmp_path: Path) -> None:
    part = tmp_path / ".out.gguf.part"
    journal = Journal(part, "key")
    assert journal.read() == 0
    journal.write(3)
    assert journal.read() == 3
    assert Journal(part, "other").read() == 0
    (tmp_path / ".out.gguf.part.json").write_text("damaged")
    assert journal.read() == 0
    journal.remove()
    assert not names(tmp_path)
