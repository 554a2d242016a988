"""The exception tree. It knows no HTTP: the server's table gives each type its status.

    Glm3EdgeError
    ├── ConfigError               a setting that cannot work
    ├── ModelError                the model file, or llama.cpp with it
    │   ├── ModelLoadError
    │   └── ResourceClosedError   used after close()
    ├── GrammarError              a grammar that cannot be followed
    ├── VerifyError               a converted file is not as its original
    │   ├── MismatchError         in its sizes, its vocabulary or the ids it gives to text
    │   └── DivergenceError       in its predictions
    ├── RequestError              the caller's to mend
    │   ├── InvalidRequestError
    │   ├── ContextLengthExceededError
    │   ├── ResponseNotFoundError
    │   ├── PreviousResponseNotFoundError
    │   ├── BodyTooLargeError
    │   ├── AuthenticationError   no API key, or a wrong one
    │   ├── HostNotAllowedError   sent to a name that is not this server's
    │   └── OriginNotAllowedError sent by another's web page
    └── EngineError               ours or the machine's
        ├── EngineClosedError
        ├── QueueFullError
        ├── TimeoutExceededError
        └── DecodeError
            └── DecodeAbortedError

Exceptions carry fields; whoever needs a number reads the field, never the text.
"""

from pathlib import Path


class Glm3EdgeError(Exception):
    """Base of everything this package raises on purpose."""


class ConfigError(Glm3EdgeError):
    """A setting is wrong; the message names it and says what is accepted."""


class ModelError(Glm3EdgeError):
    """The model file, or llama.cpp working with it, failed."""


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


class ResourceClosedError(ModelError):
    """A model or context was used after it had been closed."""


class GrammarError(Glm3EdgeError):
    """A grammar is too large, or no grammar."""


class VerifyError(Glm3EdgeError):
    """A converted file is not as its original.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


class MismatchError(VerifyError):
    """A file is of another model or has another tokenizer than its original."""


class DivergenceError(VerifyError):
    """A file's predictions are further from the original's than its type explains.

    Attributes:
        mean_kl: mean Kullback-Leibler divergence, in nats a token.
        limit: what it may be.
    """

    def __init__(self, path: Path, *, mean_kl: float, limit: float) -> None:
        super().__init__(
            path,
            f"its predictions are {mean_kl:.3g} nats a token from the original's, and {limit:g} "
            "is the limit of its type: convert it again, from this original",
        )
        self.mean_kl = mean_kl
        self.limit = limit


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
        super().__init__(
            f"This model's maximum context length is {context_size} tokens. However, you requested "
            f"{total} tokens ({num_prompt_tokens} in the {param}, {num_new_tokens} in the "
            f"completion). Please reduce the length of the {param} or completion.",
            param=param,
        )
        self.num_prompt_tokens = num_prompt_tokens
        self.num_new_tokens = num_new_tokens
        self.context_size = context_size


class ResponseNotFoundError(RequestError):
    """A response was never kept, or is no longer.

    Attributes:
        response_id: what it was asked for by.
    """

    def __init__(self, response_id: str) -> None:
        super().__init__(f"Response with id {response_id!r} not found.")
        self.response_id = response_id


class PreviousResponseNotFoundError(RequestError):
    """The response that a request follows is not kept.

    Attributes:
        response_id: what the request calls it.
    """

    def __init__(self, response_id: str) -> None:
        super().__init__(
            f"Previous response with id {response_id!r} not found.", param="previous_response_id"
        )
        self.response_id = response_id


class BodyTooLargeError(RequestError):
    """The body is longer than bodies may be.

    Attributes:
        max_bytes: how long they may be.
    """

    def __init__(self, *, max_bytes: int) -> None:
        super().__init__(
            f"the body has more than {max_bytes} bytes, which is this server's limit (--max-body)"
        )
        self.max_bytes = max_bytes


class AuthenticationError(RequestError):
    """The request has no API key, or a wrong one, which is never repeated.

    Attributes:
        is_missing: whether there was none.
    """

    def __init__(self, *, is_missing: bool) -> None:
        fault = "this server needs its API key" if is_missing else "the API key is wrong"
        super().__init__(f"{fault}: send it as Authorization: Bearer KEY, or as x-api-key: KEY")
        self.is_missing = is_missing


class HostNotAllowedError(RequestError):
    """The request was sent to a name that is not known to be this server's.

    Attributes:
        host: the name in the Host header, None if there is no usable one.
    """

    def __init__(self, host: str | None) -> None:
        if host is None:
            message = "the request needs one Host header with a name or an address"
        else:
            message = (
                f"{host} is not known as a name of this server: use the address it listens on, "
                f"or start it with --allowed-hosts {host}"
            )
        super().__init__(message)
        self.host = host


class OriginNotAllowedError(RequestError):
    """The request was sent by a web page that may not use this server.

    Attributes:
        origin: the page's origin.
    """

    def __init__(self, origin: str) -> None:
        super().__init__(
            f"pages of {origin} may not use this server, unless it is started with "
            f"--cors-origin {origin}"
        )
        self.origin = origin


class EngineError(Glm3EdgeError):
    """The engine could not finish a request."""


class EngineClosedError(EngineError):
    """The engine is shutting down, or has."""


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
