"""First weights: a model that already can copy, and look tools up, if only roughly.

A model of this size finds these circuits by itself after tens of millions of tokens or never, so
they are put in; all of it is trained afterwards. Trials with other first weights had learned to
copy after 12 million tokens and still took any of three tools with equal chance; with these, nine
of ten choices are right after 100 steps.

- Layer 0: one head looks one position back, one looks two back, by position alone.
- Copying, layers 3 and 4: heads whose query is what a token is and whose key is what came before a
  token look at what followed the last time, and write that token into the stream (Olsson et al.,
  "In-context Learning and Induction Heads", 2022).
- Looking tools up: in layer 1 every token takes the first piece of the last tool's name as a tag;
  in layer 2 a token of a question looks at what followed it in a tool's description and takes the
  tag from there; in layer 3 the start of a reply collects the tags of the question, and they raise
  the logits of the name.

What is written for later layers has places of its own in the stream, so that it is read without
noise. The stream is four times as wide as usual (``EMBEDDING_STD``): at 0.1 the first fifty steps
of training overwrote the circuits.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from glm3edge_convert.tokenizer.vocab import SPECIAL_TOKENS
from recipe.dialogue import Encoder
from recipe.model import ChatGLM3, rotary_frequencies

EMBEDDING_STD = 0.4
_OUTPUT_STD = 0.1
_OTHERS = 0.3  # what the other weights of attention, and those that write, are scaled by
_BACK_SHARPNESS = 55.0  # nats between one position and its neighbours, before the scale
_RECENCY = 9.0  # nats, of each of five frequencies
_MATCH = 5.0  # at 12 attention saturates, and the training cannot move it
_MOVE = 0.6  # length of what is written, to that of an embedding
_COPY = 3.0
_NUM_TOKEN_DIMS, _NUM_TAG_DIMS = 96, 32


@dataclass(frozen=True)
class Marks:
    """Token ids that say where things are.

    ``key`` and ``quote`` stand before a tool's name (``"name": "``), ``assistant`` is the role
    that opens a reply.
    """

    key: int
    quote: int
    assistant: int

    @classmethod
    def of(cls, encoder: Encoder) -> "Marks":
        """The marks in a tokenizer's vocabulary."""
        *_, key, quote = encoder.encode('"name": "')
        assistant = encoder.vocab_size() + SPECIAL_TOKENS.index("<|assistant|>")
        return cls(key=key, quote=quote, assistant=assistant)


@torch.no_grad()
def initialize(model: ChatGLM3, marks: Marks, *, seed: int) -> None:
    """Fill every parameter of ``model``; the same seed gives the same weights."""
    generator = torch.Generator().manual_seed(seed)
    for name, param in model.named_parameters():
        if param.ndim == 2:
            std = 0.4 * param.shape[1] ** -0.5
            param.copy_(torch.randn(param.shape, generator=generator) * std)
        else:
            param.fill_(0.0 if name.endswith("bias") else 1.0)
    for layer in model.transformer.encoder.layers:
        layer.self_attention.query_key_value.weight.mul_(_OTHERS)
        layer.self_attention.dense.weight.mul_(_OTHERS)
        layer.mlp.dense_4h_to_h.weight.mul_(_OTHERS)
    _Circuits(model, generator).install(marks)


