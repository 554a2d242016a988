"""Where the tests find the project's files and, beside it, the official tokenizer and config."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "support"
DATA = ROOT / "tests" / "data"
GLM3_TINY = ROOT / "models" / "glm3-tiny"

OFFICIAL = Path(os.environ.get("CHATGLM3_6B", ROOT.parent / "shared" / "chatglm3-6b"))
OFFICIAL_TOKENIZER = OFFICIAL / "tokenizer.model"
NO_OFFICIAL = f"no official tokenizer at {OFFICIAL_TOKENIZER}; CHATGLM3_6B names another folder"
