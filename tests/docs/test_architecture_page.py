"""docs/architecture.md says what the import contract says, in the same order."""

import re

from importlinter.api import read_configuration

from tests.support.pages import rows
from tests.support.paths import ROOT


def test_the_table_is_the_contract() -> None:
    contracts = read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]
    layers = [re.findall(r"\w+", layer) for layer in contracts[0]["layers"]]
    table = rows(ROOT / "docs" / "architecture.md", "The packages")
    assert [re.findall(r"`(\w+)`", names) for names, _ in table] == layers
