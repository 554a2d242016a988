"""The progress bar on a terminal."""

from pathlib import Path

from tests.support.terminal import Terminal


def test_no_bar_is_drawn_before_its_size_is_known(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """It began with "0/? bytes"."""
    output = str(tmp_path / "tiny.gguf")
    with Terminal("convert", str(tiny_checkpoint), "-o", output, environment={}) as terminal:
        assert terminal.wait_end() == 0
        assert b"?" not in terminal.output.replace(b"[?25", b"")  # which hides the cursor
        assert "tiny.gguf" in terminal.text.replace("\n", "")
