"""Batches of token ids, as the training takes them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from recipe.curriculum import phase_dialogue
from recipe.dialogue import Encoder, encode

_POOL_BATCHES = 16


@dataclass(frozen=True)
class Batch:
    """``ids`` are ``(batch, length)``, padded with zeros on the right.

    ``weights`` of the same shape say how much predicting each token counts; the first never does.
    """

    ids: Tensor
    weights: Tensor


def batches(
    encoder: Encoder, phase: str, *, seed: str, num_tokens: int, prompt_weight: float
) -> Iterator[Batch]:
    """Endless batches of about ``num_tokens``; the same arguments give the same batches."""
    rng = random.Random(f"{phase} {seed}")
    while True:
        pool = []
        size = 0
        while size < num_tokens * _POOL_BATCHES:
            ids, mine = encode(phase_dialogue(rng, phase), encoder)
            if len(ids) <= 1024:
                pool.append((ids, mine))
                size += len(ids)
        pool.sort(key=lambda item: len(item[0]))
        cut = _cut(pool, num_tokens)
        rng.shuffle(cut)
        yield from (_stack(rows, prompt_weight) for rows in cut)


def _cut(
    pool: list[tuple[list[int], list[bool]]], num_tokens: int
) -> list[list[tuple[list[int], list[bool]]]]:
    cut: list[list[tuple[list[int], list[bool]]]] = [[]]
    for item in pool:
        if (len(cut[-1]) + 1) * len(item[0]) > num_tokens and cut[-1]:
            cut.append([])
        cut[-1].append(item)
    return cut


def _stack(rows: list[tuple[list[int], list[bool]]], prompt_weight: float) -> Batch:
    length = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    weights = torch.zeros(len(rows), length)
    for row, (tokens, mine) in enumerate(rows):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        flags = torch.tensor(mine, dtype=torch.float32)
        weights[row, : len(tokens)] = flags + (1 - flags) * prompt_weight
    weights[:, 0] = 0
    return Batch(ids, weights)
