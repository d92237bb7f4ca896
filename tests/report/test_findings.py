"""What `tts bench` prints for people: 80 columns, no colour."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from stored_parts import boxed, cut, draw, write_problems

from tts.cli.findings import records, show
from tts.report.analyse import report_of
from tts.report.data import Report


@pytest.fixture
def report(tmp_path: Path) -> Report:
    problems = write_problems(tmp_path / "p.jsonl", {f"q{number}": "1" for number in range(8)})
    plain = draw(tmp_path / "plain", problems, [*boxed("1", "2", "1"), cut()], name="plain")
    other = draw(tmp_path / "other", problems, boxed("1", "1", "2", "3"), name="other", sampler={"temperature": 1.3})
    return report_of([plain, other], (1, 2, 4), embeddings="ngrams")


def printed(report: Report, width: int) -> list[str]:
    out = io.StringIO()
    show(report, Console(file=out, width=width, force_terminal=True, color_system=None))
    return out.getvalue().replace("\xa0", " ").splitlines()


def test_tables_plot_and_headline_fit_80_columns(report: Report) -> None:
    lines = printed(report, 80)
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for told in ("plain: 8 problems, 32 candidates", "maj@4", "other minus plain", "k=1", "tokens written"):
        assert told in text
    flowing = " ".join(text.split())
    assert "maj@2, each within its own budget:" not in flowing  # the limits are the same
    assert "If the 25.0 % of plain's candidates that were cut and count as wrong had been right, pass@2" in flowing
    assert "beware: 25.0 % of plain's candidates were cut and count as wrong" in flowing
    assert "of them answers tie for first place, and each counts for its share" in flowing


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_verdict_comes_first_and_nothing_is_cut_at_any_width(report: Report, width: int) -> None:
    lines = printed(report, width)
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("other minus plain in maj@2")
    assert "…" not in "".join(lines)
    words = " ".join(lines).split()
    for told in ("wins–losses–ties–open", "perplexity", "same"):
        assert told in words
    for contrast in report.contrasts:
        counts = (contrast.num_wins, contrast.num_losses, contrast.num_ties, contrast.num_open)
        assert "–".join(map(str, counts)) in words
    assert not [line for line in lines if line.startswith(" %")]  # no unit without its number


def test_texts_without_a_reference_show_what_they_have(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "p.jsonl", {"a": None, "b": None})
    found = report_of([draw(tmp_path / "r", problems, ["one two", "three four"])], embeddings="ngrams")
    text = "\n".join(printed(found, 80))
    assert "Vendi" in text
    assert "maj@" not in text


def test_every_point_contrast_arm_and_warning_is_a_record(report: Report) -> None:
    found = list(records(report))
    assert sum("figure" in record for record in found) == sum(len(arm.lines) * 3 for arm in report.arms)
    assert sum("gain" in record for record in found) == sum(len(arm.gains) for arm in report.arms) > 0
    assert sum("contrast" in record for record in found) == 5
    assert [record["arm"] for record in found if "cost" in record] == ["plain", "other"]
    assert sum("warning" in record for record in found) == len(report.warnings)


def test_a_search_without_a_run_of_the_headlines_k_shows_its_selectors_at_its_own(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "p.jsonl", {"a": "1", "b": "2"})
    pool = draw(tmp_path / "pool", problems, boxed("1", "2", "1", "2"), name="pool")
    rule = {"name": "esc", "window": 4, "num_candidates": 4}
    search = draw(tmp_path / "search", problems, boxed("1", "2", "1", "2"), name="search", sampler=rule)
    lines = printed(report_of([pool, search], (), embeddings="none"), 80)
    tables = [place for place, line in enumerate(lines) if line.startswith("chosen from ")]
    assert [lines[place].split()[2] for place in tables] == ["2", "4"]
    assert all(any(line.startswith("maj@") for line in lines[place + 1 : place + 4]) for place in tables)
