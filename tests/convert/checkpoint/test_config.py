"""config.json of a checkpoint folder."""

import json
from pathlib import Path

import pytest

from glm3edge_convert.checkpoint.config import read_config
from glm3edge_convert.errors import DamagedFileError, NotACheckpointError
from glm3edge_convert.synth.layout import CONFIG


def test_read_config(tmp_path: Path) -> None:
    with pytest.raises(NotACheckpointError, match="the folder does not exist"):
        read_config(tmp_path / "absent")
    with pytest.raises(NotACheckpointError, match=r"config\.json is missing"):
        read_config(tmp_path)
    for text in ("", "{", "[]", "null", "\x00"):
        (tmp_path / "config.json").write_text(text, "utf-8")
        with pytest.raises(DamagedFileError, match=r"config\.json"):
            read_config(tmp_path)
    (tmp_path / "config.json").write_bytes(b"\xff\xfe")
    with pytest.raises(DamagedFileError, match="not JSON"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), "utf-8")
    assert read_config(tmp_path) == CONFIG
