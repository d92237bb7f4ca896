from __future__ import annotations

import json
from pathlib import Path

import pytest
from stored_parts import boxed, cut, draw, write_problems

from tts.errors import RunFolderError, UsageError
from tts.metrics.intervals import wilson
from tts.report.analyse import report_of
from tts.report.data import Arm, Point, Report
from tts.runs import records

FOUR = {"a": boxed("1", "1", "2", "1"), "b": boxed("5", "2", "2", "3")}


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    return write_problems(tmp_path / "problems.jsonl", {"a": "1", "b": "2"})


def points(arm: Arm, figure: str) -> dict[int, Point]:
    return {point.k: point for line in arm.lines if line.figure == figure for point in line.points}


def report(*runs: Path, **options) -> Report:
    return report_of(runs, **{"embeddings": "ngrams", **options})


def test_figures_are_those_worked_out_by_hand(tmp_path: Path, problems: Path) -> None:
    found = report(draw(tmp_path / "r", problems, FOUR), ks=(1, 2, 4))
    (arm,) = found.arms
    assert {k: point.lower for k, point in points(arm, "pass@k").items()} == pytest.approx(
        {1: (3 / 4 + 2 / 4) / 2, 2: (1 + 5 / 6) / 2, 4: 1.0}
    )
    assert points(arm, "maj@k")[4].lower == points(arm, "maj@k")[4].upper == 1.0
    assert {k: point.lower for k, point in points(arm, "random").items()} == pytest.approx(
        {1: 5 / 8, 2: 5 / 8, 4: 5 / 8}
    )
    assert arm.quality.distinct_answers == pytest.approx((1.0, (3 / 6 + 5 / 6) / 2 + 1, 2.5))
    assert (arm.num_problems, arm.num_graded, found.ks, found.headline) == (2, 2, (1, 2, 4), "maj@k")
    assert [point.tokens for point in points(arm, "pass@k").values()] == [4, 8, 16]


def test_without_ks_they_are_the_powers_of_two_and_the_number_itself(tmp_path: Path, problems: Path) -> None:
    script = {name: boxed(*"112112") for name in "ab"}
    assert report(draw(tmp_path / "r", problems, script)).ks == (1, 2, 4, 6)


def test_a_k_beyond_the_candidates_names_problem_and_run(tmp_path: Path, problems: Path) -> None:
    run = draw(tmp_path / "r", problems, FOUR)
    with pytest.raises(UsageError, match=r"at most 4, .* of problem 'a' in .*/r, got 8 .* draw more"):
        report(run, ks=(1, 8))
    with pytest.raises(UsageError, match="at least 1, got 0"):
        report(run, ks=(0, 1))


def test_what_was_cut_is_wrong_within_the_budget_and_what_it_could_have_been_stands_beside(
    tmp_path: Path, problems: Path
) -> None:
    script = {"a": [*boxed("1", "3"), cut(), cut()], "b": [*boxed("1", "3"), cut(), cut()]}
    (arm,) = report(draw(tmp_path / "r", problems, script), ks=(1,)).arms
    one = points(arm, "pass@k")[1]
    assert (one.lower, one.upper, one.cut_lower, one.cut_upper) == pytest.approx((1 / 8, 1 / 8, 1 / 8, 5 / 8))
    assert (arm.quality.num_truncated, arm.quality.num_undecided) == (4, 4)
    assert arm.cost.truncated_tokens == 8


def test_problems_without_a_reference_are_in_no_accuracy(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "p.jsonl", {"a": "1", "b": None, "c": None})
    found = report(draw(tmp_path / "r", problems, boxed("1", "2")), ks=(1, 2))
    (arm,) = found.arms
    assert (arm.num_problems, arm.num_graded, arm.quality.num_candidates) == (3, 1, 6)
    assert points(arm, "pass@k")[2].lower == 1.0
    assert any("no accuracy counts 2 of 3 problems" in warning for warning in found.warnings)


def test_where_nothing_is_graded_the_texts_are_the_headline(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "p.jsonl", {"a": None, "b": None})
    found = report(draw(tmp_path / "r", problems, ["one two three", "four five six"]), ks=(1, 2))
    assert (found.headline, found.arms[0].lines, found.contrasts) == ("vendi", (), ())
    assert found.arms[0].spread is not None
    assert found.arms[0].spread.vendi["1"] == pytest.approx(2.0)


def test_every_candidate_is_shown_with_its_group_and_verdict(tmp_path: Path, problems: Path) -> None:
    found = report(draw(tmp_path / "r", problems, FOUR))
    assert [(one.id, one.reference, one.kind) for one in found.problems] == [("a", "1", "math"), ("b", "2", "math")]
    (shown,) = found.problems[1].arms
    assert [(one.answer, one.group, one.status) for one in shown.candidates] == [
        ("5", 0, "failed"),
        ("2", 1, "passed"),
        ("2", 1, "passed"),
        ("3", 2, "failed"),
    ]
    assert shown.selected in (1, 2)
    assert report(tmp_path / "r", candidates=False).problems == ()


