"""The package's public names."""

import subprocess
import sys

import pytest

import glm3edge_convert
from glm3edge_convert import conversion, export
from glm3edge_convert.adapters import lora, prefix
from glm3edge_convert.errors import ConvertError
from glm3edge_convert.progress import Progress


def test_public_names_are_those_of_the_modules() -> None:
    public = {name: getattr(glm3edge_convert, name) for name in glm3edge_convert.__all__}
    assert public == {
        "ConvertError": ConvertError,
        "Progress": Progress,
        "convert": conversion.convert,
        "convert_lora": lora.convert_lora,
        "convert_prefix": prefix.convert_prefix,
        "export_tokenizer": export.export_tokenizer,
    }


def test_other_names_are_unknown() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'reconvert'"):
        _ = glm3edge_convert.reconvert  # type: ignore[attr-defined]


def test_the_package_imports_no_library_before_it_is_used() -> None:
    code = (
        "import sys\n"
        "from glm3edge_convert import ConvertError\n"
        "print({'gguf', 'numpy', 'rich', 'typer'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
