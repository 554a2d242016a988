"""Routing: which of several replicas a request goes to.

Rendezvous hashing ranks the replicas for each conversation, so that its next turn finds its KV
cache, and a replica that comes or goes moves no conversations but its own (Thaler and Ravishankar,
1998). The first of the ranking is taken unless its load is out of proportion (consistent hashing
with bounded loads, Mirrokni, Thorup and Zadimoghaddam, 2016).
"""

from array import array
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from glm3edge.chatglm3.vocabulary import SpecialTokens

LOAD_FACTOR = 1.5
"""How much of the mean load a replica may have before it is passed over: less loses caches, more
makes requests wait (benchmarks/replicas.py)."""

_NUM_TEXT_TOKENS = 64
"""Tokens that tell prompts without turns apart."""


def conversation_key(prompt_ids: Sequence[int], special: SpecialTokens) -> bytes:
    """What a conversation's prompts have in common: all up to the end of the first user turn."""
    tags = {special.system, special.user, special.assistant, special.observation}
    end, is_turn = _NUM_TEXT_TOKENS, False
    for index, token_id in enumerate(prompt_ids):
        if token_id in tags:
            if is_turn:
                end = index
                break
            is_turn = token_id == special.user
    else:
        end = len(prompt_ids) if is_turn else end
    return array("i", prompt_ids[:end]).tobytes()


def ranking(key: bytes, names: Iterable[str]) -> list[str]:
    """The replicas ``names``, the one that is best for ``key`` first."""
    return sorted(names, key=lambda name: blake2b(key, key=_digest(name)).digest(), reverse=True)


def choose(ranked: Sequence[str], loads: Sequence[int]) -> str:
    """The first replica that may take one more request, by the requests that each has.

    Args:
        ranked: the replicas.
        loads: requests of each, in the same order.
    """
    most = LOAD_FACTOR * sum(loads) / len(loads)
    return next(name for name, load in zip(ranked, loads, strict=True) if load <= most)


def _digest(name: str) -> bytes:
    return blake2b(name.encode()).digest()
