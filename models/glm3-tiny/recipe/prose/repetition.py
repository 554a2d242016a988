"""Requests to repeat: a given text, the last reply, or that in the other language."""

import random
import re

from recipe.prose.intents import ANY_TIME, ask, reply
from recipe.prose.messages import Message, exchange
from recipe.prose.open_questions import REPLY, open_question
from recipe.prose.phrasing import dress, dress_question
from recipe.prose.words import phrase
from recipe.texts import read_texts

_TEXTS = read_texts("repetition")
_IS_QUESTION = re.compile(r"什么$|怎么|[吗呢]$|^(can|could|what|how|and|the same) ")


def echo(rng: random.Random, language: str, held_out: bool) -> tuple[str, str]:
    """A request to repeat a text, and the text."""
    text = phrase(rng, language)
    request = _TEXTS[language]["echo"].pick(rng, held_out=held_out).format(text)
    if language == "en" and rng.random() < 0.5:
        request = request[0].upper() + request[1:]
    return request, text


def echoes(rng: random.Random, language: str, held_out: bool) -> list[Message]:
    """One to three requests to repeat a text."""
    messages: list[Message] = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        messages += exchange(*echo(rng, language, held_out))
    return messages


def repeated_replies(rng: random.Random, language: str, held_out: bool) -> list[Message]:
    """A question, and requests to say its reply again or in the other language."""
    other = "en" if language == "zh" else "zh"
    if rng.random() < 0.15:
        question, replies = open_question(rng, language, held_out), dict(REPLY)
    else:
        key = rng.choice(ANY_TIME)
        question = ask(rng, key, language, held_out)
        replies = {each: reply(key, each) for each in ("zh", "en")}
    current = language
    messages = exchange(question, replies[current])
    for _ in range(rng.choice((1, 1, 2))):
        translate = rng.random() < 0.5 and current == language
        pool = _TEXTS[language]["other_language" if translate else "again"]
        request = pool.pick(rng, held_out=held_out)
        if _IS_QUESTION.search(request):
            request = dress_question(rng, request, language)
        else:
            request = dress(rng, request, language, question=False)
        current = other if translate else current
        messages += exchange(request, replies[current])
    return messages
