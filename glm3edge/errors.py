"""The exception tree. It knows no HTTP: the server's table gives each type its status.

    Glm3EdgeError
    ├── ConfigError               a setting that cannot work
    │   └── SandboxError          nothing here can shut a program in
    ├── ToolError                 a tool's call that failed; the chat goes on
    ├── ModelError                the model file, or llama.cpp with it
    │   ├── ModelLoadError
    │   ├── DeviceError           a GPU or worker that is not here, or cannot do it
    │   ├── DoesNotFitError       more memory than there is
    │   ├── ResourceClosedError   used after close()
    │   └── ModelFileError        a GGUF file that cannot be read
    ├── HubError                  a model that cannot be had from a hub
    │   ├── RepositoryNotFoundError
    │   ├── RevisionNotFoundError
    │   ├── RepositoryGatedError  its licence has to be accepted first
    │   ├── TokenRefusedError
    │   ├── HubUnreachableError
    │   ├── HubOfflineError       not in the cache, and the network is switched off
    │   ├── DownloadBrokenError
    │   ├── ChecksumError
    │   ├── HubSpaceError
    │   ├── FileChoiceError       none of its GGUF files is meant, or several are
    │   ├── MissingFileError      it lacks a file that it names
    │   └── NotAModelError
    ├── GrammarError              a grammar that cannot be followed
    ├── ServerError               a server that is asked refuses, fails or is not there
    ├── TranscriptError           a file of a conversation or of tools that cannot be used
    ├── VerifyError               a converted file is not as its original
    │   ├── MismatchError         in its sizes, its vocabulary or the ids it gives to text
    │   └── DivergenceError       in its predictions
    ├── RequestError              the caller's to mend
    │   ├── InvalidRequestError
    │   ├── ContextLengthExceededError
    │   ├── ResponseNotFoundError
    │   ├── PreviousResponseNotFoundError
    │   ├── BodyTooLargeError
    │   ├── HeadersTooLargeError
    │   ├── AuthenticationError   no API key, or a wrong one
    │   ├── HostNotAllowedError   sent to a name that is not this server's
    │   └── OriginNotAllowedError sent by another's web page
    └── EngineError               ours or the machine's
        ├── EngineClosedError
        ├── EngineLostError       its process has ended; it comes back
        ├── QueueFullError
        ├── TimeoutExceededError
        └── DecodeError
            └── DecodeAbortedError

Exceptions carry fields; whoever needs a number reads the field, never the text.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Glm3EdgeError(Exception):
    """Base of everything this package raises on purpose."""

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


class SandboxError(ConfigError):
    """The code interpreter stays off: this system cannot shut it in.

    Attributes:
        reasons: what was tried, and why it does not work here.
    """

    def __init__(self, reasons: Sequence[str], remedy: str) -> None:
        super().__init__(f"the code interpreter stays off: {'; '.join(reasons)}. {remedy}")
        self.reasons = tuple(reasons)


class ToolError(Glm3EdgeError):
    """A tool's call failed; the message can be given to the model as its result."""


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


class HubError(Glm3EdgeError):
    """A model could not be had from a hub."""


class RepositoryNotFoundError(HubError):
    """The hub has no such repository, or does not show it to this user.

    Attributes:
        name: what was asked for.
        hub: the hub's address.
    """

    def __init__(self, name: str, hub: str) -> None:
        super().__init__(
            f"there is no file or folder {name}, and no repository of that name on {hub}: "
            "check the spelling, or set HF_TOKEN if it is private"
        )
        self.name = name
        self.hub = hub


class RevisionNotFoundError(HubError):
    """The repository has no such branch, tag or commit.

    Attributes:
        name: the repository.
        revision: what was asked for.
    """

    def __init__(self, name: str, revision: str) -> None:
        super().__init__(f"{name} has no revision {revision}: give a branch, a tag or a commit")
        self.name = name
        self.revision = revision


class RepositoryGatedError(HubError):
    """The repository's licence has to be accepted on its page.

    Attributes:
        name: the repository.
        url: its page.
    """

    def __init__(self, name: str, url: str) -> None:
        super().__init__(
            f"{name} is gated: accept its licence on {url}, then set HF_TOKEN to a token of "
            "that account"
        )
        self.name = name
        self.url = url


class TokenRefusedError(HubError):
    """The hub does not know the token, or lets it do too little.

    Attributes:
        name: the repository.
        status: what the hub answered.
    """

    def __init__(self, name: str, status: int) -> None:
        super().__init__(
            f"the hub refuses {name} ({status}): check that HF_TOKEN is a valid token that may "
            "read it"
        )
        self.name = name
        self.status = status


class HubUnreachableError(HubError):
    """The hub does not answer, and the model is not in the cache.

    Attributes:
        name: what was asked for.
        hub: the hub's address.
        reason: what happened, in one line.
    """

    def __init__(self, name: str, hub: str, reason: str) -> None:
        super().__init__(
            f"{name} is not complete in the cache and {hub} cannot be reached ({reason}): check "
            "the network, or set HF_ENDPOINT to a mirror"
        )
        self.name = name
        self.hub = hub
        self.reason = reason


