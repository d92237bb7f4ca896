"""Candidates that were abandoned below their confidence floor: counted apart wherever candidates are counted."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_parts import Result, rows

Command = Callable[..., Result]
RECIPE = r"""
task: math
engine:
  name: replay
  script:
    - {text: 'so \boxed{42}', num_tokens: 7, engine_stats: {least_confidence: 6.0}}
    - {text: 'so \boxed{41}', num_tokens: 7, engine_stats: {least_confidence: 1.0}}
    - {text: '<think>so \boxed{42}', num_tokens: 3, finish_reason: abandoned, engine_stats: {least_confidence: 0.5}}
    - {text: 'so', num_tokens: 9, finish_reason: length, engine_stats: {least_confidence: 2.0}}
sampler: {name: deepconf, num_candidates: 4, warmup: 2}
selector: {name: confidence_vote, keep: 1.0, scorer: {name: confidence, over: least}}
"""


@pytest.fixture
def solved(tts: Command, tmp_path: Path) -> Result:
    """A run of two problems; of each one's four candidates the third is abandoned, and the last cut."""
    (tmp_path / "r.yaml").write_text(RECIPE.replace("{least_confidence", "{mean_confidence: 4.0, least_confidence"))
    done = tts("solve", "--recipe", "r.yaml", "--run", "run", stdin=rows([("6*7", "42"), ("40+2", "42")]))
    assert done.code == 0, done.err
    return done


def test_they_are_told_apart_and_count_as_wrong(solved: Result, tts: Command, tmp_path: Path) -> None:
    assert "candidates: 8 (2 truncated, 0 without an answer, 0 failed, 2 abandoned)" in solved.err
    for record in solved.records:
        assert record["answer"] == "42"
        assert record["selection"]["weights"] == [6.0, 1.0]
        assert (record["counts"]["num_abandoned"], record["counts"]["num_undecided"]) == (1, 2)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["num_abandoned"] == 2
    assert (summary["pass_at_1"]["lower"], summary["pass_at_1"]["upper"]) == (0.25, 0.25)
    verdicts = json.loads((tmp_path / "run" / "verdicts.jsonl").read_text().splitlines()[0])["verdicts"]
    assert verdicts[2] == {"status": "undecided", "reason": "abandoned", "detail": ""}
    shown = tts("show", "run", "6*7")
    assert "abandoned" in shown.out


def test_reports_and_pages_have_a_column_for_them_where_there_are_any(
    solved: Result, tts: Command, tmp_path: Path
) -> None:
    del solved
    told = tts("report", "run", "--embeddings", "ngrams", "--json", "--csv", "data")
    (arm,) = told.records[0]["arms"]
    assert (arm["quality"]["num_abandoned"], arm["cost"]["abandoned_tokens"]) == (2, 6)
    assert any("25 % of the candidates were abandoned" in warning for warning in told.records[0]["warnings"])
    assert not any("never close their thinking" in warning for warning in told.records[0]["warnings"])
    (one_draw,) = next(line for line in arm["lines"] if line["figure"] == "random")["points"]
    assert (one_draw["k"], one_draw["lower"], one_draw["upper"]) == (4, 0.25, 0.25)
    (row,) = csv.DictReader((tmp_path / "data" / "arms.csv").read_text().splitlines())
    assert (row["num_abandoned"], row["abandoned_tokens"]) == ("2", "6")
    assert tts("report", "run", "--embeddings", "ngrams").code == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert '<th scope="col" class="number">abandoned</th>' in page
    assert '<th scope="col" class="number">of it abandoned</th>' in page


def test_an_engine_that_holds_no_floor_is_refused_before_anything_is_drawn(tts: Command, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE.replace("least_confidence", "mean_confidence"))
    done = tts("solve", "--recipe", "r.yaml", stdin=rows([("6*7", "42")]))
    assert done.code == 2
    assert "`sampler`: deepconf needs the capability `floor`, which the engine `replay` lacks" in done.err
    assert "Engines that have it: transformers, vllm" in done.err
