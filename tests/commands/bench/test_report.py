import json
from pathlib import Path

import pytest

from glm3edge.commands.bench.report import markdown, plot, rows, show, spread
from glm3edge.commands.bench.run import BARE, Results
from glm3edge.errors import ConfigError


def results() -> Results:
    results = Results()
    for bare, ours in ((100.0, 80.0), (200.0, 190.0), (100.0, 90.0)):
        results.add("one-stream", BARE, bare)
        results.add("one-stream", "glm3edge", ours)
    results.add("second-turn", "glm3edge", 0.123)
    results.failures["peer, embeddings"] = "/v1/embeddings answered 501"
    return results


def test_ratios_are_those_of_one_round() -> None:
    assert results().ratios("one-stream", "glm3edge") == [0.8, 0.95, 0.9]
    assert results().ratios("second-turn", "glm3edge") == []


def test_rows() -> None:
    assert rows(results()) == [
        ("one stream", BARE, "100 (100-200) tokens/s", ""),
        ("one stream", "glm3edge", "90.0 (80.0-190.0) tokens/s", "0.900 (0.800-0.950)"),
        ("second turn / first", "glm3edge", "0.123 (0.123-0.123)", ""),
    ]


def test_a_table_says_what_failed() -> None:
    table = markdown(results())
    assert table.startswith("| scenario |")
    assert table.endswith("\n- peer, embeddings: /v1/embeddings answered 501\n")
    assert markdown(Results()).count("\n") == 2


def test_a_pipe_gets_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    for found in (results(), Results()):
        show(found)
        assert capsys.readouterr().out == markdown(found)


def test_results_are_kept_as_json(tmp_path: Path) -> None:
    results().write(tmp_path / "results.json")
    data = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert data["numbers"]["second-turn"] == {"glm3edge": [0.123]}


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([1], "1.000 (1.000-1.000)"), ([9, 11, 30], "11.0 (9.0-30.0)"), ([400, 500], "450 (400-500)")],
)
def test_spread(numbers: list[float], text: str) -> None:
    assert spread(numbers) == text


@pytest.mark.slow
def test_a_plot(tmp_path: Path) -> None:
    plot(results(), tmp_path / "plot.svg")
    text = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    assert text.count("<svg") == 1


def test_no_plot_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing was compared"):
        plot(Results(), tmp_path / "plot.svg")
