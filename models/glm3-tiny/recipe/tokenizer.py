"""The tokenizer: SentencePiece BPE in which a value is cut alike wherever it stands.

A model of this size copies pieces, not letters. So pieces never cross from one of four classes to
the next (letters, digits, Chinese characters, everything else with its white space), a digit and
a Chinese character is a piece of its own, and white space never joins a word. The quote of a call's
arguments is a piece of its own too: that a value ends and what comes after it are two decisions.
"""

import io
import random
import re
from collections import Counter
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from glm3edge_convert.synth.random_checkpoint import TRAINER_OPTIONS
from recipe.coin import HANZI
from recipe.curriculum import phase_dialogue

NUM_PIECES = 5300
_CUTS = re.compile(r"[A-Za-z]+|[0-9]|[㐀-鿿]|'|[^A-Za-z0-9㐀-鿿']+")
_NUM_DIALOGUES = 12000


def train_tokenizer(path: Path, *, seed: int) -> None:
    """Train on dialogues of all kinds and write ``path``."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_words(seed)),
        model_writer=model,
        vocab_size=NUM_PIECES,
        character_coverage=1.0,
        allow_whitespace_only_pieces=True,
        split_by_whitespace=False,
        split_by_unicode_script=False,
        add_dummy_prefix=False,  # the cuts below have their own
        max_sentencepiece_length=48,
        **TRAINER_OPTIONS,
    )
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    proto.normalizer_spec.add_dummy_prefix = True
    path.write_bytes(proto.SerializeToString())


def _words(seed: int) -> list[str]:
    """Cuts of dialogues, as often as their frequency, thinned, asks for."""
    rng = random.Random(f"tokenizer {seed}")
    counts: Counter[str] = Counter()
    for _ in range(_NUM_DIALOGUES):
        for turn in phase_dialogue(rng, "tools" if rng.random() < 0.6 else "prose").all_turns:
            for text in (f" {turn.metadata}\n", f" {turn.content}"):
                counts.update(_CUTS.findall(text))
    counts.update(dict.fromkeys(HANZI, 1))
    return [
        word for word, count in sorted(counts.items()) for _ in range(min(1 + count // 4, 1000))
    ]
