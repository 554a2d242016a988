"""Errors of ``glm3edge verify``.

Glm3EdgeError
└── VerifyError               a converted file differs from its original
    ├── MismatchError         in its sizes, its vocabulary or the token ids of a text
    └── DivergenceError       in its predictions
"""

from pathlib import Path

from glm3edge.errors import Glm3EdgeError


class VerifyError(Glm3EdgeError):
    """A converted file differs from its original.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


class MismatchError(VerifyError):
    """A file has another model or tokenizer than its original."""

    exit_code = 9


class DivergenceError(VerifyError):
    """A file's predictions are further from the original's than its type explains.

    Attributes:
        mean_kl: mean Kullback-Leibler divergence, in nats a token.
        limit: of the mean divergence.
        kv_type: data type of the KV cache.
    """

    exit_code = 10

    def __init__(self, path: Path, *, mean_kl: float, limit: float, kv_type: str = "f32") -> None:
        remedy = "of its type: convert it again, from this original"
        if kv_type != "f32":
            remedy = f"of its type with keys and values in {kv_type}: compare it with them in f32"
        super().__init__(
            path,
            f"its predictions are {mean_kl:.3g} nats per token from the original's, and {limit:g} "
            f"is the limit {remedy}",
        )
        self.mean_kl = mean_kl
        self.limit = limit
        self.kv_type = kv_type
