"""The ``glm3edge`` command: options in, parts wired together, exit codes out."""

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer

from glm3edge import __version__
from glm3edge.bench.cli import bench_command
from glm3edge.config import Settings, load_settings
from glm3edge.doctor.cli import doctor_command
from glm3edge.errors import (
    ConfigError,
    DivergenceError,
    Glm3EdgeError,
    HubError,
    MismatchError,
    ModelError,
)
from glm3edge.imatrix_command import imatrix_command
from glm3edge.logs import LOG_LEVELS, start_logging
from glm3edge.model_commands import (
    inspect_command,
    models_command,
    pull_command,
    remove_command,
)
from glm3edge.plan_command import plan_command
from glm3edge.store import DEFAULT_NAME, Store
from glm3edge.verify.cli import verify_command
from glm3edge.worker.cli import worker_command
from glm3edge_convert.cli import (
    convert_command,
    convert_lora_command,
    convert_prefix_command,
    exit_code,
    progress_bar,
)
from glm3edge_convert.errors import ConvertError

if TYPE_CHECKING:
    from glm3edge.llama.remote import Report
    from glm3edge.server.runtime import Runtime

P = ParamSpec("P")

EXIT_CODES: dict[type[Glm3EdgeError], int] = {
    ConfigError: 2,
    ModelError: 8,
    MismatchError: 9,
    DivergenceError: 10,
    HubError: 11,
}
"""What a failure ends the program with; conversion has codes of its own, 2 to 7."""

_INTERRUPTED = 130
_KEY_HEADER = '           -H "Authorization: Bearer $GLM3EDGE_API_KEY" \\'

app = typer.Typer(
    name="glm3edge",
    help="ChatGLM3-6B at home: convert, quantize, serve.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_show_locals=False,  # one of them is the API key
)
app.command("convert")(convert_command)
app.command("convert-lora")(convert_lora_command)
app.command("convert-prefix")(convert_prefix_command)


def _with_exit_codes(command: Callable[P, None]) -> Callable[P, None]:
    """``command``, whose failures end the program with a line and a code."""

    @functools.wraps(command)
    def run(*args: P.args, **options: P.kwargs) -> None:
        try:
            command(*args, **options)
        except ConvertError as exc:
            _fail(exc, exit_code(exc))
        except Glm3EdgeError as exc:
            _fail(exc, next((c for t, c in EXIT_CODES.items() if isinstance(exc, t)), 1))
        except KeyboardInterrupt:
            raise typer.Exit(_INTERRUPTED) from None

    return run


app.command("bench")(_with_exit_codes(bench_command))
app.command("doctor")(_with_exit_codes(doctor_command))
app.command("imatrix")(_with_exit_codes(imatrix_command))
app.command("verify")(_with_exit_codes(verify_command))
app.command("worker")(_with_exit_codes(worker_command))
app.command("plan")(_with_exit_codes(plan_command))
app.command("pull")(_with_exit_codes(pull_command))
app.command("inspect")(_with_exit_codes(inspect_command))
models = typer.Typer(help="List what is in the cache, or remove it.", rich_markup_mode=None)
models.callback(invoke_without_command=True)(_with_exit_codes(models_command))
models.command("rm")(_with_exit_codes(remove_command))
app.add_typer(models, name="models")


def main() -> None:
    """Entry point of the console script."""
    app()


