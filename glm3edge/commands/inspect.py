"""``glm3edge inspect``: metadata and tensors of a GGUF file."""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from glm3edge.commands.models import find_cached
from glm3edge.commands.options import AsJson, CacheDir
from glm3edge.commands.tables import new_table, print_table
from glm3edge.config.settings import load_settings
from glm3edge.store.inspection import Inspection, inspect
from glm3edge.store.store import Store
from glm3edge_convert.gguf.reader import LongArray
from glm3edge_convert.printable import json_text, one_line

_MIB = 2**20
_MAX_TEXT = 100  # characters of a metadata text in the table


def inspect_command(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A GGUF file, or the name of a cached model.")
    ],
    tensors: Annotated[bool, typer.Option("--tensors", help="List each tensor.")] = False,
    as_json: AsJson = False,
    cache_dir: CacheDir = None,
) -> None:
    """Show the metadata of a GGUF file, its tensor types and sizes."""
    path = Path(file).expanduser()
    if not path.exists():
        models = Store(load_settings(cache_dir=cache_dir).cache_dir).models()
        path = find_cached(file, models, missing="file").path
    inspection = inspect(path)
    if as_json:
        value = _as_json(inspection, with_tensors=tensors)
        print(json_text(value, indent=2))
        return
    _print_metadata(inspection)
    print()
    _print_types(inspection)
    if tensors:
        print()
        _print_tensors(inspection)


def _as_json(inspection: Inspection, *, with_tensors: bool) -> dict[str, Any]:
    value: dict[str, Any] = {
        "path": str(inspection.path),
        "bytes": inspection.num_bytes,
        "metadata": {key: _plain(item) for key, item in inspection.metadata.items()},
        "types": [
            {"type": total.type, "tensors": total.num_tensors, "bytes": total.num_bytes}
            for total in inspection.type_totals
        ],
    }
    if with_tensors:
        value["tensors"] = [
            {"name": t.name, "type": t.type, "shape": t.shape, "bytes": t.num_bytes}
            for t in inspection.tensors
        ]
    return value


def _plain(value: Any) -> Any:
    """A value that JSON has: infinity and NaN become texts."""
    if isinstance(value, LongArray):
        return {"first": _plain(list(value.first)), "length": value.length}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)


def _print_metadata(inspection: Inspection) -> None:
    print(f"{one_line(str(inspection.path))}: {inspection.num_bytes / _MIB:,.1f} MiB")
    print()
    table = new_table("KEY", "VALUE")
    for key, value in inspection.metadata.items():
        table.add_row(key, _shortened(value))
    print_table(table)


def _shortened(value: object) -> str:
    if isinstance(value, LongArray):
        first = ", ".join(_shortened(item) for item in value.first)
        return f"[{first}, ...] ({value.length:,} elements)"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}... ({len(text):,} characters)"


def _print_types(inspection: Inspection) -> None:
    table = new_table("TYPE", ">TENSORS", ">SIZE")
    totals = inspection.type_totals
    for total in totals:
        table.add_row(total.type, str(total.num_tensors), f"{total.num_bytes / _MIB:,.1f} MiB")
    num_bytes = sum(total.num_bytes for total in totals)
    table.add_row("all", str(len(inspection.tensors)), f"{num_bytes / _MIB:,.1f} MiB")
    print_table(table)


def _print_tensors(inspection: Inspection) -> None:
    table = new_table("TENSOR", "TYPE", ">SHAPE", ">BYTES")
    for tensor in inspection.tensors:
        shape = " x ".join(map(str, tensor.shape))
        table.add_row(tensor.name, tensor.type, shape, f"{tensor.num_bytes:,}")
    print_table(table)
