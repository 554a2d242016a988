"""Options of ``glm3edge serve``, a class for each section of its help."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from glm3edge.commands.options import (
    CacheDir,
    CtxSize,
    EngineOptions,
    GpuLayers,
    KVCacheType,
    LogFormatOptions,
    LogLevelOptions,
    Parallel,
    QuantType,
    Rpc,
    Threads,
)
from glm3edge.commands.signature import Options
from glm3edge.config import defaults
from glm3edge.limits import MAX_BODY_BYTES


@dataclass(frozen=True, kw_only=True)
class RequestOptions(Options, heading="Requests"):
    """Limits of requests, and how they are generated."""

    queue: Annotated[
        int | None,
        typer.Option(
            help=f"Requests that may wait; further ones get status 429. [{defaults.QUEUE}]"
        ),
    ] = None
    timeout: Annotated[
        float | None,
        typer.Option(
            help=f"Seconds that a request may take; 0 sets no limit. [{defaults.TIMEOUT:g}]"
        ),
    ] = None
    clamp_max_tokens: Annotated[
        bool | None,
        typer.Option(
            help="Reduce max_tokens to what the context has space for, instead of refusing the "
            "request. [off]"
        ),
    ] = None
    drafts: Annotated[
        bool | None,
        typer.Option(help="Speculative decoding, with drafts from text that repeats. [on]"),
    ] = None
    deterministic: Annotated[
        bool | None,
        typer.Option(
            help="Always give the same text for the same seed; one request runs at a time. [off]"
        ),
    ] = None
    max_body: Annotated[
        str | None,
        typer.Option(help=f"Maximum size of a request body. [{MAX_BODY_BYTES // 2**20}MiB]"),
    ] = None


@dataclass(frozen=True, kw_only=True)
class DeviceOptions(Options, heading="Devices"):
    """Placement of layers, tensors and KV cache on CPU, GPUs and workers."""

    threads: Threads = None
    gpu_layers: GpuLayers = None
    shrink_ctx: Annotated[
        bool | None,
        typer.Option(
            help="Shrink the context, to no less than 2048 tokens, if all layers then fit on the "
            "GPUs. [off]"
        ),
    ] = None
    cpu_layers: Annotated[
        str | None, typer.Option(metavar="0-3,7", help="Layers that stay on the CPU. [none]")
    ] = None
    tensor_placement: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN=DEVICE",
            help="Put the tensors whose name matches a regular expression on a device, such as "
            "'ffn_.*=CPU'. Repeatable; the first match counts.",
        ),
    ] = None
    kv_on_gpu: Annotated[
        bool | None,
        typer.Option(
            "--kv-on-gpu/--kv-on-cpu",
            help="Keep each layer's KV cache on the device of the layer, or all of it on the CPU.",
        ),
    ] = None
    tensor_split: Annotated[
        str | None, typer.Option(metavar="3,1", help="Shares of the GPUs. [what fits]")
    ] = None
    main_gpu: Annotated[
        int | None, typer.Option(help="The only GPU to use, by its number. [all of them]")
    ] = None
    kv_type: KVCacheType = None
    rpc: Rpc = None
    stall_timeout: Annotated[
        float | None,
        typer.Option(
            help="Seconds without an answer after which a GPU or worker counts as lost; up to 120 "
            f"where batches take that long. [{defaults.STALL_TIMEOUT:g}]"
        ),
    ] = None
    isolate: Annotated[
        bool | None,
        typer.Option(
            help="Run the engine in a process of its own on the CPU too, so that running out of "
            "memory does not end the server. [off]"
        ),
    ] = None
    idle_unload: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="Unload the model after so long without a request (10m, 90s), and load it for the "
            "next one; the engine then runs in a process of its own. [never]",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class OtherModelOptions(Options, heading="Other models"):
    """Models that are served beside the chat model."""

    embedding_model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Encoder for embeddings (BERT, XLM-RoBERTa): a GGUF file, a checkpoint folder or "
            "a repository. [the chat model]",
        ),
    ] = None
    rerank_model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Reranker (XLM-RoBERTa, such as bge-reranker): a GGUF file, a checkpoint folder "
            "or a repository. [none]",
        ),
    ] = None
    lora: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADAPTER[:SCALE]",
            help="LoRA adapter to serve as a model of its own name: a GGUF file or a PEFT folder. "
            "Repeatable.",
        ),
    ] = None
    prefix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PREFIX",
            help="P-Tuning v2 prefix to serve as a model of its own name: a GGUF file or a "
            "checkpoint folder. Repeatable.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class FileOptions(Options, heading="Files"):
    """Folders and disk space."""

    disk_cache: Annotated[
        str | None,
        typer.Option(
            help="Disk space for the KV cache of conversations, 0 for none. "
            f"[{defaults.DISK_CACHE_BYTES // 2**30}GiB]"
        ),
    ] = None
    cache_dir: CacheDir = None


@dataclass(frozen=True, kw_only=True)
class AccessOptions(Options, heading="Access"):
    """Access to the server."""

    cors_origins: Annotated[
        list[str] | None,
        typer.Option(
            "--cors-origins",
            "--cors-origin",
            help="Web origin that browsers may call from, besides this machine's; * allows all. "
            "Repeatable.",
        ),
    ] = None
    api_key: Annotated[
        str | None,
        typer.Option(help="API key that clients must send; prefer GLM3EDGE_API_KEY. [none]"),
    ] = None
    no_auth: Annotated[
        bool | None,
        typer.Option(
            "--no-auth", help="Allow requests from other machines without an API key. [off]"
        ),
    ] = None
    allowed_hosts: Annotated[
        list[str] | None,
        typer.Option(
            help="Name that requests may give this server, besides --host; * allows all. "
            "Repeatable."
        ),
    ] = None
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Serve HTTPS with this certificate, followed by those of its authorities, in PEM "
            "format. [none: HTTP]",
        ),
    ] = None
    tls_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Private key of the certificate, in PEM format. [in the certificate's file]",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class ServeOptions(
    RequestOptions,
    DeviceOptions,
    OtherModelOptions,
    EngineOptions,
    FileOptions,
    AccessOptions,
    LogLevelOptions,
    LogFormatOptions,
):
    """All options of ``glm3edge serve``."""

    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A GGUF file, a checkpoint folder to convert once, or a repository to pull once: "
            "owner/name[@revision][:type]. Default: a built-in demo.",
            show_default=False,
        ),
    ] = None
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on; one that other machines can reach needs an API key. "
            f"[{defaults.HOST}]"
        ),
    ] = None
    port: Annotated[
        int | None,
        typer.Option(help=f"Port to listen on; 0 takes a free one. [{defaults.PORT}]"),
    ] = None
    open: Annotated[
        bool | None,
        typer.Option(
            "--open", help="Open the chat page in a browser once the server is ready. [off]"
        ),
    ] = None
    ctx_size: CtxSize = None
    type: QuantType = None
    parallel: Parallel = None
