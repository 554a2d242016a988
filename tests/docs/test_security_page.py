"""docs/security.md lists the limits that the code has."""

import re

from glm3edge import limits
from tests.support.pages import rows
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "security.md"


def amounts() -> list[tuple[str, str]]:
    """Each limit's name, and its amount as the page writes it."""
    found = []
    for name, value in vars(limits).items():
        if name == "MAX_COUNTS":
            found += [(name, f"{most:,}") for _, most in value.values()]
        elif name.startswith("MAX_") and name not in ("MAX_BODY_BYTES", "MAX_PREPARED"):
            found.append((name, f"{value:,}"))
    return found


def test_the_table_is_that_of_the_code() -> None:
    table = [(name.strip("`"), amount) for _, amount, name in rows(PAGE, "Limits", number=1)]
    assert sorted(table) == sorted(amounts())


def test_the_text_names_the_others() -> None:
    text = PAGE.read_text("utf-8")
    assert f"`--max-body`, {limits.MAX_BODY_BYTES // 2**20} MiB" in text
    named = re.search(r"At most (\d+) requests \(`MAX_PREPARED`\)", text)
    assert named is not None
    assert int(named[1]) == limits.MAX_PREPARED
