"""Phrasing: what people put before and after a question, and how they end it."""

import random
import re

_IS_DEMAND = re.compile(
    r"告诉我|介绍|^讲|^说|^来个|^给我|^逗|^解释|笑话|^我|^帮我|^名字$|^能"
    r"|^(tell|explain|introduce|describe|list|show|give|name|say|make|define|let|I|the|my|it) "
)
_ASKS = re.compile(r"怎么|什么|哪|谁|多少|多大|几|如何|怎样")
_TAIL = re.compile(r"[吗呢吧么？?！!。.~]$")
_BEFORE_ZH = (
    "请问", "请问一下，", "你好，", "那", "想问一下，", "那么", "我想知道", "问一下，",
    "您好，请问",
)  # fmt: skip
_BEFORE_EN = ("hi, ", "hello, ", "so ", "hey, ", "excuse me, ", "and ", "one question: ", "well, ")


def dress(rng: random.Random, text: str, language: str, *, question: bool = True) -> str:
    """Put words before ``text`` and a mark after it, as people do; ``question``: if it is one."""
    if language == "zh":
        return _dress_zh(rng, text, question)
    return _dress_en(rng, text, question)


def _dress_zh(rng: random.Random, text: str, question: bool) -> str:
    demand = bool(_IS_DEMAND.search(text))
    closed = bool(_TAIL.search(text)) and text[-1] not in "吗呢吧么"
    if not question:
        return text + ("" if closed else rng.choice(("", "", "！", "。", "~", "!")))
    if demand:
        before = rng.choice(("", "", "", "你好，", "那"))
        return before + text + ("" if closed else rng.choice(("", "", "。", "？", "?")))
    before = rng.choice(_BEFORE_ZH) if rng.random() < 0.3 else ""
    if before and text.startswith(("那", "请", before)):
        before = ""
    ends = ["？", "？", "？", "?", "", "", "？？"]
    if _ASKS.search(text) and not _TAIL.search(text):
        ends += ["呢？", "呢", "啊？"]
    return before + text + ("" if closed else rng.choice(ends))


def _dress_en(rng: random.Random, text: str, question: bool) -> str:
    demand = bool(_IS_DEMAND.search(text))
    closed = bool(_TAIL.search(text))
    before = rng.choice(_BEFORE_EN) if question and rng.random() < 0.25 else ""
    if before and text.startswith(("and ", "so ", "then ", "what about")):
        before = ""
    out = before + text
    if rng.random() < 0.6:
        out = out[0].upper() + out[1:]
    if closed:
        return out
    if not question:
        return out + rng.choice(("", "", "!", "."))
    if demand:
        return out + rng.choice(("", "", ".", " please", ", please."))
    return out + rng.choice(("?", "?", "?", "?", "", "", " ?", "??"))


def dress_question(rng: random.Random, text: str, language: str) -> str:
    """Put a word before a question and a mark after it."""
    if language == "zh":
        return rng.choice(("", "", "", "那", "请问")) + text + rng.choice(("？", "？", "?", ""))
    out = rng.choice(("", "", "", "so ", "and ")) + text + rng.choice(("?", "?", "", " ?"))
    return out[0].upper() + out[1:] if rng.random() < 0.6 else out
