"""Who counts: every problem that was asked for, in every figure; two arms on what those two share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from stored_parts import boxed, draw, write_problems

from tts.errors import UsageError
from tts.report.analyse import report_of
from tts.report.data import Report
from tts.report.headline import headline


def report_of_file(
    tmp_path: Path, answers: Mapping[str, Sequence[str]], gold: Mapping[str, str], ks: Sequence[int] = ()
) -> Report:
    """Report candidates of another tool, whose rows say little more than their text."""
    problems = write_problems(tmp_path / "p.jsonl", gold)
    rows = [
        {
            "problem_id": name,
            "text": f"so \\boxed{{{one}}}",
            "finish_reason": "stop",
            "num_tokens": 10,
            "num_prompt_tokens": 5,
        }
        for name, of_problem in answers.items()
        for one in of_problem
    ]
    path = tmp_path / "c.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return report_of([path], ks, problems=str(problems), embeddings="none")


def values(report: Report, figure: str) -> list[tuple[float, float]]:
    return [(point.lower, point.upper) for point in report.arms[0].points(figure)]


def test_no_problem_is_dropped_for_having_fewer_candidates_than_the_best_filled(tmp_path: Path) -> None:
    """19 problems of 8, all right, and one of 9, all wrong."""
    names = [f"q{number}" for number in range(20)]
    found = report_of_file(
        tmp_path, {name: "1" * 8 if name != "q7" else "2" * 9 for name in names}, dict.fromkeys(names, "1")
    )
    assert (found.ks, found.arms[0].num_problems) == ((1, 2, 4, 8), 20)
    assert values(found, "pass@k") == [(0.95, 0.95)] * 4


def test_a_few_short_problems_are_named_and_are_ranges_beyond_what_they_have(tmp_path: Path) -> None:
    names = [f"q{number}" for number in range(20)]
    answers = {name: "1" * 8 if name != "q7" else "1" * 3 for name in names}
    found = report_of_file(tmp_path, answers, dict.fromkeys(names, "1"))
    assert found.ks == (1, 2, 4, 8)
    assert values(found, "maj@k") == [(1, 1), (1, 1), (0.95, 1), (0.95, 1)]
    assert any("1 problem has fewer than 8 candidates ('q7')" in warning for warning in found.warnings)
    with pytest.raises(UsageError, match="must be at most 8"):
        report_of_file(tmp_path, answers, dict.fromkeys(names, "1"), ks=(9,))
    # Two of 20 are not few: they set how far k goes, and that is said.
    found = report_of_file(tmp_path, answers | {"q8": "11"}, dict.fromkeys(names, "1"))
    assert found.ks == (1, 2)
    assert any("k goes no further than 2, the number of candidates of problem 'q8'" in one for one in found.warnings)


def test_a_problem_that_was_never_drawn_is_a_range(tmp_path: Path) -> None:
    found = report_of_file(tmp_path, {"a": "12", "b": "21"}, {"a": "1", "b": "1", "c": "1"}, ks=(1, 2))
    assert values(found, "pass@k") == [(pytest.approx(1 / 3), pytest.approx(2 / 3)), (pytest.approx(2 / 3), 1)]
    assert any("1 problem has no candidates ('c')" in warning for warning in found.warnings)
    assert found.arms[0].points("maj@k")[1].tie_share == 1  # of the problems of which it is known


def test_three_arms_are_compared_in_pairs_on_what_each_two_share(tmp_path: Path) -> None:
    problems = {f"q{number}": "1" for number in range(14)}
    runs = []
    for name, first, last in (("one", 0, 8), ("two", 4, 12), ("three", 8, 14)):
        some = dict(list(problems.items())[first:last])
        runs.append(draw(tmp_path / name, write_problems(tmp_path / f"{name}.jsonl", some), boxed("1", "2"), name=name))
    found = report_of(runs, (1,), embeddings="none")
    assert {(one.first, one.second): one.num_problems for one in found.contrasts} == {
        ("two", "one"): 4,
        ("three", "two"): 4,
    }
    assert [arm.num_problems for arm in found.arms] == [8, 8, 6]
    assert any("one (8) and three (6) have no problem in common" in warning for warning in found.warnings)
    two = report_of(runs[:2], (1,), embeddings="none")
    assert "on 4 problems (95" in headline(two)[0]


@pytest.mark.parametrize(("one", "other"), [("1", "2"), ("2", "1"), ("10", "9"), ("9", "10")])
def test_figures_do_not_depend_on_how_answers_are_spelt(tmp_path: Path, one: str, other: str) -> None:
    names = [f"q{number}" for number in range(10)]
    found = report_of_file(tmp_path, {name: [one, other, one, other] for name in names}, dict.fromkeys(names, one))
    assert values(found, "maj@k") == values(found, "random") == [(0.5, 0.5)] * 3
    assert [point.tie_share for point in found.arms[0].points("maj@k")] == pytest.approx([0, 2 / 3, 1])
    assert "in 66.7\xa0% of them answers tie for first place" in " ".join(headline(found))
