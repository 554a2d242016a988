"""What only some tests need: where it is missing they skip and say so, and in CI they fail."""

import importlib
import os
from types import ModuleType
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it in CI, which installs everything."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI lacks what it should have installed: {reason}")
    pytest.skip(reason, allow_module_level=True)


def need_module(name: str, reason: str) -> ModuleType:
    """Import a module that may be missing."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        missing(reason)