def test_what_was_derived_can_be_deleted_and_nothing_is_written(tmp_path: Path, problems: Path) -> None:
    run = draw(tmp_path / "r", problems, FOUR)
    before = report(run)
    for name in ("selections.jsonl", "verdicts.jsonl"):
        (run / name).unlink()
    names = sorted(file.name for file in run.iterdir())
    assert report(run) == before
    assert sorted(file.name for file in run.iterdir()) == names


def test_a_run_that_is_being_written_can_be_read(tmp_path: Path, problems: Path) -> None:
    run = draw(tmp_path / "r", problems, FOUR)
    lines = (run / "candidates.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["problem_id"] == "a"]
    (run / "candidates.jsonl").write_text("".join([*kept, lines[-1][:20]]))
    found = report(run, ks=(1, 4))
    assert [one.id for one in found.problems] == ["a", "b"]
    assert found.problems[1].arms[0].reason == "no_candidates"
    assert any("1 problem has no candidates ('b')" in warning for warning in found.warnings)
    assert [(one.lower, one.upper) for one in points(found.arms[0], "pass@k").values()] == [(3 / 8, 7 / 8), (0.5, 1)]
    assert (run / "candidates.jsonl").read_text().endswith(lines[-1][:20])


def test_two_runs_are_compared_on_the_problems_they_share(tmp_path: Path, problems: Path) -> None:
    more = write_problems(tmp_path / "more.jsonl", {"b": "2", "c": "3", "a": "7"})
    first = draw(tmp_path / "first", problems, FOUR, name="one")
    second = draw(tmp_path / "second", more, {**FOUR, "b": boxed("2", "2", "2", "2"), "c": boxed("3")}, name="two")
    found = report(first, second, ks=(1, 4))
    assert [arm.num_problems for arm in found.arms] == [2, 3]
    # The two problems called a are not the same.
    assert [(one.id, [arm.arm for arm in one.arms]) for one in found.problems] == [
        ("a", ["one"]),
        ("b", ["one", "two"]),
        ("c", ["two"]),
        ("a", ["two"]),
    ]
    assert {(one.first, one.second) for one in found.contrasts} == {("two", "one")}
    assert {(one.figure, one.k) for one in found.contrasts} == {("pass@k", 1), ("pass@k", 4), ("maj@k", 4)}
    (at_1,) = [one for one in found.contrasts if (one.figure, one.k) == ("pass@k", 1)]
    assert at_1.lower == pytest.approx(0.5)
    assert at_1.num_wins == 1
    assert at_1.num_problems == 1
    assert any("one (2) and two (3) have 1 problem in common" in warning for warning in found.warnings)


def test_p_values_are_corrected_for_all_contrasts(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "p.jsonl", {f"q{number}": "1" for number in range(9)})
    worse = draw(tmp_path / "worse", problems, boxed("2", "1"), name="worse")
    better = draw(tmp_path / "better", problems, boxed("1", "1"), name="better")
    found = report(worse, better, ks=(1, 2))
    by_key = {(one.figure, one.k): one for one in found.contrasts}
    assert by_key["pass@k", 1].p_value == pytest.approx(2 / 2**9)
    assert by_key["pass@k", 1].adjusted_p_value == pytest.approx(2 / 2**9)  # what else differs says the same
    assert by_key["pass@k", 2].adjusted_p_value == 1.0
    assert ("maj@k", 1) not in by_key
    assert any("at k = 1, 2, every two arms, fixed beforehand (3 looks)" in sentence for sentence in found.method)
    assert any("told apart at p ≤ 0.05, which" in sentence for sentence in found.method)


def test_one_look_is_not_corrected(tmp_path: Path) -> None:
    names = {f"q{number}": "1" for number in range(40)}
    problems = write_problems(tmp_path / "p.jsonl", names)
    first = {name: boxed("1" if place < 14 or place > 30 else "2") for place, name in enumerate(names)}
    second = {name: boxed("1" if place >= 36 or 14 <= place < 18 else "2") for place, name in enumerate(names)}
    runs = [draw(tmp_path / name, problems, script, name=name) for name, script in (("b", second), ("a", first))]
    (one,) = report(*runs, ks=(1,)).contrasts
    assert (one.num_wins, one.num_losses, one.num_ties) == (19, 4, 17)
    assert one.adjusted_p_value == one.p_value
    assert (one.together_low, one.together_high) == pytest.approx((one.interval_low, one.interval_high))


def test_with_a_baseline_every_other_arm_is_compared_with_that_one(tmp_path: Path, problems: Path) -> None:
    runs = [draw(tmp_path / name, problems, FOUR, name=name) for name in ("one", "two", "three")]
    found = report(*runs, ks=(1,), baseline="two")
    assert [(one.first, one.second) for one in found.contrasts] == [("one", "two"), ("three", "two")]
    assert any("every arm with two, fixed beforehand (2 looks)" in sentence for sentence in found.method)
    with pytest.raises(UsageError, match=r"`baseline` must be one of one, two, three, got 'tow'"):
        report(*runs, baseline="tow")


def test_the_headline_is_at_the_largest_k_that_has_two_subsets_apart(tmp_path: Path, problems: Path) -> None:
    found = report(draw(tmp_path / "r", problems, {name: boxed(*"112112") for name in "ab"}))
    assert (found.ks, found.headline_k) == ((1, 2, 4, 6), 2)
    assert report(tmp_path / "r", ks=(4, 6)).headline_k == 4
    assert report(tmp_path / "r", ks=(1, 3)).headline_k == 3


def test_problems_of_one_cluster_are_one_unit(tmp_path: Path) -> None:
    rows = [{"id": f"q{number}", "problem": "?", "answer": "1", "cluster": number // 2} for number in range(12)]
    problems = tmp_path / "p.jsonl"
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    runs = [draw(tmp_path / name, problems, boxed(*answers), name=name) for name, answers in (("w", "12"), ("b", "11"))]
    found = report(*runs, ks=(1,))
    assert [one.p_value for one in found.contrasts] == [2 / 2**6]
    assert any("problems of one cluster as a unit (6 clusters of 12 problems)" in sentence for sentence in found.method)
    at_1 = points(found.arms[0], "pass@k")[1]
    assert (at_1.interval_low, at_1.interval_high) == pytest.approx(wilson(0.5, 6))


def test_runs_without_a_common_problem_are_shown_side_by_side(tmp_path: Path, problems: Path) -> None:
    other = write_problems(tmp_path / "other.jsonl", {"x": "1", "y": "2"})
    first, second = draw(tmp_path / "f", problems, FOUR), draw(tmp_path / "s", other, boxed(*"1122"))
    found = report(first, second)
    assert found.contrasts == ()
    assert [one.id for one in found.problems] == ["a", "b", "x", "y"]
    assert [arm.name for arm in found.arms] == ["f", "s"]
    assert any("no problem in common" in warning for warning in found.warnings)


def test_scores_that_engines_noted_rank_candidates(tmp_path: Path, problems: Path) -> None:
    likely = [
        {"text": text, "mean_logprob": logprob} for text, logprob in zip(boxed("1", "2"), (-0.1, -2.0), strict=True)
    ]
    (arm,) = report(draw(tmp_path / "r", problems, likely), ks=(2,)).arms
    assert points(arm, "best_of_n(likelihood)")[2].lower == 0.5
    assert "best_of_n(self_certainty)" not in {line.figure for line in arm.lines}


def test_the_report_is_json(tmp_path: Path, problems: Path) -> None:
    record = json.loads(records.dumps(report(draw(tmp_path / "r", problems, FOUR))))
    assert record["arms"][0]["lines"][1]["figure"] == "pass@k"
    assert record["problems"][0]["arms"][0]["candidates"][0]["answer"] == "1"


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, told in ((tmp_path / "nowhere", "nothing there"), (tmp_path / "empty", r"without run\.json")):
        with pytest.raises(RunFolderError, match=told):
            report(path)


def test_a_selector_of_a_plugin_has_its_own_line(tmp_path: Path, problems: Path) -> None:
    run = draw(tmp_path / "r", problems, FOUR, selector={"name": "stored_parts:LastAnswer"})
    (arm,) = report(run, ks=(1, 4)).arms
    found = points(arm, "stored_parts:LastAnswer")
    assert found[1].lower == pytest.approx(5 / 8)
    assert found[4].lower == pytest.approx(0.5)  # of a the last is right, of b it is not


def test_a_selector_that_fails_leaves_every_other_figure(tmp_path: Path, problems: Path) -> None:
    run = draw(tmp_path / "r", problems, FOUR, selector={"name": "stored_parts:Raises"})
    kept = report(draw(tmp_path / "s", problems, FOUR), ks=(1, 4)).arms[0]
    found = report(run, ks=(1, 4))
    assert found.arms[0].lines == kept.lines
    assert any("no curve, since it failed: IndexError" in warning for warning in found.warnings)
    few = report(draw(tmp_path / "f", problems, boxed("1", "2"), selector={"name": "stored_parts:Raises"}), ks=(2,))
    assert any("judging or selecting failed on 2 of 2 problems, first since IndexError" in one for one in few.warnings)


def test_ids_of_all_sorts_are_read_back(tmp_path: Path) -> None:
    names = {'q"1': "1", "b\\": "1", 'ü, "index": 7': "1", "x\ny": "1"}
    problems = write_problems(tmp_path / "p.jsonl", names)
    run = draw(tmp_path / "r", problems, boxed("1", "2"))
    lines = (run / "candidates.jsonl").read_text().splitlines()
    (run / "candidates.jsonl").write_text(
        "".join(json.dumps(json.loads(line), sort_keys=True) + "\n" for line in lines)
    )
    assert [one.id for one in report(run).problems] == list(names)
    (run / "candidates.jsonl").write_text("".join(line + "\n" for line in lines))
    assert [one.id for one in report(run).problems] == list(names)
