"""Exceptions of conversion, as one tree.

    ConvertError
    ├── UnknownTypeError               no such output type
    ├── GgufError                      a GGUF file that cannot be read, or contradicts itself
    ├── ImatrixError                   an importance matrix that cannot be used, or that is missing
    ├── ScaleError                     an adapter cannot have this scale
    ├── NotACheckpointError            the folder lacks a file that every checkpoint has
    ├── NotAnAdapterError              the folder lacks a file that every LoRA adapter has
    ├── NotAPrefixError                the folder holds no P-Tuning v2 prefix
    ├── UnsupportedArchitectureError   a checkpoint, but not a ChatGLM3 one
    ├── AmbiguousArchitectureError     a checkpoint of ChatGLM3 or of ChatGLM2
    ├── QuantizedCheckpointError       a checkpoint whose weights were quantized before
    ├── UnsupportedAdapterError        an adapter that does more than LoRA
    ├── UnsupportedPrefixError         a P-Tuning v2 checkpoint where a model is wanted
    ├── CheckpointError                a ChatGLM3 checkpoint with something wrong in it
    │   ├── ConfigError                a value in config.json
    │   ├── TokenizerError             tokenizer.model
    │   ├── DamagedFileError           a file that is cut short or not in its format
    │   ├── UnreadableFileError        a file that may not be read
    │   ├── MissingTensorError
    │   ├── UnexpectedTensorError
    │   ├── TensorShapeError
    │   ├── AdapterTensorError         a tensor of an adapter that does not fit
    │   └── TensorValueError           data that cannot be stored: NaN, infinity, unknown dtype
    ├── MissingLibraryError            an optional or native library is not installed
    └── OutputError                    the output cannot be written
        ├── OutputExistsError
        ├── DiskFullError
        └── FileSizeError              the disk has room but allows no file of this size

Messages are one line: what is wrong, and what to do about it. Fields carry the parts.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from glm3edge_convert.downloads import download_problem
from glm3edge_convert.lookalikes import lookalike

MIB = 1024 * 1024


class ConvertError(Exception):
    """Base of everything this package raises on purpose.

    Attributes:
        exit_code: what the program ends with if nothing catches it.
    """

    exit_code: ClassVar[int] = 1


class UnknownTypeError(ConvertError):
    """There is no such output type."""

    exit_code = 2

    def __init__(self, type_name: str, known: Sequence[str]) -> None:
        super().__init__(f"unknown type {type_name!r}: choose one of {', '.join(known)}")
        self.type_name = type_name


class GgufError(ConvertError):
    """A GGUF file cannot be read, or contradicts itself.

    Attributes:
        path: the file.
        reason: what is wrong with it, and what to do.
    """

    exit_code = 5

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read {path}: {reason}")
        self.path = path
        self.reason = reason


class ImatrixError(ConvertError):
    """An importance matrix cannot be used, or is missing.

    Attributes:
        path: its file; None if it is missing.
    """

    exit_code = 2

    def __init__(self, path: Path | None, problem: str) -> None:
        what = "" if path is None else f"{path}: "
        remedy = "make one with glm3edge imatrix, and give it to glm3edge convert --imatrix"
        super().__init__(f"{what}{problem}; {remedy}")
        self.path = path


class ScaleError(ConvertError):
    """An adapter cannot have this scale."""

    exit_code = 2

    def __init__(self, text: str, scale: str, problem: str) -> None:
        super().__init__(f"{text}: the scale {scale} {problem}")
        self.scale = scale


class NotACheckpointError(ConvertError):
    """A folder is not a Hugging Face checkpoint."""

    exit_code = 3

    def __init__(self, path: Path, problem: str) -> None:
        usual = f"{problem}; give the folder with config.json, tokenizer.model and the weights"
        reason = lookalike(path, "config.json") or usual
        super().__init__(f"{path} is not a checkpoint folder: {reason}")
        self.path = path


class UnsupportedArchitectureError(ConvertError):
    """A checkpoint is another model's.

    Attributes:
        path: its folder.
        architecture: what model it is.
        sign: what it was recognized by.
    """

    exit_code = 4

    def __init__(self, path: Path, architecture: str, sign: str) -> None:
        super().__init__(
            f"{path} holds {architecture}, not ChatGLM3 ({sign}); only ChatGLM3 can be converted"
        )
        self.path = path
        self.architecture = architecture
        self.sign = sign


class AmbiguousArchitectureError(ConvertError):
    """Nothing in a checkpoint's folder, ``path``, tells ChatGLM3 from ChatGLM2."""

    exit_code = 4

    def __init__(self, path: Path, sign: str) -> None:
        super().__init__(
            f"is {path} ChatGLM3 or ChatGLM2? It has {sign}; if it is ChatGLM3, add "
            "tokenization_chatglm.py of the model that it was trained from, and its rope_ratio to "
            "config.json (50 for chatglm3-6b-32k)"
        )
        self.path = path


