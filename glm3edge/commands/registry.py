"""Registry of the commands: their help, and where to import them from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """Entry of a command.

    Attributes:
        panel: section of ``glm3edge --help``.
        help: its line there.
        place: ``module:name`` of its function, or of a Typer application with commands of its own.
    """

    panel: str
    help: str
    place: str


_SERVE, _MODELS = "Serve and chat", "Models on disk"
_CONVERT, _MACHINE = "Convert", "This machine"

COMMANDS = {
    "serve": Entry(
        _SERVE,
        "Serve a model on OpenAI's routes.",
        "glm3edge.commands.serve.command:serve_command",
    ),
    "chat": Entry(
        _SERVE,
        "Chat with a model in the terminal.",
        "glm3edge.commands.chat.command:chat_command",
    ),
    "run": Entry(
        _SERVE,
        "Pull a model if need be, and chat with it.",
        "glm3edge.commands.chat.command:run_command",
    ),
    "worker": Entry(
        _SERVE,
        "Lend this machine's devices to a server.",
        "glm3edge.commands.worker.command:worker_command",
    ),
    "pull": Entry(
        _MODELS,
        "Download a model.",
        "glm3edge.commands.models:pull_command",
    ),
    "models": Entry(
        _MODELS,
        "List the models in the cache, or remove some.",
        "glm3edge.commands.models:models",
    ),
    "inspect": Entry(
        _MODELS,
        "Show the metadata and tensors of a GGUF file.",
        "glm3edge.commands.inspect:inspect_command",
    ),
    "convert": Entry(
        _CONVERT,
        "Convert a checkpoint to a quantized GGUF file.",
        "glm3edge.commands.convert:convert_command",
    ),
    "convert-lora": Entry(
        _CONVERT,
        "Convert a LoRA adapter to a GGUF file.",
        "glm3edge_convert.cli:convert_lora_command",
    ),
    "convert-prefix": Entry(
        _CONVERT,
        "Convert a P-Tuning v2 prefix to a GGUF file.",
        "glm3edge_convert.cli:convert_prefix_command",
    ),
    "export-tokenizer": Entry(
        _CONVERT,
        "Export a checkpoint's tokenizer for vLLM.",
        "glm3edge.commands.convert:export_tokenizer_command",
    ),
    "imatrix": Entry(
        _CONVERT,
        "Compute an importance matrix for a small quantization.",
        "glm3edge.commands.imatrix:imatrix_command",
    ),
    "verify": Entry(
        _CONVERT,
        "Compare a converted file with its original.",
        "glm3edge.commands.verify.command:verify_command",
    ),
    "plan": Entry(
        _MACHINE,
        "Estimate what fits, on which devices, and how fast.",
        "glm3edge.commands.plan.command:plan_command",
    ),
    "doctor": Entry(
        _MACHINE,
        "Show devices, and what is missing to use them.",
        "glm3edge.commands.doctor.command:doctor_command",
    ),
    "config": Entry(
        _MACHINE,
        "Show the settings, and where each comes from.",
        "glm3edge.commands.config:config_command",
    ),
    "bench": Entry(
        _MACHINE,
        "Benchmark the server on this machine.",
        "glm3edge.commands.bench.command:bench_command",
    ),
}
"""In the order of ``glm3edge --help``."""
