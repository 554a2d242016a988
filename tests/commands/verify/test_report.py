import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from glm3edge.commands.verify.report import COLUMNS, as_json, markdown, plot, rows, show
from glm3edge.commands.verify.run import Report, Result
from glm3edge.commands.verify.statistics import Tokens, summarize

pytestmark = pytest.mark.slow


def result(name: str, type_name: str, distance: float, kv_type: str = "f32") -> Result:
    """A file whose predictions are ``distance`` away, more or less."""
    tokens = Tokens(
        kl=np.linspace(0, 2 * distance, 101),
        original_nll=np.linspace(1, 3, 101),
        nll=np.linspace(1, 3, 101) + distance * np.cos(np.arange(101)),
        same_top=np.arange(101) % 20 != 0,
        logit_difference=np.full(101, 10 * distance),
    )
    return Result(
        path=Path("files") / name,
        type=type_name,
        kv_type=kv_type,
        num_bytes=3 * 2**20,
        tokens=tokens,
        summary=summarize(tokens),
        limit=0.05,
        seconds=1.5,
    )


def report(*results: Result) -> Report:
    return Report(
        original=Path("made/glm"),
        original_type="checkpoint",
        num_vocabulary=1664,
        num_texts=700,
        num_windows=2,
        window=512,
        seconds=9.0,
        results=list(results),
    )


EIGHT, FOUR = result("a.gguf", "q8_0", 0.001), result("b.gguf", "q4_k_m", 0.1)


def test_rows() -> None:
    (row,) = rows(report(EIGHT))
    assert len(row) == len(COLUMNS)
    assert row[:6] == ("q8_0", "f32", "3.0", "0.001000 ± 0.000058", "0.00198", "94.06 %")
    assert row[6] == "7.39 ± 0.43"
    assert row[7] == "1.000005 ± 0.000071"
    assert row[8] == "0.01"


def test_files_of_one_type_go_by_their_names() -> None:
    titles = [row[0] for row in rows(report(EIGHT, FOUR, result("c.gguf", "q8_0", 0.2)))]
    assert titles == ["a", "q4_k_m", "c"]


def test_one_file_with_several_types_of_keys_and_values(tmp_path: Path) -> None:
    one, other = result("a.gguf", "q8_0", 0.1, "q8_0"), result("a.gguf", "q8_0", 0.2, "q4_0")
    both = report(one, other)
    assert [row[:2] for row in rows(both)] == [("q8_0", "q8_0"), ("q8_0", "q4_0")]
    assert [file["kv_type"] for file in as_json(both)["files"]] == ["q8_0", "q4_0"]
    plot(both, tmp_path / "plot.svg")
    drawn = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    assert [f"<!-- q8_0, {kv_type} -->" in drawn for kv_type in ("q8_0", "q4_0")] == [True, True]


def test_a_table_of_equal_and_of_nearly_equal_files() -> None:
    same, near = rows(report(result("a.gguf", "f16", 0), result("b.gguf", "f32", 1e-9)))
    assert same[3] == "0"
    assert same[7] == "1"
    assert near[3] == "1e-09 ± 6e-11"


def test_markdown() -> None:
    lines = markdown(report(EIGHT, FOUR)).splitlines()
    assert lines[0] == "1,664 tokens of the vocabulary and the ids of 700 texts agree with glm."
    assert lines[1].startswith("Predictions of 101 tokens in 2 windows of 512 (checkpoint: ")
    assert lines[2] == ""
    assert [line.count("|") for line in lines[3:]] == [len(COLUMNS) + 1] * 4


def test_a_terminal_gets_a_drawn_table() -> None:
    file = io.StringIO()
    show(report(EIGHT), Console(file=file, force_terminal=True, width=160))
    assert "┃" in file.getvalue()
    assert "0.001000 ± 0.000058" in file.getvalue()


def test_others_get_markdown() -> None:
    file = io.StringIO()
    show(report(EIGHT), Console(file=file))
    assert file.getvalue() == markdown(report(EIGHT))


def test_json() -> None:
    data = json.loads(json.dumps(as_json(report(EIGHT, FOUR))))
    assert data["original"]["path"] == "made/glm"
    assert data["original"]["perplexity"]["value"] == pytest.approx(np.exp(2))
    first, second = data["files"]
    assert first["path"] == "files/a.gguf"
    assert first["mean_kl"]["value"] == pytest.approx(0.001)
    assert (first["is_within_limit"], second["is_within_limit"]) == (True, False)
    assert second["num_tokens"] == 101


@pytest.mark.parametrize("count", [1, 40])
def test_a_plot(tmp_path: Path, count: int) -> None:
    files = [result(f"{number}.gguf", "q8_0", 0.01 * number) for number in range(count)]
    plot(report(*files), tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").read_text(encoding="utf-8").count("<svg") == 1
