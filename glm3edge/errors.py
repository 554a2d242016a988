"""Exceptions that several packages share; all others are in their owner's ``errors`` module.

    Glm3EdgeError
    ├── ConfigError               a setting is wrong
    │   └── SandboxError                                         tools/errors.py
    ├── ToolError                                                tools/errors.py
    ├── ModelError                the model file, or llama.cpp with it, failed
    │   ├── ModelLoadError
    │   ├── DeviceError           a GPU or worker is missing or unsuitable
    │   ├── DoesNotFitError       not enough memory
    │   ├── ResourceClosedError   used after close()
    │   └── ModelFileError        a GGUF file cannot be read
    ├── HubError                  and those below it             store/hub/errors.py
    ├── EngineUnfitError          a server is no engine       remote/errors.py
    ├── GrammarError              a grammar is invalid or too large
    ├── ServerError, TranscriptError                             commands/chat/errors.py
    ├── VerifyError               and those below it             commands/verify/errors.py
    ├── RequestError              the caller has to change the request
    │   ├── InvalidRequestError
    │   ├── ContextLengthExceededError
    │   ├── (Previous)ResponseNotFoundError                      serving/responses/errors.py
    │   └── those refused before any route                       server/request_errors.py
    └── EngineError               the server or the machine failed
        ├── EngineClosedError
        ├── EngineLostError       its process has ended; it is restarted
        │   ├── EngineStalledError
        │   └── EngineUnreachableError                        remote/errors.py
        ├── QueueFullError
        ├── TimeoutExceededError
        └── DecodeError
            └── DecodeAbortedError

Exceptions carry fields: callers that need a number read the field, never the text. A class has the
program's exit code; the table in server/error_responses.py gives each its HTTP status.
"""

from pathlib import Path
from typing import Any, ClassVar

from glm3edge_convert.counts import counted


class Glm3EdgeError(Exception):
    """Base of everything this package raises on purpose.

    Attributes:
        exit_code: the program's exit code if nothing catches the error.
    """

    exit_code: ClassVar[int] = 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with the final message and the fields, so that it can cross processes."""
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(kind: type[Exception], args: tuple[Any, ...], fields: dict[str, Any]) -> Exception:
    exc = kind.__new__(kind)
    exc.args = args
    exc.__dict__.update(fields)
    return exc


class ConfigError(Glm3EdgeError):
    """A setting is wrong; the message names it and says which values are accepted."""

    exit_code = 2


class ModelError(Glm3EdgeError):
    """The model file, or llama.cpp working with it, failed."""

    exit_code = 8


class ModelLoadError(ModelError):
    """A model could not be loaded.

    Attributes:
        path: the file that was to be loaded.
        reason: what was wrong with it, in one line.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot load {path}: {reason}")
        self.path = path
        self.reason = reason


class DeviceError(ModelError):
    """A device is missing, or cannot be used as requested."""


class DoesNotFitError(ModelError):
    """A model needs more memory than there is, however it is distributed.

    Attributes:
        needed: bytes needed in the CPU's memory.
        usable: bytes available there.
        advice: what would fit, empty if that is not known.
    """

    def __init__(self, *, needed: int, usable: int, advice: str = "") -> None:
        super().__init__(
            f"it does not fit: {needed / 2**30:,.2f} GiB of memory is needed, and "
            f"{usable / 2**30:,.2f} GiB can be used{advice and f'; {advice}'}"
        )
        self.needed = needed
        self.usable = usable
        self.advice = advice


class ResourceClosedError(ModelError):
    """A model or context was used after it had been closed."""


class ModelFileError(ModelError):
    """A file is damaged, or is not a GGUF file.

    Attributes:
        path: the file.
        reason: what is wrong with it, in one line.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read {path}: {reason}")
        self.path = path
        self.reason = reason


class GrammarError(Glm3EdgeError):
    """A grammar is invalid or too large."""


class RequestError(Glm3EdgeError):
    """The request cannot be served as it stands.

    Attributes:
        param: the request field at fault, None if there is none.
    """

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class InvalidRequestError(RequestError):
    """A request field has an invalid or unsupported value."""


class ContextLengthExceededError(RequestError):
    """Prompt and requested reply exceed the context.

    Attributes:
        num_prompt_tokens: tokens in the prompt.
        num_new_tokens: tokens requested for the reply (``max_tokens``).
        context_size: tokens the context holds.
        is_least: whether the prompt may have more tokens: it was not tokenized.
    """

    def __init__(
        self,
        *,
        num_prompt_tokens: int,
        num_new_tokens: int,
        context_size: int,
        param: str,
        is_least: bool = False,
    ) -> None:
        total = f"{'at least ' if is_least else ''}{num_prompt_tokens + num_new_tokens}"
        message = (
            f"This model's maximum context length is {context_size} tokens. However, you requested "
            f"{total} tokens ({num_prompt_tokens} in the {param}, {num_new_tokens} in the "
            f"completion). Please reduce the length of the {param} or completion"
        )
        if num_prompt_tokens < context_size and num_new_tokens:
            message += "; a server started with --clamp-max-tokens gives what fits instead"
        super().__init__(f"{message}.", param=param)
        self.num_prompt_tokens = num_prompt_tokens
        self.num_new_tokens = num_new_tokens
        self.context_size = context_size
        self.is_least = is_least


class EngineError(Glm3EdgeError):
    """The engine could not finish a request."""


class EngineClosedError(EngineError):
    """The engine is shutting down, or has shut down."""


class EngineLostError(EngineError):
    """The engine's process has ended, or does not respond.

    Attributes:
        reason: why, in one line.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the engine failed and is being restarted: {reason}")
        self.reason = reason


class EngineStalledError(EngineLostError):
    """The engine's process has not answered in time, as when a worker is frozen.

    Attributes:
        seconds: how long it was waited for.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer in {seconds:.0f} s")
        self.seconds = seconds


class QueueFullError(EngineError):
    """The queue of waiting requests is full.

    Attributes:
        retry_after: seconds after which a retry may succeed.
    """

    def __init__(self, *, num_waiting: int, retry_after: int) -> None:
        super().__init__(
            f"the queue is full, with {counted(num_waiting, 'request')} waiting; "
            f"try again in {retry_after} s"
        )
        self.retry_after = retry_after


class TimeoutExceededError(EngineError):
    """A request took longer than the time limit.

    Attributes:
        seconds: the limit.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the request took longer than {seconds:g} s, which is this server's limit"
        )
        self.seconds = seconds


class DecodeError(EngineError):
    """llama.cpp failed to decode a batch.

    Attributes:
        code: return value of ``llama_decode``.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"llama.cpp could not process the batch (llama_decode returned {code})")
        self.code = code


class DecodeAbortedError(DecodeError):
    """Decoding of a batch was aborted on request; its results are discarded."""


def excerpt(text: str, limit: int) -> str:
    """``text``, of over ``limit`` characters without its middle: an error may quote the request,
    and ends with what to do."""
    half = limit // 2
    return text if len(text) <= limit else f"{text[:half]}...{text[-half:]}"
