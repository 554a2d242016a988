"""First weights: a model that already can copy, so that training only has to say what and when.

A model of this size finds copying by itself only after millions of tokens. The circuit is known
(Olsson et al., "In-context Learning and Induction Heads", 2022) and small, so it is put in:

- layer 0: one head looks one position back, one looks two back, by position alone (the biases of
  query and key, on the rotated dimensions), and they write what they see into the stream;
- layers 1 to 3: heads whose query is what a token is and whose key is what came before a
  token, so they look at what followed the last time, and write that token into the stream.

The output matrix starts as a copy of the embedding. All of it is trained afterwards.
"""

import math

import torch
from torch import Tensor

from recipe.model import ChatGLM3, rotary_frequencies

EMBEDDING_STD = 0.1
_BACK_SHARPNESS = 55.0  # nats between one position and its neighbours, before the scale
_MATCH = 12.0
_COPY = 1.5
_MOVE = 0.4


@torch.no_grad()
def initialize(model: ChatGLM3, *, seed: int) -> None:
    """Fill every parameter of ``model``; the same seed gives the same weights."""
    generator = torch.Generator().manual_seed(seed)
    for name, param in model.named_parameters():
        if param.ndim == 2:
            std = EMBEDDING_STD if "embedding" in name else 0.4 * param.shape[1] ** -0.5
            param.copy_(torch.randn(param.shape, generator=generator) * std)
        else:
            param.fill_(0.0 if name.endswith("bias") else 1.0)
    transformer = model.transformer
    transformer.output_layer.weight.copy_(transformer.embedding.word_embeddings.weight)
    for layer in transformer.encoder.layers:
        layer.self_attention.dense.weight.mul_(0.3)
        layer.mlp.dense_4h_to_h.weight.mul_(0.3)
    _look_back(model, generator)


def _look_back(model: ChatGLM3, generator: torch.Generator) -> None:
    shape = model.shape
    hidden, size = shape.hidden_size, shape.kv_channels
    heads = shape.num_attention_heads
    half = size // 2
    layers = model.transformer.encoder.layers

    # Layer 0, group 0: heads 0 and 1 see one and two back. What they see is projected and moved.
    read = _orthogonal(size, hidden, generator)
    moved = [_orthogonal(hidden, size, generator) for _ in range(2)]
    attention = layers[0].self_attention
    weight, bias = attention.query_key_value.weight, attention.query_key_value.bias
    k_rows, v_rows = heads * size, (heads + shape.multi_query_group_num) * size
    weight[: 2 * size] *= 0.1
    weight[k_rows : k_rows + size] *= 0.1
    angles = rotary_frequencies(shape)
    pull = math.sqrt(_BACK_SHARPNESS)
    bias[k_rows : k_rows + half : 2] = pull
    for head, distance in enumerate((1, 2)):
        start = head * size
        bias[start : start + half : 2] = pull * (distance * angles).cos()
        bias[start + 1 : start + half : 2] = -pull * (distance * angles).sin()
    weight[v_rows : v_rows + size] = read
    scale = EMBEDDING_STD * 16 * _MOVE / 8
    for head in range(2):
        attention.dense.weight[:, head * size : (head + 1) * size] = moved[head] * scale

    # Layers 1 to 3: group 0 matches one token, group 1 two; each writes half of what follows.
    whole = _orthogonal(hidden, hidden, generator)
    for index, layer in enumerate(layers[1:4]):
        attention = layer.self_attention
        weight = attention.query_key_value.weight
        compress = _orthogonal(half, size, generator)
        for group in range(2):
            before = moved[0] if index != 1 or group == 0 else moved[1]
            now = read if index != 1 or group == 0 else moved[0].T
            query, key = compress @ now, compress @ before.T
            for head in (2 * group, 2 * group + 1):
                weight[head * size + half : (head + 1) * size] = query * _MATCH * 0.5
            k_start = k_rows + group * size
            weight[k_start + half : k_start + size] = key * _MATCH
            out = whole[((2 * index + group) % 4) * size :][:size]
            weight[v_rows + group * size : v_rows + (group + 1) * size] = out
            for head in (2 * group, 2 * group + 1):
                columns = slice(head * size, (head + 1) * size)
                attention.dense.weight[:, columns] = out.T * _COPY * EMBEDDING_STD


def _orthogonal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """A matrix whose rows (or columns, whichever are fewer) are orthonormal."""
    q, _ = torch.linalg.qr(torch.randn(max(rows, columns), min(rows, columns), generator=generator))
    return q if rows >= columns else q.T
