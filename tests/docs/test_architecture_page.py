"""docs/architecture.md says what the import contract says, in the same order."""

import re

from importlinter.api import read_configuration

from tests.support.pages import rows
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "architecture.md"


def test_the_table_is_the_contract() -> None:
    contracts = read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]
    layers = [re.findall(r"\w+", layer) for layer in contracts[0]["layers"]]
    table = rows(PAGE, "The packages")
    assert [re.findall(r"`(\w+)`", names) for names, _ in table] == layers


def test_the_walks_name_files_that_exist() -> None:
    walks = PAGE.read_text("utf-8").partition("## Three walks")[2].partition("## Decisions")[0]
    steps = re.findall(r"^\d+\. (?:`(\w+)`: )?(.+)$", walks, re.MULTILINE)
    assert len(steps) > 20
    for package, text in steps:
        for name in re.findall(r"`([\w/]+\.py)`", text):
            homes = [ROOT / home / package for home in ("glm3edge", "convert/glm3edge_convert")]
            assert any((home / name).is_file() for home in homes), f"{package}/{name}"
