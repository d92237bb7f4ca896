import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest

from tts.metrics.bootstrap import estimates
from tts.metrics.units import units_of
from tts.pipeline.rejudging import Rejudging
from tts.pipeline.run import open_run
from tts.pipeline.tally import Tally
from tts.protocols import Calls
from tts.recipe import load_recipe
from tts.runs.stored import StoredRun
from tts.samplers.searching import SearchKeys
from tts.types import Candidate, Counts, Problem, Selection, Solution, Usage, Verdict


def candidate(index: int, sampler: str = "temperature") -> Candidate:
    return Candidate("p", index, "text", None, "stop", 3, 5, -1.0, -0.2, None, 0, sampler)


def solution(statuses: list[str], selected: int | None, *, graded: bool = True, error: str | None = None) -> Solution:
    status = statuses[selected] if selected is not None else "failed"
    counts = Counts(
        num_candidates=len(statuses),
        num_truncated=statuses.count("undecided"),
        num_no_answer=0,
        num_errors=0,
        num_distinct_answers=1,
        num_passed=statuses.count("passed") if graded else None,
        num_undecided=statuses.count("undecided") if graded else None,
    )
    selection = Selection(selected, None if selected is None else "7", (), 1, 0)
    usage = Usage(3 * len(statuses), 5 * len(statuses), {}, 1.0)
    return Solution("p", selection, None, Verdict(status), counts, usage, error)  # type: ignore[arg-type]


def tally_of(solutions: list[Solution]) -> Tally:
    tally = Tally()
    for one in solutions:
        tally.add(one, (), ())
    return tally


def test_pass_at_1_is_the_mean_share_and_accuracy_the_selected_share() -> None:
    tally = tally_of(
        [
            solution(["passed", "failed", "failed", "failed"], 0),
            solution(["passed", "passed", "failed", "failed"], 2),
            solution(["failed", "failed", "failed", "failed"], None),
        ]
    )
    one_draw, selected = tally.estimates()
    assert one_draw.lower == one_draw.upper == pytest.approx((1 / 4 + 2 / 4 + 0) / 3)
    assert selected.lower == selected.upper == pytest.approx(1 / 3)
    assert tally.accuracy == pytest.approx((1 / 3, 1 / 3))
    assert tally.num_abstained == 1


def test_undecided_verdicts_make_both_figures_a_range() -> None:
    tally = tally_of([solution(["undecided", "passed"], 0), solution(["failed", "passed"], 1)])
    one_draw, selected = tally.estimates()
    assert (one_draw.lower, one_draw.upper) == (0.5, 0.75)
    assert (selected.lower, selected.upper) == tally.accuracy == (0.5, 1.0)


def test_problems_without_a_reference_are_counted_and_not_graded() -> None:
    tally = tally_of([solution(["passed"], 0), solution(["undecided"], 0, graded=False)])
    assert (tally.num_problems, tally.num_graded) == (2, 1)
    assert tally.accuracy == (1.0, 1.0)
    assert all(math.isnan(one) for one in Tally().accuracy)


def test_the_order_of_the_problems_does_not_matter() -> None:
    solutions = [solution(["passed"] * number + ["failed"] * (7 - number), 0) for number in range(1, 5)]
    figures = {tally_of(list(order)).estimates() for order in itertools.permutations(solutions)}
    assert len(figures) == 1


def test_its_intervals_are_those_of_the_report_whether_problems_come_in_clusters_or_not() -> None:
    shares = np.random.default_rng(0).integers(0, 9, 40)
    for clusters in ([None] * 40, [f"c{number // 4}" if number < 32 else None for number in range(40)]):
        tally = Tally()
        for num_passed, cluster in zip(shares.tolist(), clusters, strict=True):
            tally.add(solution(["passed"] * num_passed + ["failed"] * (8 - num_passed), 0), (), (), cluster)
        ids = [str(number) for number in range(40)]
        named = {one: cluster for one, cluster in zip(ids, clusters, strict=True) if cluster is not None}
        values = shares[None] / 8
        assert tally.estimates()[0] == estimates(values, values, units=units_of(ids, named))[0]


def test_each_arm_gets_the_credit_for_its_own_candidates() -> None:
    tally = Tally()
    candidates = [candidate(0, "cold"), candidate(1, "hot"), candidate(2, "hot")]
    verdicts = [Verdict("failed"), Verdict("passed"), Verdict("failed")]
    tally.add(solution(["failed", "passed", "failed"], 1), candidates, verdicts)
    hot, cold = tally.credit["hot"], tally.credit["cold"]
    assert (hot.num_candidates, hot.num_passed, hot.num_selected, hot.num_tokens) == (2, 1, 1, 10)
    assert (cold.num_candidates, cold.num_passed, cold.num_selected, cold.num_tokens) == (1, 0, 0, 5)


class Fails(SearchKeys):
    """Draws one candidate of the first problem, and fails at the others."""

    async def search(self, problem: Problem, calls: Calls) -> None:
        if problem.id != "a":
            raise RuntimeError("no idea")
        drawn = await calls.generate(self.decoding())
        calls.emit(0, (drawn.piece,), drawn.finish_reason)


def test_where_a_search_drew_nothing_the_problem_is_open_as_it_is_when_graded_anew(tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    sections = {"task": "math", "selector": "majority_vote", "engine": {"name": "replay", "script": ["\\boxed{42}"]}}
    recipe.write_text(json.dumps({**sections, "sampler": {"name": f"{__name__}:Fails", "num_candidates": 2}}))
    rows = [{"id": name, "problem": "6*7?", "answer": "42"} for name in "ab"] + [{"id": "c", "problem": "6*7?"}]
    with open_run(load_recipe(str(recipe)), rows, tmp_path / "run") as run:
        outcomes = {outcome.solution.problem_id: outcome.solution for outcome in run.outcomes()}
    assert [outcomes[name].verdict.status for name in "abc"] == ["passed", "undecided", "undecided"]
    assert (run.tally.num_graded, run.tally.num_undecided, run.tally.accuracy) == (2, 1, (0.5, 1.0))
    assert any("nothing was drawn for 2 of 3 problems" in note and "no idea" in note for note in run.tally.notes())
    again = Rejudging(StoredRun(tmp_path / "run"), afresh=False)
    list(again.outcomes())
    assert (again.tally.num_graded, again.tally.accuracy) == (2, (0.5, 1.0))