class QuantizedCheckpointError(ConvertError):
    """A checkpoint's weights are quantized.

    Attributes:
        path: its folder.
        method: what they were quantized with, empty if that is not known.
        sign: what tells.
    """

    exit_code = 4

    def __init__(self, path: Path, method: str, sign: str, *, original: str = "") -> None:
        how = f" with {method}" if method else ""
        such_as = f", such as {original}" if original else ""
        super().__init__(
            f"{path} is quantized{how} ({sign}), and only float16, bfloat16 or float32 weights can "
            f"be converted; take the checkpoint that it was made from{such_as}"
        )
        self.path = path
        self.method = method
        self.sign = sign


class NotAnAdapterError(ConvertError):
    """A folder is not a LoRA adapter that PEFT saved."""

    exit_code = 3

    def __init__(self, path: Path, problem: str) -> None:
        usual = f"{problem}; give the folder with adapter_config.json and adapter_model.safetensors"
        reason = lookalike(path, "adapter_config.json") or usual
        super().__init__(f"{path} is not a LoRA adapter: {reason}")
        self.path = path


class UnsupportedAdapterError(ConvertError):
    """An adapter does what the output cannot express.

    Attributes:
        path: its configuration.
        key: the option that says so.
        value: the value of the option.
    """

    exit_code = 4

    def __init__(
        self,
        path: Path,
        key: str,
        value: object,
        meaning: str,
        *,
        remedy: str = "merge the adapter into the model with PEFT's merge_and_unload() and convert "
        "that",
    ) -> None:
        super().__init__(
            f"{path}: {key} is {value!r}: {meaning}, which cannot be converted; {remedy}"
        )
        self.path = path
        self.key = key
        self.value = value


class NotAPrefixError(ConvertError):
    """A folder's weights are not a P-Tuning v2 prefix."""

    exit_code = 3

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} holds no P-Tuning v2 prefix: transformer.prefix_encoder is not among its "
            "tensors; give the folder that P-Tuning v2 saved"
        )
        self.path = path


class UnsupportedPrefixError(ConvertError):
    """A folder has a P-Tuning v2 prefix where a model is wanted.

    Attributes:
        path: the file that holds it.
        tensor: one of its tensors.
    """

    exit_code = 4

    def __init__(self, path: Path, tensor: str) -> None:
        super().__init__(
            f"{path}: {tensor} is a P-Tuning v2 prefix, which stands beside a model: give the "
            "model's own folder here, and this one to glm3edge serve --prefix"
        )
        self.path = path
        self.tensor = tensor


class CheckpointError(ConvertError):
    """A checkpoint's file, ``path``, has something wrong in it."""

    exit_code = 5

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


class ConfigError(CheckpointError):
    """A configuration's ``key`` is missing, of the wrong type or contradicts another."""

    def __init__(self, path: Path, key: str, problem: str) -> None:
        super().__init__(path, f"{key} {problem}; restore the file from the model's page")
        self.key = key


