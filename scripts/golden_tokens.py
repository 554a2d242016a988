"""Writes tests/data/official_tokens.json: what the official tokenizer makes of texts.

python scripts/golden_tokens.py ../shared/chatglm3-6b/tokenizer.model

The file has the ids of each text, and the pieces that SentencePiece looks at on the way to them,
which is what it takes to tokenize these texts without the official file.
"""

import json
import random
import re
import sys
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import sentencepiece

from glm3edge.chatglm3.calibration import DEFAULT_TEXT
from tests.support.official_pieces import FIRST_PIECE, make_model

OUTPUT = Path("tests/data/official_tokens.json")
PROMPTS = Path("tests/data/golden_prompts.json")
SEED = 3
TAGS = (
    *("<|user|>", "<|assistant|>", "<|system|>", "<|observation|>", "[gMASK]", "[MASK]", "[sMASK]"),
    *("sop", "eop", "<|sop|>", "<|eop|>", "</s>", "<s>", "<unk>", "<pad>", "<|eos|>", "<0x0A>"),
)
SOP_AND_EOP = re.findall(
    r"\S+",
    """
sop sops sopor soprano sopranos sopping sopped soppy soporific sopaipilla soporose milksop
philosopher philosophers philosophy philosophical philosophize theosophy theosophist misopedia
isopod isopods isopropyl isoprene isopleth aesop Aesop's mesopotamia hyssop radiosophy mesophyll
mesosphere gymnosophist isophone dipsophobia glossophobia eop people peoples people's peopled
townspeople salespeople tradespeople unpeopled geopolitics geopolitical geophysics geophone
geoponic leopard leopards leopardess leopold stereophonic stereopsis homeopath homeopathy
homeopathic osteopath osteopathy osteopathic osteoporosis osteophyte neophyte neophytes neoprene
neopagan theophylline theophany creophagy deoppilate preoperative preoption preoptic reopen
reopened reoperation videophone areopagus areopagitica cleopatra teleological rheophile
oreopithecus chordeopsis
""",
)
WHITE_SPACE = (
    " ",
    "  ",
    "    ",
    "\t",
    "\n",
    "\n\n",
    "\r\n",
    "\u3000",
    "\u00a0",
    "\u200b",
    "\ufeff",
)
OTHERS = (
    "def f(x):\n    return x ** 2  # 平方\n",
    "```python\ntool_call(city='北京', days=3, metric=True)\n```",
    '{"name": "get_weather", "parameters": {"city": "上海", "days": [1, 2.5, -3e-7]}}',
    "SELECT 名字 FROM 用户 WHERE 年龄 >= 18;",
    "https://例子.测试/路径?q=猫&n=1#片段",
    "e\u0301 é ﬁ Ⅳ ㎏ ａｂｃ １２３ ＡＢＣ",
    "한국어와 日本語 mixed: ありがとう 감사합니다",
    "Ünïcödé ÅNGSTRÖM İstanbul Straße ǅ ñandú Ελληνικά Русский עברית العربية हिन्दी ไทย",
    "繁體中文：臺灣、香港的使用者也會提問。",
    "𠮷野家 㐂 龘 齉 爨 饕餮",
    "∀x∈ℝ: x² ≥ 0 ⟹ √x² = |x|; ∫₀^∞ e^{-x} dx = 1",
    "\x00 NUL \x00\x01\x7f",
    "a" * 60 + "的" * 40,
)


def main() -> None:
    """Tokenize, find the pieces, and check that they are enough."""
    official = sentencepiece.SentencePieceProcessor(model_file=sys.argv[1])
    ids = {official.id_to_piece(n): n for n in range(FIRST_PIECE, official.get_piece_size())}
    scores = [official.get_score(number) for number in ids.values()]
    if any(one <= following for one, following in pairwise(scores)):
        sys.exit("error: scores do not fall with the ids: make_model() has to be told them")
    texts = list(dict.fromkeys(_texts()))
    pieces = {piece: ids[piece] for text in texts for piece in _pieces(text, ids)}
    golden = [[text, official.encode(text)] for text in texts]
    reduced = sentencepiece.SentencePieceProcessor(model_proto=make_model(pieces))
    if golden != [[text, reduced.encode(text)] for text in texts]:
        sys.exit("error: the pieces do not suffice")
    sections = {"pieces": dict(sorted(pieces.items(), key=lambda item: item[1])), "texts": golden}
    OUTPUT.write_text(_json(sections), encoding="utf-8")
    print(f"{len(texts)} texts, {len(pieces)} pieces")


def _pieces(text: str, ids: dict[str, int]) -> Iterator[str]:
    """Those that byte-pair encoding looks at: characters, then what neighbors join to."""
    symbols = list("▁" + text.replace(" ", "▁"))
    if not text:
        return
    yield from (symbol for symbol in symbols if symbol in ids)
    while True:
        joined = [(ids[a + b], n) for n, (a, b) in enumerate(pairwise(symbols)) if a + b in ids]
        yield from (symbols[n] + symbols[n + 1] for _, n in joined)
        if not joined:
            return
        _, place = min(joined)
        symbols[place : place + 2] = [symbols[place] + symbols[place + 1]]


def _texts() -> Iterator[str]:
    rng = random.Random(SEED)
    yield ""
    yield from TAGS
    yield from (f"{a}{b}" for a, b in pairwise(TAGS))
    yield from (f"你好{tag}，再见 {tag}\n" for tag in TAGS)
    yield from SOP_AND_EOP
    yield from (f"{word.title()}，{word.upper()} {word}" for word in SOP_AND_EOP)
    yield from WHITE_SPACE
    for _ in range(60):
        words = rng.choices(("a", "的", "1", ".", "好", *WHITE_SPACE), k=rng.randint(2, 8))
        yield "".join(words)
    yield from _emoji(rng)
    yield from OTHERS
    for case in json.loads(PROMPTS.read_text("utf-8")):
        yield from (part for _, text, name in case["turns"] for part in (f"{name}\n", text))
    sentences = re.split(r"(?<=[。！？\n])", DEFAULT_TEXT.read_text("utf-8"))
    chinese = [it for it in sentences if re.search(r"[\u4e00-\u9fff]{3}", it) and len(it) <= 80]
    yield from rng.sample(chinese, 160)


def _emoji(rng: random.Random) -> Iterator[str]:
    faces = [
        chr(code) for code in range(0x1F300, 0x1FAFF) if unicodedata.category(chr(code)) == "So"
    ]
    joiner, skins = "\u200d", [chr(code) for code in range(0x1F3FB, 0x1F400)]
    for _ in range(40):
        one, two = rng.choice(faces), rng.choice(faces)
        yield rng.choice(
            (one, one + two, f"好{one}！", one + rng.choice(skins), one + joiner + two)
        )
    yield from ("👩‍👩‍👧‍👦", "🇨🇳🇬🇧", "1️⃣2️⃣", "❤️ ♥ ☎️", "ヽ(´▽`)/ ^_^ :-)")


def _json(sections: dict[str, object]) -> str:
    """One item a line, so that changes show as lines."""
    pieces = json.dumps(sections["pieces"], ensure_ascii=False, separators=(",", ":"))
    pieces = re.sub(r"(.{90,110}?\d),", r"\1,\n", pieces)
    texts = ",\n".join(json.dumps(it, ensure_ascii=False) for it in sections["texts"])  # type: ignore[attr-defined]
    return f'{{"pieces": {pieces},\n"texts": [\n{texts}\n]}}\n'


if __name__ == "__main__":
    main()
