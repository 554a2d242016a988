"""Comparison of files with their original, over the windows of a text."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from glm3edge.chatglm3 import calibration
from glm3edge.chatglm3.calibration import Windows
from glm3edge.chatglm3.vocabulary import MissingTokenError, SpecialTokens
from glm3edge.commands.verify.shape import check_shape
from glm3edge.commands.verify.sources import Array, Source
from glm3edge.commands.verify.statistics import Estimate, Summary, Tokens, compare, join, summarize
from glm3edge.commands.verify.vocabulary import check_entries, check_ids
from glm3edge.errors import ConfigError, ModelError

DEFAULT_WINDOW = 512
_MIB = 2**20

Progress = Callable[[Path, int, int], object]
"""Callback with the model being computed, the number of windows done, and that of all windows."""


@dataclass(frozen=True, slots=True)
class Result:
    """Result of a file.

    Attributes:
        path: the file.
        type: its output type.
        kv_type: data type of the KV cache.
        num_bytes: its size.
        tokens: differences at each predicted token.
        summary: their statistics.
        limit: of the mean KL divergence, None if none is known for the type.
        seconds: time to compute its logits.
    """

    path: Path
    type: str
    kv_type: str
    num_bytes: int
    tokens: Tokens
    summary: Summary
    limit: float | None
    seconds: float

    @property
    def is_within_limit(self) -> bool:
        """Whether the mean KL divergence is within the limit."""
        return self.limit is None or self.summary.mean_kl.value <= self.limit


@dataclass(frozen=True, slots=True)
class Report:
    """Report of a comparison.

    Attributes:
        original: file or folder that the files were compared with.
        original_type: its output type, or ``checkpoint``.
        num_vocabulary: tokens of the vocabulary, which are all the same.
        num_texts: prompts and lines with the same token ids.
        num_windows: windows of the text.
        window: tokens of a window.
        seconds: time to compute the original's logits.
        results: one for each file and type of KV cache.
    """

    original: Path
    original_type: str
    num_vocabulary: int
    num_texts: int
    num_windows: int
    window: int
    seconds: float
    results: list[Result]

    @property
    def perplexity(self) -> Estimate:
        """Perplexity of the original."""
        return self.results[0].summary.original_perplexity


def verify(
    files: Sequence[Source],
    original: Source,
    text: str,
    *,
    window: int | None = None,
    most: int = 0,
    max_kl: float | None = None,
    progress: Progress | None = None,
) -> Report:
    """Compare ``files`` with ``original`` over ``text``.

    One model is in memory at a time. The original's logits are kept in a temporary file: 4 bytes
    for each token of the vocabulary at each predicted token, 66 MB a window for the 6B.

    Args:
        files: files to compare, one at least; a file may be there with several types of KV cache.
        original: model to compare them with.
        text: text to predict; see ``calibration``.
        window: tokens of a window; None takes 512, or the model's context where that is shorter.
        most: maximum number of windows, 0 for all.
        max_kl: limit of the mean KL divergence; None takes that of each file's type.
        progress: called after each window.

    Raises:
        ConfigError: the text is too short, or the window too small or too large.
        MismatchError: a file has other sizes, another vocabulary or other token ids.
        ModelError: a file cannot be loaded or computed.
    """
    size = _window_size(window, original)
    num_texts = 0
    for file in {file.path: file for file in files}.values():
        num_texts = _check(file, original, text)
    windows = _windows(text, original, size, most)
    with _kept_logits(_counted(original, windows, progress), original, windows) as (kept, seconds):
        results = [
            _measure(file, _counted(file, windows, progress), kept, windows, max_kl)
            for file in files
        ]
    return Report(
        original.path,
        original.type,
        original.vocabulary.vocab_size,
        num_texts,
        len(windows.rows),
        size,
        seconds,
        results,
    )


def _window_size(wanted: int | None, original: Source) -> int:
    longest = int(original.shape["context_length"])
    size = min(DEFAULT_WINDOW, longest) if wanted is None else wanted
    if not calibration.MIN_WINDOW <= size <= longest:
        raise ConfigError(
            f"--window {size}: this model's windows have {calibration.MIN_WINDOW} to {longest} "
            "tokens"
        )
    return size


def _check(file: Source, original: Source, text: str) -> int:
    """Compare sizes and tokenizer; the number of texts that were tokenized."""
    check_shape(file.path, file.shape, original.shape)
    check_entries(file.path, file.vocabulary, original.vocabulary)
    try:
        SpecialTokens.of(original.vocabulary)
    except MissingTokenError as exc:
        raise ConfigError(f"{original.path} is not a ChatGLM3 chat model: {exc}") from exc
    return check_ids(file.path, file.vocabulary, original.vocabulary, text.splitlines())


def _windows(text: str, original: Source, size: int, most: int) -> Windows:
    token_ids = calibration.encode(text, original.vocabulary)
    prefix = SpecialTokens.of(original.vocabulary).prefix
    return calibration.cut(token_ids, prefix, size, most=most)


@contextmanager
def _kept_logits(
    parts: Iterable[Array], original: Source, windows: Windows
) -> Iterator[tuple[IO[bytes], float]]:
    """Temporary file with the original's logits, and the seconds that they took.

    Raises:
        ConfigError: the disk has no space for them.
    """
    shape = len(windows.rows) * windows.num_predicted, original.vocabulary.vocab_size
    num_bytes, folder = 4 * shape[0] * shape[1], tempfile.gettempdir()
    if num_bytes > shutil.disk_usage(folder).free:
        raise ConfigError(
            f"{folder} has no space for {num_bytes / _MIB:,.0f} MiB of logits: compare fewer "
            "--windows, or set TMPDIR to another folder"
        )
    with tempfile.TemporaryFile() as file:
        started = time.monotonic()
        for logits in parts:
            try:
                file.write(logits.tobytes())
                file.flush()
            except OSError as exc:
                raise ConfigError(f"cannot keep logits in {folder}: {exc.strerror}") from exc
        yield file, time.monotonic() - started


def _measure(
    file: Source, parts: Iterable[Array], kept: IO[bytes], windows: Windows, max_kl: float | None
) -> Result:
    """Compare a file's logits, window by window, with the original's in ``kept``."""
    started = time.monotonic()
    kept.seek(0)
    found = []
    for index, logits in enumerate(parts):
        expected = np.frombuffer(kept.read(logits.nbytes), np.float32).reshape(logits.shape)
        found.append(compare(expected, logits, windows.targets(index)))
    tokens = join(found)
    return Result(
        file.path,
        file.type,
        file.kv_type,
        file.path.stat().st_size,
        tokens,
        summarize(tokens),
        file.limit if max_kl is None else max_kl,
        time.monotonic() - started,
    )


def _counted(source: Source, windows: Windows, progress: Progress | None) -> Iterator[Array]:
    """Logits of a source, with ``progress`` called after each window.

    Raises:
        ModelError: some are not finite.
    """
    total = len(windows.rows)
    if progress is not None:
        progress(source.path, 0, total)
    for number, logits in enumerate(source.logits(windows), start=1):
        if not np.isfinite(logits).all():
            raise ModelError(f"{source.path}: its logits are not finite, so the file is damaged")
        yield logits
        if progress is not None:
            progress(source.path, number, total)