class TokenizerError(CheckpointError):
    """A tokenizer cannot be expressed in GGUF."""


class DamagedFileError(CheckpointError):
    """A file of the checkpoint is cut short or not in its format."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(path, download_problem(path) or f"{problem}; download the file again")


class UnreadableFileError(CheckpointError):
    """A file of the checkpoint may not be read, or its disk fails."""

    def __init__(self, path: Path, cause: OSError) -> None:
        reason = cause.strerror or str(cause)
        super().__init__(path, f"cannot be read ({reason}); check its permissions and its disk")


class MissingTensorError(CheckpointError):
    """The checkpoint lacks a tensor that the model has."""

    def __init__(self, path: Path, tensor: str) -> None:
        super().__init__(path, f"tensor {tensor} is missing; download the checkpoint again")
        self.tensor = tensor


class UnexpectedTensorError(CheckpointError):
    """The checkpoint has a tensor that the model does not have."""

    def __init__(self, path: Path, tensor: str) -> None:
        super().__init__(
            path,
            f"unexpected tensor {tensor}; give the model's own folder, and adapters with "
            "--merge-lora",
        )
        self.tensor = tensor


class TensorShapeError(CheckpointError):
    """A tensor's shape contradicts config.json."""

    def __init__(
        self,
        path: Path,
        tensor: str,
        expected: Sequence[int],
        found: Sequence[int],
        *,
        remedy: str = "use the config.json that belongs to these weights",
    ) -> None:
        shapes = f"{_shape(found)} where config.json asks for {_shape(expected)}"
        super().__init__(path, f"tensor {tensor} has shape {shapes}; {remedy}")
        self.tensor = tensor
        self.expected = tuple(expected)
        self.found = tuple(found)


class AdapterTensorError(CheckpointError):
    """A tensor of an adapter contradicts its configuration, the other tensors or the model."""

    def __init__(self, path: Path, tensor: str, problem: str) -> None:
        super().__init__(path, f"tensor {tensor} {problem}")
        self.tensor = tensor


class TensorValueError(CheckpointError):
    """A tensor's data cannot be stored in the output."""

    def __init__(self, path: Path, tensor: str, problem: str) -> None:
        super().__init__(path, f"tensor {tensor} {problem}")
        self.tensor = tensor


class MissingLibraryError(ConvertError):
    """A library is not installed; ``remedy`` is the command that installs it."""

    exit_code = 7

    def __init__(self, library: str, purpose: str, remedy: str) -> None:
        super().__init__(f"{library} is needed {purpose}: run {remedy}")
        self.library = library
        self.remedy = remedy


class OutputError(ConvertError):
    """The output, ``path``, cannot be written."""

    exit_code = 6

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"cannot write {path}: {problem}")
        self.path = path


class OutputExistsError(OutputError):
    """The output exists and may not be replaced."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "it already exists; choose another name or pass --overwrite")


class DiskFullError(OutputError):
    """The output does not fit on its disk."""

    def __init__(self, path: Path, *, num_bytes_needed: int, num_bytes_free: int) -> None:
        super().__init__(
            path,
            f"{_mib(num_bytes_needed)} are needed and {_mib(num_bytes_free)} are free; "
            "free some space or choose another disk",
        )
        self.num_bytes_needed = num_bytes_needed
        self.num_bytes_free = num_bytes_free


class FileSizeError(OutputError):
    """The file system (FAT: at most 4 GiB) or the process's limit allows no file of this size."""

    def __init__(self, path: Path, num_bytes: int) -> None:
        super().__init__(
            path, f"files of {_mib(num_bytes)} are not allowed there; choose another disk or type"
        )
        self.num_bytes = num_bytes


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "(scalar)"


def _mib(num_bytes: int) -> str:
    return f"{num_bytes / MIB:,.0f} MiB"
