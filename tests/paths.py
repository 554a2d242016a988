"""Where the tests find the official tokenizer, which is no part of this project."""

from pathlib import Path

OFFICIAL = Path(__file__).parents[2] / "shared" / "chatglm3-6b"
OFFICIAL_TOKENIZER = OFFICIAL / "tokenizer.model"
NO_OFFICIAL = f"no official tokenizer at {OFFICIAL_TOKENIZER}"
