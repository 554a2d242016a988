"""Constrained decoding: masks of the tokens that a grammar allows next, from llguidance."""

import ctypes
import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import llama_cpp.llama_cpp as native
import llguidance
import numpy as np

from glm3edge.core import Mask
from glm3edge.errors import GrammarError, excerpt
from glm3edge.llama.model import Model

logger = logging.getLogger(__name__)

_CONTROL = b"\xff"  # llguidance expects it before the names of tokens that are no text
_MAX_KEPT_CHARS = 2**20
"""Cache of compiled grammars: clients send the same tools again and again. A character of a grammar
takes some 150 bytes there, and each grammar as much as 300 characters besides. The last one is kept
whatever its size: what checks a request compiles it, and the engine asks for it again."""
_CHARS_APIECE = 300
_Key = tuple[str, tuple[int, ...]]
_MAX_REASON_CHARS = 300
_LIMITS = llguidance.LLParserLimits(max_items_in_row=10_000, step_lexer_fuel=20_000_000)
"""By default llguidance fails in mid-reply where over 600 options or properties could come next, or
where a pattern repeats some 3,000 characters. The time of a step grows with them, as the square of
the options: 0.2 s at this limit."""


class Guide:
    """Compiler of grammars to matchers, over one model's vocabulary.

    The vocabulary is read with the first grammar: 0.4 s for ChatGLM3's 65,024 tokens.
    """

    def __init__(self, model: Model, *, end_ids: Iterable[int]) -> None:
        """``end_ids`` are the tokens that may follow a complete text."""
        self._model = model
        self._end_ids = sorted(end_ids)
        self._lock = threading.Lock()
        self._tokenizer: Any = None
        self._compiled: OrderedDict[_Key, Matcher | str] = OrderedDict()  # or why it cannot be

    def matcher(self, grammar: str, begun_ids: tuple[int, ...] = ()) -> "Matcher":
        """A matcher of ``grammar``, in llguidance's dialect of Lark, after the text's first tokens.

        From any thread.

        Raises:
            GrammarError: llguidance cannot compile it, or it does not allow these tokens.
        """
        key = grammar, begun_ids
        with self._lock:
            kept = self._compiled.get(key)
        compiled = kept or self._compiled_or_error(grammar, begun_ids)
        with self._lock:
            self._compiled[key] = compiled
            self._compiled.move_to_end(key)
            while len(self._compiled) > 1 and self._num_chars() > _MAX_KEPT_CHARS:
                self._compiled.popitem(last=False)
        if isinstance(compiled, str):
            raise GrammarError(compiled)
        return compiled.copy()

    def _num_chars(self) -> int:
        """Characters that the compiled grammars count for."""
        return sum(
            _CHARS_APIECE + len(grammar) + len(begun_ids) for grammar, begun_ids in self._compiled
        )

    def _compiled_or_error(self, grammar: str, begun_ids: tuple[int, ...]) -> "Matcher | str":
        try:
            if not begun_ids:
                return self._compile(grammar)
            matcher = self.matcher(grammar)
            for token_id in begun_ids:
                matcher.accept(token_id)
        except GrammarError as exc:
            return str(exc)
        return matcher

    def _compile(self, grammar: str) -> "Matcher":
        compiled = llguidance.LLMatcher(
            self._get_tokenizer(),
            llguidance.LLMatcher.grammar_from_lark(grammar),
            log_level=0,
            limits=_LIMITS,
        )
        if compiled.is_error():
            raise GrammarError(_reason(compiled.get_error()))
        matcher = Matcher(compiled, vocab_size=self._model.vocab_size)
        matcher.copy().allowed()  # fails where no text fits the grammar
        return matcher

    def _get_tokenizer(self) -> Any:
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = self._read_vocabulary()
            return self._tokenizer

    def _read_vocabulary(self) -> Any:
        """The vocabulary as llguidance's tokenizer, as its module ``llamacpp`` makes it."""
        model = self._model
        names = [model.token_name(token_id) for token_id in range(model.vocab_size)]
        return llguidance.LLTokenizer.from_llamacpp(  # type: ignore[attr-defined]
            tokens=[
                _CONTROL + name if model.is_control(token_id) else name
                for token_id, name in enumerate(names)
            ],
            vocab_ptr=model.vocab_handle,
            tokenize_fptr=ctypes.cast(native._lib.llama_tokenize, ctypes.c_void_p).value,
            eos_token=self._end_ids,
            slices=None,
        )


class Matcher:
    """State of one text in a grammar."""

    def __init__(self, matcher: Any, *, vocab_size: int) -> None:
        self._matcher = matcher
        self._mask = np.zeros((vocab_size + 31) // 32 * 4, np.uint8)

    def copy(self) -> "Matcher":
        """Another matcher in the same state."""
        return Matcher(self._matcher.deep_copy(), vocab_size=8 * len(self._mask))

    def allowed(self) -> Mask:
        """Mask of the tokens that may come next; overwritten by the next call.

        Raises:
            GrammarError: the grammar has grown beyond llguidance's limits.
        """
        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        self._check()
        return self._mask

    def accept(self, token_id: int) -> None:
        """Advance by a token that was allowed.

        Raises:
            GrammarError: it was not allowed.
        """
        self._matcher.consume_token(token_id)
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            # llguidance's message quotes the text and the grammar, and errors are logged.
            logger.debug("%s", self._matcher.get_error())
            raise GrammarError(f"the grammar cannot be followed ({self._matcher.stop_reason()})")


def _reason(error: str) -> str:
    """llguidance's message on one line, without the grammar or the stack that it quotes, and with
    the ends of a long pattern only."""
    text = re.split(r"\n *\d+ \||<backtrace>", error)[0]
    return excerpt(" ".join(re.sub(r"^at \d+\(\d+\): ", "", text).split()), _MAX_REASON_CHARS)
