"""The commands of ``glm3edge``: what each is for, and where it is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """A command.

    Attributes:
        panel: the heading it stands under in ``glm3edge --help``.
        help: what stands beside it there.
        place: ``module:name`` of its function, or of the Typer that has its own commands.
    """

    panel: str
    help: str
    place: str


_SERVE, _MODELS = "Serve and talk", "Models on the disk"
_CONVERT, _MACHINE = "Convert", "This machine"

COMMANDS = {
    "serve": Entry(
        _SERVE, "Serve a model on OpenAI's routes.", "glm3edge.commands.serve.command:serve_command"
    ),
    "chat": Entry(
        _SERVE, "Talk to a model in the terminal.", "glm3edge.commands.chat.command:chat_command"
    ),
    "worker": Entry(
        _SERVE,
        "Lend this machine's devices to a server.",
        "glm3edge.commands.worker.command:worker_command",
    ),
    "pull": Entry(_MODELS, "Download a model.", "glm3edge.commands.models:pull_command"),
    "models": Entry(
        _MODELS, "List what is in the cache, or remove it.", "glm3edge.commands.models:models"
    ),
    "inspect": Entry(
        _MODELS, "Show what is in a GGUF file.", "glm3edge.commands.models:inspect_command"
    ),
    "convert": Entry(
        _CONVERT, "Make a quantized GGUF file.", "glm3edge_convert.cli:convert_command"
    ),
    "convert-lora": Entry(
        _CONVERT, "Make a GGUF file of a LoRA.", "glm3edge_convert.cli:convert_lora_command"
    ),
    "convert-prefix": Entry(
        _CONVERT,
        "Make a GGUF file of a P-Tuning v2 prefix.",
        "glm3edge_convert.cli:convert_prefix_command",
    ),
    "imatrix": Entry(
        _CONVERT,
        "Measure what matters, for small types.",
        "glm3edge.commands.imatrix:imatrix_command",
    ),
    "verify": Entry(
        _CONVERT,
        "Hold a file against its original.",
        "glm3edge.commands.verify.command:verify_command",
    ),
    "plan": Entry(
        _MACHINE,
        "Tell what fits, where, and how fast.",
        "glm3edge.commands.plan.command:plan_command",
    ),
    "doctor": Entry(
        _MACHINE,
        "Show devices and what is missing.",
        "glm3edge.commands.doctor.command:doctor_command",
    ),
    "bench": Entry(
        _MACHINE, "Measure the server here.", "glm3edge.commands.bench.command:bench_command"
    ),
}
"""In the order of ``glm3edge --help``."""
