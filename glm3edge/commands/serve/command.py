"""``glm3edge serve``: options in, settings out."""

from pathlib import Path
from typing import Annotated

import typer

from glm3edge import __version__
from glm3edge.commands.logs import say, start_logging
from glm3edge.commands.options import JsonLogs, LogLevel

_REQUESTS, _DEVICES, _MODELS = "Requests", "Devices", "Other models"
_FILES, _ACCESS = "Files", "Who may use it"


def serve_command(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
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
    type: Annotated[  # noqa: A002 - the option's name
        str | None, typer.Option(help="Quantization of a checkpoint. [q4_k_m; built-in: q8_0]")
    ] = None,
    parallel: Annotated[
        int | None, typer.Option(help="Requests that run at once and share the context. [4]")
    ] = None,
    queue: Annotated[
        int | None,
        typer.Option(help="Requests that may wait; more get 429. [64]", rich_help_panel=_REQUESTS),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            help="Seconds a request may take; 0 sets no limit. [0]", rich_help_panel=_REQUESTS
        ),
    ] = None,
    clamp_max_tokens: Annotated[
        bool | None,
        typer.Option(
            help="Give what fits where max_tokens asks for more than the context has room for, "
            "instead of refusing the request. [off]",
            rich_help_panel=_REQUESTS,
        ),
    ] = None,
    drafts: Annotated[
        bool | None,
        typer.Option(
            help="Guess at tokens where the text repeats itself. [on]", rich_help_panel=_REQUESTS
        ),
    ] = None,
    deterministic: Annotated[
        bool | None,
        typer.Option(
            help="Same seed, same text, always: one request at a time. [off]",
            rich_help_panel=_REQUESTS,
        ),
    ] = None,
    max_body: Annotated[
        str | None,
        typer.Option(
            help="Size that the body of a request may have. [32MiB]", rich_help_panel=_REQUESTS
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Compute threads. [physical cores]", rich_help_panel=_DEVICES)
    ] = None,
    gpu_layers: Annotated[
        str | None,
        typer.Option(
            metavar="auto|all|N",
            help="Layers on GPUs and workers, counted back from the output. [auto: what fits]",
            rich_help_panel=_DEVICES,
        ),
    ] = None,
    shrink_ctx: Annotated[
        bool | None,
        typer.Option(
            "--shrink-ctx/--no-shrink-ctx",
            help="Take a smaller context, 2048 at least, where all layers fit then. [off]",
            rich_help_panel=_DEVICES,
        ),
    ] = None,
    cpu_layers: Annotated[
        str | None,
        typer.Option(
            metavar="0-3,7", help="Layers that stay on the CPU. [none]", rich_help_panel=_DEVICES
        ),
    ] = None,
    tensor_placement: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN=DEVICE",
            help="Put tensors whose name has a match on a device, such as 'ffn_.*=CPU'. "
            "Repeatable; the first that matches counts.",
            rich_help_panel=_DEVICES,
        ),
    ] = None,
    kv_on_gpu: Annotated[
        bool | None,
        typer.Option(
            "--kv-on-gpu/--kv-on-cpu",
            help="Where keys and values are: with their layer, or not.",
            rich_help_panel=_DEVICES,
        ),
    ] = None,
    tensor_split: Annotated[
        str | None,
        typer.Option(
            metavar="3,1", help="Shares of the GPUs. [what fits]", rich_help_panel=_DEVICES
        ),
    ] = None,
    main_gpu: Annotated[
        int | None,
        typer.Option(
            help="The one GPU to use, by its number. [all of them]", rich_help_panel=_DEVICES
        ),
    ] = None,
    kv_type: Annotated[
        str | None,
        typer.Option(
            metavar="f16|q8_0|q4_0",
            help="What keys and values are kept in. [f16]",
            rich_help_panel=_DEVICES,
        ),
    ] = None,
    rpc: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Worker (glm3edge worker) on another machine that shares the layers. Repeatable.",
            rich_help_panel=_DEVICES,
        ),
    ] = None,
    embedding_model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Encoder for embeddings (BERT, XLM-RoBERTa): a GGUF file, a checkpoint folder or "
            "a repository. [the chat model]",
            rich_help_panel=_MODELS,
        ),
    ] = None,
    lora: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADAPTER[:SCALE]",
            help="LoRA adapter to serve as a model of its own name: a GGUF file or a PEFT folder. "
            "Repeatable.",
            rich_help_panel=_MODELS,
        ),
    ] = None,
    prefix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PREFIX",
            help="P-Tuning v2 prefix to serve as a model of its own name: a GGUF file or a "
            "checkpoint folder. Repeatable.",
            rich_help_panel=_MODELS,
        ),
    ] = None,
    disk_cache: Annotated[
        str | None,
        typer.Option(
            help="Disk space for computed conversations, 0 for none. [4GiB]", rich_help_panel=_FILES
        ),
    ] = None,
    cache_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where converted models are kept. [the platform's]", rich_help_panel=_FILES
        ),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Web origin allowed besides this machine's; * allows all. Repeatable.",
            rich_help_panel=_ACCESS,
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            help="What callers must send; better set GLM3EDGE_API_KEY. [none]",
            rich_help_panel=_ACCESS,
        ),
    ] = None,
    no_auth: Annotated[
        bool | None,
        typer.Option(
            "--no-auth", help="Let other machines in without a key. [off]", rich_help_panel=_ACCESS
        ),
    ] = None,
    allowed_hosts: Annotated[
        list[str] | None,
        typer.Option(
            help="Names of this server besides --host; * allows all. Repeatable.",
            rich_help_panel=_ACCESS,
        ),
    ] = None,
    log_level: LogLevel = "warning",
    json_logs: JsonLogs = False,
) -> None:
    """Serve a model on OpenAI's routes.

    Every option can be set by an environment variable too: GLM3EDGE_CTX_SIZE for --ctx-size.
    """
    start_logging(log_level, as_json=json_logs)
    say("start", f"glm3edge {__version__}: {model or 'the built-in demo model'}")
    # What takes long to import is imported once there is something to wait for.
    from glm3edge.commands.serve.run import serve  # noqa: PLC0415
    from glm3edge.config.settings import load_settings  # noqa: PLC0415

    settings = load_settings(
        host=host,
        port=port,
        ctx_size=ctx_size,
        parallel=parallel,
        queue=queue,
        timeout=timeout,
        clamp_max_tokens=clamp_max_tokens,
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
    serve(model, settings)
