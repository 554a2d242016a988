"""ChatGLM3 in plain PyTorch: parameters are named as in the official checkpoint.

Tensors: ``(batch, length)`` token ids in, ``(batch, length, hidden)`` states, logits over the
padded vocabulary out. The arithmetic is that of the official ``modeling_chatglm.py``: RMS norms,
multi-query attention with two groups, rotary positions on the first half of each head's
dimensions in interleaved pairs, SwiGLU.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it


@dataclass(frozen=True)
class Shape:
    """Sizes, named as in config.json."""

    padded_vocab_size: int
    hidden_size: int = 256
    num_layers: int = 6
    num_attention_heads: int = 4
    multi_query_group_num: int = 2
    kv_channels: int = 64
    ffn_hidden_size: int = 640
    seq_length: int = 1024

    @property
    def qkv_sizes(self) -> tuple[int, int, int]:
        """Rows of the query, key and value parts of ``query_key_value``."""
        group = self.multi_query_group_num * self.kv_channels
        return self.num_attention_heads * self.kv_channels, group, group


class ChatGLM3(nn.Module):
    """The whole model; ``state_dict()`` is the checkpoint."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.transformer = _Transformer(shape)
        cos, sin = _rotary_table(shape)
        self.register_buffer("_cos", cos, persistent=False)
        self.register_buffer("_sin", sin, persistent=False)

    def hidden(self, ids: Tensor) -> Tensor:
        """The last states, normalized: ``(batch, length, hidden)`` for ``(batch, length)`` ids.

        Attention is causal, so padding belongs on the right.
        """
        length = ids.shape[1]
        cos, sin = self._cos[:length], self._sin[:length]
        x = self.transformer.embedding.word_embeddings(ids)
        for layer in self.transformer.encoder.layers:
            x = layer(x, cos, sin)
        return self.transformer.encoder.final_layernorm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """``(..., padded_vocab_size)`` for ``(..., hidden)``."""
        return self.transformer.output_layer(hidden)


class _Transformer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embedding = nn.Module()
        self.embedding.word_embeddings = nn.Embedding(shape.padded_vocab_size, shape.hidden_size)
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(_Layer(shape) for _ in range(shape.num_layers))
        self.encoder.final_layernorm = nn.RMSNorm(shape.hidden_size, eps=1e-5)
        self.output_layer = nn.Linear(shape.hidden_size, shape.padded_vocab_size, bias=False)


class _Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(shape.hidden_size, eps=1e-5)
        self.self_attention = _Attention(shape)
        self.post_attention_layernorm = nn.RMSNorm(shape.hidden_size, eps=1e-5)
        self.mlp = _FeedForward(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.self_attention(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class _Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        hidden = shape.num_attention_heads * shape.kv_channels
        self.query_key_value = nn.Linear(shape.hidden_size, sum(shape.qkv_sizes))
        self.dense = nn.Linear(hidden, shape.hidden_size, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        shape = self.shape
        batch, length, _ = x.shape
        parts = self.query_key_value(x).split(shape.qkv_sizes, dim=-1)
        q, k, v = (p.view(batch, length, -1, shape.kv_channels).transpose(1, 2) for p in parts)
        q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
        share = shape.num_attention_heads // shape.multi_query_group_num
        k, v = k.repeat_interleave(share, dim=1), v.repeat_interleave(share, dim=1)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.dense(out.transpose(1, 2).reshape(batch, length, -1))


class _FeedForward(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.dense_h_to_4h = nn.Linear(shape.hidden_size, 2 * shape.ffn_hidden_size, bias=False)
        self.dense_4h_to_h = nn.Linear(shape.ffn_hidden_size, shape.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.dense_h_to_4h(x).chunk(2, dim=-1)
        return self.dense_4h_to_h(F.silu(gate) * up)


def rotary_frequencies(shape: Shape) -> Tensor:
    """Radians a position, for each of the ``kv_channels / 4`` rotated pairs of a head."""
    rotated = shape.kv_channels // 2
    return 10000.0 ** (-torch.arange(0, rotated, 2).float() / rotated)


def _rotary_table(shape: Shape) -> tuple[Tensor, Tensor]:
    angles = torch.outer(torch.arange(shape.seq_length).float(), rotary_frequencies(shape))
    return angles.cos(), angles.sin()


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """``(batch, heads, length, channels)``, the first half of the channels turned in pairs."""
    turned, rest = x.chunk(2, dim=-1)
    even, odd = turned[..., 0::2], turned[..., 1::2]
    pairs = torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1)
    return torch.cat((pairs.flatten(-2), rest), dim=-1)