class _Circuits:
    """Writes heads into a model, by what they look at and what they write."""

    def __init__(self, model: ChatGLM3, generator: torch.Generator) -> None:
        shape = model.shape
        self._model = model
        self._generator = generator
        self._layers = model.transformer.encoder.layers
        self._size = shape.kv_channels
        self._half = shape.kv_channels // 2
        self._heads_per_group = shape.num_attention_heads // shape.multi_query_group_num
        self._k_start = shape.num_attention_heads * shape.kv_channels
        self._v_start = self._k_start + shape.multi_query_group_num * shape.kv_channels
        self._frequencies = rotary_frequencies(shape)
        whole = self._orthogonal(shape.hidden_size, shape.hidden_size)
        places = (_NUM_TOKEN_DIMS, self._size, *(_NUM_TAG_DIMS,) * 3)
        # What a token is, what came before it, what before that, its tag, the tags it found.
        self._token, self._before, self._before_that, self._tag, self._found = whole.split(
            places, dim=1
        )
        self._read = self._token[:, : self._size].T
        self._read_tag = self._token[:, self._size :].T

    def install(self, marks: Marks) -> None:
        self._embed()
        self._look_back()
        self._take_tags(marks)
        self._match(2, 0)
        self._value(2, 0, self._tag.T, self._found * EMBEDDING_STD / 0.7)
        self._collect(marks)
        turned = self._token @ self._orthogonal(_NUM_TOKEN_DIMS, _NUM_TOKEN_DIMS)
        for index, (layer, group) in enumerate(((3, 1), (4, 0), (4, 1))):
            if layer < len(self._layers):
                self._match(layer, group)
                part = turned.roll(-index * 32, dims=1)[:, : self._size]
                self._value(layer, group, part.T, part * _COPY * EMBEDDING_STD)

    def _embed(self) -> None:
        """Token embeddings in their own dimensions; the output matrix is a copy."""
        transformer = self._model.transformer
        embedding = transformer.embedding.word_embeddings.weight
        num_tokens, hidden = embedding.shape
        noise = torch.randn(num_tokens, _NUM_TOKEN_DIMS, generator=self._generator)
        std = (hidden / _NUM_TOKEN_DIMS) ** 0.5
        embedding.copy_(noise @ self._token.T * std * EMBEDDING_STD)
        transformer.output_layer.weight.copy_(noise @ self._token.T * std * _OUTPUT_STD)

    def _look_back(self) -> None:
        """Layer 0, group 0: the first head sees one back, the second two."""
        weight, bias = self._qkv(0)
        pull = math.sqrt(_BACK_SHARPNESS)
        self._clear_queries_and_keys(0, 0)
        bias[self._k_start : self._k_start + self._half : 2] = pull
        for head in range(2):
            start, angles = head * self._size, (head + 1) * self._frequencies
            bias[start : start + self._half : 2] = pull * angles.cos()
            bias[start + 1 : start + self._half : 2] = -pull * angles.sin()
        weight[self._v_start : self._v_start + self._size] = self._read
        length = (self._size / _NUM_TOKEN_DIMS) ** 0.5
        folded = self._before_that @ self._orthogonal(_NUM_TAG_DIMS, self._size) * 2**0.5
        dense = self._layers[0].self_attention.dense.weight
        dense[:, : self._size] = self._before * _width(1 / length)
        dense[:, self._size : 2 * self._size] = folded * _width(1 / length)

    def _take_tags(self, marks: Marks) -> None:
        """Layer 1, group 0: every token looks at the first piece of the last tool's name."""
        weight, bias = self._qkv(1)
        self._clear_queries_and_keys(1, 0)
        self._pull_near(1, pairs=(6, 7, 8, 9, 10), pull=math.sqrt(8 * _RECENCY))
        for head in range(self._heads_per_group):
            bias[head * self._size + self._half] = 10.0
        is_name = self._seen_back(marks.quote, 0) + self._seen_back(marks.key, 1)
        weight[self._k_start + self._half] = 2.0 * is_name
        length = (_NUM_TAG_DIMS / _NUM_TOKEN_DIMS) ** 0.5
        self._value(1, 0, self._read_tag, self._tag * 1.25 * _width(1 / length))

    def _collect(self, marks: Marks) -> None:
        """Layer 3, group 0: the start of a reply reads what the tokens before it have found."""
        weight, _ = self._qkv(3)
        self._clear_queries_and_keys(3, 0)
        self._pull_near(3, pairs=(5, 6), pull=7.0, only_keys=True)
        for head in range(self._heads_per_group):
            for pair in (5, 6):
                weight[head * self._size + 2 * pair] = 1.5 * self._seen_back(marks.assistant, 0)
        self._value(3, 0, self._found.T, self._read_tag.T * 10 * EMBEDDING_STD)

    def _match(self, layer: int, group: int) -> None:
        """Look at what came after this token the last time."""
        weight, _ = self._qkv(layer)
        self._clear_queries_and_keys(layer, group)
        compress = self._orthogonal(self._half, self._size)
        for head in self._heads(group):
            end = (head + 1) * self._size
            weight[end - self._half : end] = compress @ self._read * _MATCH * 0.5
        end = self._k_start + (group + 1) * self._size
        weight[end - self._half : end] = compress @ self._before.T * _MATCH

    def _value(self, layer: int, group: int, read: Tensor, write: Tensor) -> None:
        """Set what the heads of a group read from where they attend, and where they write it."""
        weight, _ = self._qkv(layer)
        start = self._v_start + group * self._size
        weight[start : start + self._size] = 0
        weight[start : start + len(read)] = read
        dense = self._layers[layer].self_attention.dense.weight
        for head in self._heads(group):
            dense[:, head * self._size : (head + 1) * self._size] = 0
            start = head * self._size
            dense[:, start : start + len(read)] = write / self._heads_per_group

    def _pull_near(
        self, layer: int, *, pairs: tuple[int, ...], pull: float, only_keys: bool = False
    ) -> None:
        """Prefer what is near: the slow rotations turn little over a short way."""
        _, bias = self._qkv(layer)
        for pair in pairs:
            bias[self._k_start + 2 * pair] = pull
            for head in range(self._heads_per_group):
                if not only_keys:
                    bias[head * self._size + 2 * pair] = pull

    def _clear_queries_and_keys(self, layer: int, group: int) -> None:
        weight, _ = self._qkv(layer)
        for head in self._heads(group):
            weight[head * self._size : (head + 1) * self._size] = 0
        start = self._k_start + group * self._size
        weight[start : start + self._size] = 0

    def _seen_back(self, token_id: int, head: int) -> Tensor:
        """The direction in the stream that says ``token_id`` was what ``head`` saw."""
        dense = self._layers[0].self_attention.dense.weight
        seen = self._read @ self._model.transformer.embedding.word_embeddings.weight[token_id]
        direction = dense[:, head * self._size : (head + 1) * self._size] @ seen
        return direction / direction.norm()

    def _heads(self, group: int) -> range:
        return range(group * self._heads_per_group, (group + 1) * self._heads_per_group)

    def _qkv(self, layer: int) -> tuple[Tensor, Tensor]:
        linear = self._layers[layer].self_attention.query_key_value
        return linear.weight, linear.bias

    def _orthogonal(self, rows: int, columns: int) -> Tensor:
        """A matrix whose rows (or columns, whichever are fewer) are orthonormal."""
        size = max(rows, columns), min(rows, columns)
        q, _ = torch.linalg.qr(torch.randn(size, generator=self._generator))
        return q if rows >= columns else q.T


def _width(scale: float) -> float:
    """Factor from a value read from the normalized stream to one of length ``_MOVE``."""
    return _MOVE * EMBEDDING_STD * scale