def _show_version(value: bool) -> None:
    if value:
        print(f"glm3edge {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """ChatGLM3-6B at home: convert, quantize, serve."""


@app.command()
@_with_exit_codes
def serve(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="A GGUF file, a checkpoint folder to convert once, or a repository to pull once: "
            "owner/name[@revision][:type]. Default: a built-in demo.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on; others' need a key. [127.0.0.1]"),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one. [8000]")] = None,
    ctx_size: Annotated[
        int | None, typer.Option(help="Tokens of context. [the model's own, up to 8192]")
    ] = None,
    parallel: Annotated[
        int | None, typer.Option(help="Requests that run at once and share the context. [4]")
    ] = None,
    queue: Annotated[
        int | None, typer.Option(help="Requests that may wait; more get 429. [64]")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds a request may take; 0 sets no limit. [0]")
    ] = None,
    drafts: Annotated[
        bool | None,
        typer.Option(help="Guess at tokens where the text repeats itself. [on]"),
    ] = None,
    deterministic: Annotated[
        bool | None,
        typer.Option(help="Same seed, same text, always: one request at a time. [off]"),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Compute threads. [physical cores]")] = None,
    gpu_layers: Annotated[
        str | None,
        typer.Option(
            metavar="auto|all|N",
            help="Layers on GPUs and workers, counted back from the output. [auto: what fits]",
        ),
    ] = None,
    shrink_ctx: Annotated[
        bool | None,
        typer.Option(
            "--shrink-ctx/--no-shrink-ctx",
            help="Take a smaller context, 2048 at least, where all layers fit then. [off]",
        ),
    ] = None,
    cpu_layers: Annotated[
        str | None, typer.Option(metavar="0-3,7", help="Layers that stay on the CPU. [none]")
    ] = None,
    tensor_placement: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN=DEVICE",
            help="Put tensors whose name has a match on a device, such as 'ffn_.*=CPU'. "
            "Repeatable; the first that matches counts.",
        ),
    ] = None,
    kv_on_gpu: Annotated[
        bool | None,
        typer.Option(
            "--kv-on-gpu/--kv-on-cpu", help="Where keys and values are: with their layer, or not."
        ),
    ] = None,
    tensor_split: Annotated[
        str | None, typer.Option(metavar="3,1", help="Shares of the GPUs. [what fits]")
    ] = None,
    main_gpu: Annotated[
        int | None, typer.Option(help="The one GPU to use, by its number. [all of them]")
    ] = None,
    kv_type: Annotated[
        str | None,
        typer.Option(metavar="f16|q8_0|q4_0", help="What keys and values are kept in. [f16]"),
    ] = None,
    rpc: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Worker (glm3edge worker) on another machine that shares the layers. Repeatable.",
        ),
    ] = None,
    type: Annotated[  # noqa: A002 - the option's name
        str | None, typer.Option(help="Quantization of a checkpoint. [q4_k_m; built-in: q8_0]")
    ] = None,
    embedding_model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Encoder for embeddings (BERT, XLM-RoBERTa): a GGUF file, a checkpoint folder or "
            "a repository. [the chat model]",
        ),
    ] = None,
    lora: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADAPTER[:SCALE]",
            help="LoRA adapter to serve as a model of its own name: a GGUF file or a PEFT folder. "
            "Repeatable.",
        ),
    ] = None,
    prefix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PREFIX",
            help="P-Tuning v2 prefix to serve as a model of its own name: a GGUF file or a "
            "checkpoint folder. Repeatable.",
        ),
    ] = None,
    disk_cache: Annotated[
        str | None,
        typer.Option(help="Disk space for computed conversations, 0 for none. [4GiB]"),
    ] = None,
    cache_dir: Annotated[
        Path | None, typer.Option(help="Where converted models are kept. [the platform's]")
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(help="Web origin allowed besides this machine's; * allows all. Repeatable."),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(help="What callers must send; better set GLM3EDGE_API_KEY. [none]"),
    ] = None,
    no_auth: Annotated[
        bool | None,
        typer.Option("--no-auth", help="Let other machines in without a key. [off]"),
    ] = None,
    allowed_hosts: Annotated[
        list[str] | None,
        typer.Option(help="Names of this server besides --host; * allows all. Repeatable."),
    ] = None,
    max_body: Annotated[
        str | None, typer.Option(help="Size that the body of a request may have. [32MiB]")
    ] = None,
    log_level: Annotated[str, typer.Option(help=f"One of {', '.join(LOG_LEVELS)}.")] = "warning",
) -> None:
    """Serve a model on OpenAI's routes.

    Every option can be set by an environment variable too: GLM3EDGE_CTX_SIZE for --ctx-size.
    """
    start_logging(log_level)
    settings = load_settings(
        host=host,
        port=port,
        ctx_size=ctx_size,
        parallel=parallel,
        queue=queue,
        timeout=timeout,
        drafts=drafts,
        deterministic=deterministic,
        threads=threads,
        gpu_layers=gpu_layers,
        shrink_ctx=shrink_ctx,
        cpu_layers=cpu_layers,
        tensor_placement=tensor_placement or None,
        kv_on_gpu=kv_on_gpu,
        tensor_split=tensor_split,
        main_gpu=main_gpu,
        kv_type=kv_type,
        rpc=rpc or None,
        type=type,
        embedding_model=embedding_model,
        lora=lora or None,
        prefix=prefix or None,
        disk_cache=disk_cache,
        cache_dir=cache_dir,
        cors_origins=cors_origin or None,
        api_key=api_key,
        no_auth=no_auth,
        allowed_hosts=allowed_hosts or None,
        max_body=max_body,
    )
    _serve(model, settings)


def _serve(model: str | None, settings: Settings) -> None:
    # What takes long to import is imported once there is something to wait for.
    from glm3edge.server import serve as server  # noqa: PLC0415
    from glm3edge.server.app import create_app  # noqa: PLC0415
    from glm3edge.server.runtime import Runtime  # noqa: PLC0415

    with server.bind(settings) as sock:
        with progress_bar() as progress:
            store = Store(settings.cache_dir, type=settings.type, progress=progress)
            path = store.find(model)
            embedding_path = store.find_encoder(settings.embedding_model)
            adapters = store.find_adapters(settings.lora)
            prefixes = store.find_prefixes(settings.prefix)
        model_id = None if model else DEFAULT_NAME
        with Runtime(
            path,
            settings,
            model_id=model_id,
            embedding_path=embedding_path,
            adapters=[*adapters, *prefixes],
        ) as runtime:
            port = sock.getsockname()[1]

            def announce() -> None:
                print(_banner(runtime, path, settings, port, is_demo=model is None))
                sys.stdout.flush()

            app = create_app(runtime.services, settings)
            server.run(app, runtime.services, sock, on_ready=announce)
    print("stopped")


def _banner(runtime: "Runtime", path: Path, settings: Settings, port: int, *, is_demo: bool) -> str:
    url_host = f"[{settings.host}]" if ":" in settings.host else settings.host
    base_url = f"http://{url_host}:{port}/v1"
    model, card = runtime.model, runtime.services.card
    size = f"{model.num_bytes / 2**20:,.1f} MiB"
    body = {"model": card.id, "messages": [{"role": "user", "content": "你好"}]}
    lines = [
        f"model    {card.id}  ({path})",
        f"         {model.description}, {size}, context {card.context_length} tokens",
        *_placement_lines(runtime.report),
        *(
            f"embeds   {other.id}, up to {other.context_length} tokens a text"
            if other.parent is None
            else f"adapter  {other.id}"
            for other in runtime.services.cards[1:]
        ),
        f"server   {base_url}  (docs: {base_url.removesuffix('/v1')}/docs)",
        f"chat     {base_url.removesuffix('/v1')}/  (in a browser)",
        f"try      curl {base_url}/chat/completions -H 'Content-Type: application/json' \\",
        *([_KEY_HEADER] if settings.api_key is not None else []),
        f"           -d '{json.dumps(body, ensure_ascii=False)}'",
        "stop     Ctrl-C",
    ]
    if settings.no_auth:
        lines.insert(3, "         no key: whoever reaches this address can use it")
    if is_demo:
        lines.insert(
            2, "         A toy to try the API with: it greets, knows glm3edge, calls tools."
        )
    return "\n".join(lines)


def _placement_lines(report: "Report | None") -> list[str]:
    if report is None:
        return []
    from glm3edge.llama.allocations import describe  # noqa: PLC0415

    first, *others = describe(report.layer_devices, report.allocations)
    return [f"devices  {first}", *(f"         {line}" for line in others)]


def _fail(exc: Exception, code: int) -> None:
    print(f"error: {exc}", file=sys.stderr)
    raise typer.Exit(code)