class HubOfflineError(HubError):
    """The model is not in the cache, and HF_HUB_OFFLINE keeps off the network.

    Attributes:
        name: what was asked for.
    """

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is not complete in the cache and HF_HUB_OFFLINE is set: run glm3edge pull "
            f"{name} once without it"
        )
        self.name = name


class DownloadBrokenError(HubError):
    """A connection broke and could not be had again.

    Attributes:
        file: the file that was on its way.
        num_bytes: how much of it is there.
        num_bytes_total: how much it is.
    """

    def __init__(self, file: str, *, num_bytes: int, num_bytes_total: int) -> None:
        super().__init__(
            f"the download of {file} broke off after {num_bytes:,} of {num_bytes_total:,} bytes; "
            "run the command again to go on from there"
        )
        self.file = file
        self.num_bytes = num_bytes
        self.num_bytes_total = num_bytes_total


class ChecksumError(HubError):
    """A file that was downloaded is not the one the hub has; it has been removed.

    Attributes:
        file: its path in the repository.
        expected: the SHA-256 that the hub tells.
        found: that of what came.
    """

    def __init__(self, name: str, file: str, *, expected: str, found: str) -> None:
        super().__init__(
            f"{file} of {name} came damaged (SHA-256 {found[:12]} instead of {expected[:12]}) and "
            "was removed: pull it again, or set HF_ENDPOINT to another mirror"
        )
        self.file = file
        self.expected = expected
        self.found = found


class HubSpaceError(HubError):
    """The disk has no room for what is to be pulled.

    Attributes:
        folder: where it was to go.
        num_bytes_needed: how much is still to come, None if it was found out on the way.
        num_bytes_free: how much room there is.
    """

    def __init__(self, folder: Path, *, num_bytes_needed: int | None, num_bytes_free: int) -> None:
        needed = num_bytes_needed and f"{num_bytes_needed / 2**20:,.0f} MiB are needed and "
        super().__init__(
            f"no room in {folder}: {needed or ''}{num_bytes_free / 2**20:,.0f} MiB are free; "
            "make room, or set HF_HOME to another disk"
        )
        self.folder = folder
        self.num_bytes_needed = num_bytes_needed
        self.num_bytes_free = num_bytes_free


class FileChoiceError(HubError):
    """None of a repository's GGUF files is meant by a name, or several are.

    Attributes:
        name: what was asked for.
        files: the GGUF files there are.
    """

    def __init__(
        self, name: str, repository: str, files: Sequence[str], *, num_fitting: int
    ) -> None:
        fault = f"{num_fitting} GGUF files fit {name}" if num_fitting else f"no file fits {name}"
        known = ", ".join(files) or "it has no GGUF files"
        super().__init__(f"{fault}: name one as {repository}:FILE ({known})")
        self.name = name
        self.files = tuple(files)


class MissingFileError(HubError):
    """A repository lacks a file that it names itself.

    Attributes:
        name: the repository.
        file: the file, if it is known.
    """

    def __init__(self, name: str, file: str | None = None) -> None:
        super().__init__(
            f"{name} lacks {file or 'a file'} that it names itself: its upload may be unfinished; "
            "pull it later, or name another repository"
        )
        self.name = name
        self.file = file


class NotAModelError(HubError):
    """A repository holds neither a checkpoint nor a GGUF file.

    Attributes:
        name: the repository.
    """

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} holds no GGUF file and no checkpoint (config.json with safetensors or "
            "pytorch_model.bin): name another repository"
        )
        self.name = name


class GrammarError(Glm3EdgeError):
    """A grammar is too large, or no grammar."""


class ServerError(Glm3EdgeError):
    """A server that was asked for a reply gave none.

    Attributes:
        status: the HTTP status it answered with, None if it did not answer.
        code: what its error body calls the failure, None if it does not say.
    """

    def __init__(self, message: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class TranscriptError(Glm3EdgeError):
    """A file of a conversation or of tools cannot be read or written.

    Attributes:
        path: the file.
        reason: what is wrong with it, in one line.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


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
        kv_type: what keys and values were kept in.
    """

    def __init__(self, path: Path, *, mean_kl: float, limit: float, kv_type: str = "f32") -> None:
        remedy = "of its type: convert it again, from this original"
        if kv_type != "f32":
            remedy = f"of its type with keys and values in {kv_type}: look at it with them in f32"
        super().__init__(
            path,
            f"its predictions are {mean_kl:.3g} nats a token from the original's, and {limit:g} "
            f"is the limit {remedy}",
        )
        self.mean_kl = mean_kl
        self.limit = limit
        self.kv_type = kv_type


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


class HeadersTooLargeError(RequestError):
    """The request line and the headers are longer, or more, than they may be.

    Attributes:
        max_bytes: how long they may be, together.
        max_headers: how many headers there may be.
    """

    def __init__(self, *, max_bytes: int, max_headers: int) -> None:
        super().__init__(
            f"the request line and headers have more than {max_bytes} bytes, or there are more "
            f"than {max_headers} headers; send what is long in the body"
        )
        self.max_bytes = max_bytes
        self.max_headers = max_headers


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
