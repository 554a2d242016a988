"""docs/security.md: its limits are those of the code, and each promise names tests that exist."""

import re
from collections.abc import Iterator
from itertools import pairwise

from glm3edge import limits
from glm3edge.config import defaults
from glm3edge.server.connection_limits import MAX_PIPELINED, SPARE_CONNECTIONS, TIME_LIMITS, Phase
from glm3edge.server.http_protocol import MAX_HEAD_BYTES, MAX_HEADERS
from glm3edge.serving.responses.store import MAX_BYTES, MAX_RESPONSES
from tests.support.pages import rows, tokens
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "security.md"
ADVICE = {"Security", "Where it stays off", "Reporting"}
"""Headings below which nothing is promised."""
TEST = re.compile(r"\[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\)")
KIB, MIB = 2**10, 2**20


def connection_limits() -> dict[str, str]:
    """Limits of the first table, by what they limit."""
    seconds = {phase: f"{limit:g} s" for phase, limit in TIME_LIMITS.items()}
    assert seconds[Phase.IDLE] == seconds[Phase.UNREAD]
    assert defaults.TIMEOUT == 0
    return {
        "request line and headers": f"{MAX_HEAD_BYTES // KIB} KiB, {MAX_HEADERS} headers",
        "time without any byte": f"{seconds[Phase.HEAD]} in the headers (in all), "
        f"{seconds[Phase.BODY]} in a body, {seconds[Phase.IDLE]} between requests or with a "
        "response that is not read",
        "TLS handshake": seconds[Phase.HEAD],
        "connections": f"`--parallel` + `--queue` + {SPARE_CONNECTIONS}",
        "requests ahead of their responses (pipelining)": f"{MAX_PIPELINED}",
        "a body": f"`--max-body`, {limits.MAX_BODY_BYTES // MIB} MiB",
        "requests at once, and waiting": f"`--parallel` {defaults.PARALLEL}, "
        f"`--queue` {defaults.QUEUE}",
        "time of a request": "`--timeout`, none by default",
        "tokens of prompt and reply": "the context length",
        "kept responses": f"{MAX_RESPONSES:,} or {MAX_BYTES // MIB} MiB, in memory",
    }


def request_limits() -> Iterator[tuple[str, str]]:
    """Each limit's name, and its amount as the page writes it."""
    for name, value in vars(limits).items():
        if name == "MAX_COUNTS":
            yield from ((name, f"{most:,}") for _, most in value.values())
        elif name.startswith("MAX_") and name not in ("MAX_BODY_BYTES", "MAX_PREPARED"):
            yield name, f"{value:,}"


def promises() -> Iterator[tuple[str, str]]:
    """Heading and text of each bullet and of each row of a table's body."""
    heading, texts = "", [""]
    for above, token in pairwise(tokens(PAGE)):
        if token.type in ("list_item_open", "tr_open"):
            texts = []
        elif token.type == "inline" and above.type == "heading_open":
            heading = token.content
        elif token.type == "inline" and above.type != "th_open":
            texts.append(token.content)
        elif token.type in ("list_item_close", "tr_close") and texts:
            yield heading, " | ".join(texts)


def test_the_limits_of_connections_are_those_of_the_code() -> None:
    assert {what: limit for what, limit, *_ in rows(PAGE, "Limits")} == connection_limits()


def test_the_limits_of_requests_are_those_of_the_code() -> None:
    table = [(name.strip("`"), amount) for _, amount, name, _ in rows(PAGE, "Limits", number=1)]
    assert sorted(table) == sorted(request_limits())
    named = re.search(r"At most (\d+) requests \(`MAX_PREPARED`\)", PAGE.read_text("utf-8"))
    assert named is not None
    assert int(named[1]) == limits.MAX_PREPARED


def test_each_promise_names_a_test() -> None:
    found = [(heading, text) for heading, text in promises() if heading not in ADVICE]
    assert [text for _, text in found if not TEST.search(text)] == []
    headings = {
        below.content for above, below in pairwise(tokens(PAGE)) if above.type == "heading_open"
    }
    assert {heading for heading, _ in found} == headings - ADVICE


def test_each_test_exists() -> None:
    text = PAGE.read_text("utf-8")
    named = set(TEST.findall(text))
    assert len(re.findall(r"test_\w+`", text)) == len(TEST.findall(text)) > 100  # all are links
    for name, path in sorted(named):
        assert re.search(rf"(?m)^ *def {name}\(", (ROOT / path).read_text("utf-8")), (path, name)
