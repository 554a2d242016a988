"""Models as Ollama lists and describes them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from glm3edge.core import SamplingParams
from glm3edge.schema.models import ModelCard
from glm3edge.schema.ollama import (
    Capability,
    ModelDetails,
    ModelTag,
    RunningList,
    RunningModel,
    ShowReply,
    TagList,
)
from glm3edge.serving.model_file import ModelFile
from glm3edge.serving.ollama.names import tagged, untagged
from glm3edge_convert.counts import abbreviated

VERSION = "0.24.0"
"""Version of Ollama whose API this is. VS Code's chat works with 0.6.4 and later."""

_NEVER = datetime(2318, 1, 1, tzinfo=timezone.utc)  # when what Ollama keeps for good expires

# Read by clients that want to know whether the model takes tools or a suffix; nothing runs it.
_TEMPLATE = (
    "[gMASK]<sop>{{ if or .System .Tools }}<|system|>\n {{ .Tools }}{{ .System }}{{ end }}"
    "{{ range .Messages }}<|{{ .Role }}|>\n {{ .Content }}{{ end }}<|assistant|>"
)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model or adapter, and the file of the model."""

    card: ModelCard
    file: ModelFile

    @property
    def name(self) -> str:
        """Name with its tag."""
        return tagged(self.card.id)

    @property
    def digest(self) -> str:
        """Digest that tells it from other models; an adapter's is not its model's."""
        return hashlib.sha256(f"{self.file.fingerprint} {self.card.id}".encode()).hexdigest()

    @property
    def details(self) -> ModelDetails:
        """Format and size."""
        return ModelDetails(
            parent_model=tagged(self.card.parent) if self.card.parent else "",
            family=self.file.architecture,
            families=[self.file.architecture],
            parameter_size=abbreviated(self.file.num_params),
            quantization_level=self.file.quant_type.upper(),
        )

    @property
    def modified_at(self) -> datetime:
        """Time of the file's last change."""
        return datetime.fromtimestamp(self.file.modified, timezone.utc)

    @property
    def chats(self) -> bool:
        """Whether it is no model for embeddings only."""
        return self.file.architecture == "chatglm"

    @property
    def capabilities(self) -> list[Capability]:
        """What it can be used for."""
        return ["completion", "tools"] if self.chats else ["embedding"]


def served_models(
    cards: Sequence[ModelCard], files: Mapping[str, ModelFile]
) -> Iterator[ServedModel]:
    """Models of ``cards`` whose files are known, in their order."""
    for card in cards:
        file = files.get(card.parent or card.id)
        if file is not None:
            yield ServedModel(card, file)


def tag_list(models: Iterator[ServedModel]) -> TagList:
    """All models."""
    return TagList(
        models=[
            ModelTag(
                name=model.name,
                model=model.name,
                modified_at=model.modified_at,
                size=model.file.num_bytes,
                digest=model.digest,
                details=model.details,
                capabilities=model.capabilities,
            )
            for model in models
        ]
    )


def running_list(models: Iterator[ServedModel]) -> RunningList:
    """All models, which are loaded."""
    return RunningList(
        models=[
            RunningModel(
                name=model.name,
                model=model.name,
                size=model.file.num_bytes,
                digest=model.digest,
                details=model.details,
                expires_at=_NEVER,
                size_vram=model.file.num_device_bytes,
                context_length=model.card.context_length,
            )
            for model in models
        ]
    )


def show(models: Iterator[ServedModel], name: str) -> ShowReply | None:
    """Details of the model ``name``; None if there is none of that name."""
    wanted = untagged(name)
    model = next((model for model in models if model.card.id in (name, wanted)), None)
    if model is None:
        return None
    parameters = _parameters(model)
    template = _TEMPLATE if model.chats else "{{ .Prompt }}"
    lines = [f"FROM {model.name}", f'TEMPLATE """{template}"""']
    lines += [f"PARAMETER {key} {value}" for key, value in parameters.items()]
    return ShowReply(
        modelfile="\n".join(lines),
        parameters="\n".join(f"{key:<30} {value}" for key, value in parameters.items()),
        template=template,
        details=model.details,
        model_info=_model_info(model),
        capabilities=model.capabilities,
        modified_at=model.modified_at,
    )


def _parameters(model: ServedModel) -> dict[str, int | float]:
    """Defaults of a request's options."""
    context: dict[str, int | float] = {"num_ctx": model.card.context_length}
    if not model.chats:
        return context
    defaults = SamplingParams()
    return {
        **context,
        "temperature": defaults.temperature,
        "top_k": defaults.top_k,
        "top_p": defaults.top_p,
        "repeat_penalty": defaults.repetition_penalty,
    }


def _model_info(model: ServedModel) -> dict[str, str | int]:
    """Metadata under GGUF's keys; the context length is what the server has made room for."""
    file = model.file
    return {
        "general.architecture": file.architecture,
        "general.basename": untagged(model.name),
        "general.parameter_count": file.num_params,
        f"{file.architecture}.block_count": file.num_layers,
        f"{file.architecture}.context_length": model.card.context_length,
        f"{file.architecture}.embedding_length": file.embedding_length,
    }
