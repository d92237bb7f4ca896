"""What a report says of scorers that ask models."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from stored_parts import boxed, draw, write_problems

from tts.report.analyse import report_of
from tts.report.data import Report
from tts.report.page import page

LETTERS = "abcdefghijkl"


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    return write_problems(tmp_path / "problems.jsonl", dict.fromkeys(LETTERS, "1"))


def judged(folder: Path, problems: Path, scorer: dict[str, Any], script: Any = None) -> Report:
    run = draw(
        folder, problems, script or boxed("1", "2", "2", "1", "2"), selector={"name": "best_of_n", "scorer": scorer}
    )
    return report_of([run], (1, 2, 5), embeddings="none")


def p_true(*named: tuple[int, float]) -> dict[str, Any]:
    """A judge that finds each candidate true with so many logits."""
    script = [
        {"key": f"score/@{index}/0/0", "text": "Yes", "asked_logprobs": {"Yes": logprob, "No": -1.0}}
        for index, logprob in named
    ]
    return {"name": "p_true", "judge": {"name": "replay", "script": script}}


def test_a_judge_that_knows_separates_and_adds_to_the_vote(tmp_path: Path, problems: Path) -> None:
    found = judged(tmp_path / "r", problems, p_true((0, -0.1), (1, -3.0), (2, -4.0), (3, -0.2), (4, -2.0)))
    [arm] = found.arms
    assert arm.scorer is not None
    assert (arm.scorer.name, arm.scorer.auroc, arm.scorer.num_problems) == ("p_true", 1.0, 12)
    added = {(one.figure, one.k): one.lower for one in arm.scorer.added}
    assert added["best_of_n(p_true)", 5] == 1.0
    assert {one.figure: one.k for one in arm.scorer.peaks}["best_of_n(p_true)"] == 5
    assert "scorers read" in "\n".join(found.warnings)
    assert "Scorers that asked a model" in page(found)


def test_a_judge_that_is_deceived_turns_down_is_worse_than_the_vote_and_both_are_said(
    tmp_path: Path, problems: Path
) -> None:
    script = boxed("1", "1", "1", "1", "2")
    scorer = p_true((0, -2.0), (1, -2.0), (2, -2.0), (3, -2.0), (4, -0.1))
    told = "\n".join(judged(tmp_path / "r", problems, scorer, script).warnings)
    assert "best_of_n(p_true) is highest at k = 1 (95 % interval 1 to 1) and lower beyond, not by chance" in told
    assert "over-optimisation" in told
    assert "p_true is not told apart from a blind scorer" in told


def test_a_judge_that_is_silent_is_told_and_the_plain_vote_is_its_line(tmp_path: Path, problems: Path) -> None:
    silent = {"name": "pairwise", "judge": {"name": "replay", "script": ["no idea"]}, "num_samples": 1}
    found = judged(tmp_path / "r", problems, silent)
    told = "\n".join(found.warnings)
    assert "the scorer could tell too little of 12 of 12 problems, so the plain vote chose there" in told
    [arm] = found.arms
    line = {one.figure: one for one in arm.lines}
    assert [point.k for point in line["best_of_n(pairwise)"].points] == [1, 5]  # of one candidate nothing is asked
    assert line["best_of_n(pairwise)"].points[-1].lower == line["maj@k"].points[-1].lower
    assert arm.scorer is not None
    assert (arm.scorer.auroc, arm.scorer.num_problems) == (None, 0)
    assert "not told apart from a blind scorer" not in told


def test_where_a_judge_told_of_few_the_plain_vote_of_each_subset_chooses(tmp_path: Path, problems: Path) -> None:
    """It told of the first of five, which is right; the vote of all is wrong. Of two, one told of is half."""
    lost = [{"key": f"score/@{index}/0/0", "text": "", "finish_reason": "error", "error": "x"} for index in range(1, 5)]
    scorer = p_true((0, -0.1))
    scorer["judge"]["script"] += lost
    found = judged(tmp_path / "r", problems, {**scorer, "by": "probabilities"})
    [arm] = found.arms
    line = {point.k: point.lower for point in arm.points("best_of_n(p_true)")}
    assert line == {1: 0.4, 2: pytest.approx(0.55), 5: 0.0}
    assert [point.lower for point in arm.points("selected")] == list(line.values())
    told = "\n".join(found.warnings)
    assert "drawn: no score of p_true for 48 of 60 candidates: the plain vote chooses where these are more than" in told
    assert any("the plain vote of that subset chooses" in sentence for sentence in found.method)


def test_the_bias_of_a_tournaments_judge_is_told(tmp_path: Path, problems: Path) -> None:
    first = {"text": "A", "asked_logprobs": {"A": -0.1, "B": -3.0}}
    found = judged(tmp_path / "r", problems, {"name": "pairwise", "judge": {"name": "replay", "script": [first]}})
    assert "the judge preferred what stood first in 100 % of 24 questions" in "\n".join(found.warnings)


def test_a_recipe_that_asks_nobody_has_no_such_part(tmp_path: Path, problems: Path) -> None:
    run = draw(tmp_path / "r", problems, boxed("1", "2"))
    found = report_of([run], embeddings="none")
    assert found.arms[0].scorer is None
    assert "Scorers that asked a model" not in page(found)
    assert json.dumps([warning for warning in found.warnings if "scorer" in warning]) == "[]"


def test_what_a_scorer_asked_is_charged_to_the_lines_that_it_chooses(tmp_path: Path, problems: Path) -> None:
    found = judged(tmp_path / "r", problems, p_true((0, -0.1), (1, -3.0), (2, -4.0), (3, -0.2), (4, -2.0)))
    assert (found.axis, found.headline) == ("tokens", "selected")
    [arm] = found.arms
    vote, best, own = (arm.points(figure) for figure in ("maj@k", "best_of_n(p_true)", "selected"))
    asked = [one.budget.num_calls - two.budget.num_calls for one, two in zip(best, vote, strict=True)]
    assert asked == [pytest.approx(k) for k in (1, 2, 5)]  # a question a candidate
    assert [one.budget for one in own] == [one.budget for one in best]
    whole = arm.cost.engines.values()
    assert best[-1].budget.num_calls * 12 == pytest.approx(sum(one.num_calls for one in whole))
    assert best[-1].budget.tokens * 12 == pytest.approx(sum(one.prompt_tokens + one.written_tokens for one in whole))


def tournament(**keys: Any) -> dict[str, Any]:
    """A judge that prefers the fourth answer to any other in both orders, and else what stands first."""

    def said(first: int) -> dict[str, float]:
        return {"A": -0.1, "B": -3.0} if first else {"A": -3.0, "B": -0.1}

    script = [
        {"key": f"score/@{low},{high}/0/{turn}", "text": "A", "asked_logprobs": said(shown[1] != 3)}
        for low, high in combinations(range(5), 2)
        for turn, shown in enumerate([(low, high), (high, low)])
    ]
    return {"name": "pairwise", "judge": {"name": "replay", "script": script}, **keys}


def test_a_tournament_has_a_line_where_all_that_smaller_draws_need_was_compared(tmp_path: Path, problems: Path) -> None:
    """The fourth of five answers is right, alone, and wins wherever it is: a draw of k has it with chance k / 5."""
    script = boxed("2", "3", "2", "1", "4")
    found = judged(tmp_path / "all", problems, tournament(every_pair=True), script)
    [arm] = found.arms
    assert {point.k: point.lower for point in arm.points("best_of_n(pairwise)")} == {1: 0.2, 2: 0.4, 5: 1.0}
    assert arm.scorer is not None
    assert [(one.figure, one.k) for one in arm.scorer.peaks] == [("best_of_n(pairwise)", 5)]
    few = judged(tmp_path / "few", problems, tournament(), script)
    assert [point.k for point in few.arms[0].points("best_of_n(pairwise)")] == [1, 5]
    assert "no point of best_of_n(pairwise) at k = 2, where some draws need comparisons that nobody made" in "\n".join(
        few.warnings
    )


def test_points_below_the_whole_draw_need_no_point_of_it(tmp_path: Path, problems: Path) -> None:
    script = boxed("2", "3", "2", "1", "4")
    scorer = tournament(every_pair=True)
    run = draw(tmp_path / "r", problems, script, selector={"name": "best_of_n", "scorer": scorer})
    [arm] = report_of([run], (1, 2), embeddings="none").arms
    assert {point.k: point.lower for point in arm.points("best_of_n(pairwise)")} == {1: 0.2, 2: 0.4}
