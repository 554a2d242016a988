"""Exceptions that several packages raise or catch; each other one stands with its owner.

    Glm3EdgeError
    ├── ConfigError               a setting that cannot work
    │   └── SandboxError                                         tools/errors.py
    ├── ToolError                                                tools/errors.py
    ├── ModelError                the model file, or llama.cpp with it
    │   ├── ModelLoadError
    │   ├── DeviceError           a GPU or worker that is not here, or cannot do it
    │   ├── DoesNotFitError       more memory than there is
    │   ├── ResourceClosedError   used after close()
    │   └── ModelFileError        a GGUF file that cannot be read
    ├── HubError                  and those below it             store/hub/errors.py
    ├── GrammarError              a grammar that cannot be followed
    ├── ServerError, TranscriptError                             commands/chat/errors.py
    ├── VerifyError               and those below it             commands/verify/errors.py
    ├── RequestError              the caller's to mend
    │   ├── InvalidRequestError
    │   ├── ContextLengthExceededError
    │   ├── (Previous)ResponseNotFoundError                      serving/responses/errors.py
    │   └── those that no route ever sees                        server/request_errors.py
    └── EngineError               ours or the machine's
        ├── EngineClosedError
        ├── EngineLostError       its process has ended; it comes back
        ├── QueueFullError
        ├── TimeoutExceededError
        └── DecodeError
            └── DecodeAbortedError

Exceptions carry fields; whoever needs a number reads the field, never the text. A class has the
program's exit code; the server's table gives each its HTTP status.
"""

from pathlib import Path
from typing import Any, ClassVar


class Glm3EdgeError(Exception):
    """Base of everything this package raises on purpose.

    Attributes:
        exit_code: what the program ends with if nothing catches it.
    """

    exit_code: ClassVar[int] = 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Whole, from one process to another: what was made of the arguments, and the fields."""
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(kind: type[Exception], args: tuple[Any, ...], fields: dict[str, Any]) -> Exception:
    exc = kind.__new__(kind)
    exc.args = args
    exc.__dict__.update(fields)
    return exc


class ConfigError(Glm3EdgeError):
    """A setting is wrong; the message names it and says what is accepted."""

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
    """A device is missing, or cannot be used as asked."""


class DoesNotFitError(ModelError):
    """A model needs more memory than there is, wherever its parts are put.

    Attributes:
        needed: bytes that would have to be on the CPU.
        usable: bytes that may be taken there.
        advice: what would fit, empty if nothing is known of.
    """

    def __init__(self, *, needed: int, usable: int, advice: str = "") -> None:
        super().__init__(
            f"it does not fit: {needed / 2**30:,.2f} GiB of memory are needed, and "
            f"{usable / 2**30:,.2f} GiB may be taken{advice and f'; {advice}'}"
        )
        self.needed = needed
        self.usable = usable
        self.advice = advice


class ResourceClosedError(ModelError):
    """A model or context was used after it had been closed."""


class ModelFileError(ModelError):
    """A GGUF file is damaged, or is none.

    Attributes:
        path: the file.
        reason: what is wrong with it, in one line.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read {path}: {reason}")
        self.path = path
        self.reason = reason


class GrammarError(Glm3EdgeError):
    """A grammar is too large, or no grammar."""


class RequestError(Glm3EdgeError):
    """The request cannot be served as it stands.

    Attributes:
        param: the request field to blame, if there is one.
    """

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class InvalidRequestError(RequestError):
    """A request field has a value this server cannot serve."""


class ContextLengthExceededError(RequestError):
    """Prompt and requested reply do not fit the context.

    Attributes:
        num_prompt_tokens: tokens in the prompt.
        num_new_tokens: tokens asked for on top of it (``max_tokens``).
        context_size: tokens the context holds.
    """

    def __init__(
        self, *, num_prompt_tokens: int, num_new_tokens: int, context_size: int, param: str
    ) -> None:
        total = num_prompt_tokens + num_new_tokens
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


class EngineError(Glm3EdgeError):
    """The engine could not finish a request."""


class EngineClosedError(EngineError):
    """The engine is shutting down, or has."""


class EngineLostError(EngineError):
    """The process that computes has ended, or does not answer.

    Attributes:
        reason: why, in one line.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the engine is lost and will be started again: {reason}")
        self.reason = reason


class QueueFullError(EngineError):
    """As many requests wait as may.

    Attributes:
        retry_after: seconds after which it is worth trying again.
    """

    def __init__(self, *, num_waiting: int, retry_after: int) -> None:
        super().__init__(
            f"{num_waiting} requests are waiting and no more may; try again in {retry_after} s"
        )
        self.retry_after = retry_after


class TimeoutExceededError(EngineError):
    """A request took longer than requests may.

    Attributes:
        seconds: how long they may take.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the request took longer than {seconds:g} s, which is this server's limit"
        )
        self.seconds = seconds


class DecodeError(EngineError):
    """llama.cpp refused a batch.

    Attributes:
        code: what ``llama_decode`` returned.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"llama.cpp could not process the batch (llama_decode returned {code})")
        self.code = code


class DecodeAbortedError(DecodeError):
    """A batch was stopped on request; what it computed does not count."""
