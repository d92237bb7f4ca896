"""Reports by cost: stopping rules against the sampler itself, whole runs, what scorers and caches cost, frontiers."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from stored_parts import boxed, draw, write_problems

from tts.errors import UsageError
from tts.report.analyse import report_of
from tts.report.data import Report
from tts.report.headline import headline


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    return write_problems(tmp_path / "p.jsonl", {f"q{number}": "1" for number in range(8)})


def report(*runs: Path, **options: object) -> Report:
    return report_of(runs, embeddings="none", candidates=False, **options)  # type: ignore[arg-type]


def test_a_stopping_rule_on_a_pool_is_what_the_sampler_itself_does_on_the_same_candidates(tmp_path: Path) -> None:
    """Each order of four candidates is a problem: so the sampler meets all orders that the pool is drawn in."""
    texts = [f"{'so ' * length}\\boxed{{{answer}}}" for length, answer in ((3, 1), (9, 1), (20, 2), (1, 1))]
    script = {f"q{number}": list(order) for number, order in enumerate(itertools.permutations(texts))}
    problems = write_problems(tmp_path / "p.jsonl", dict.fromkeys(script, "1"))
    pool = draw(tmp_path / "pool", problems, script, name="pool")
    rule = {"name": "adaptive_consistency", "confidence": 0.8, "window": 1}
    own = draw(tmp_path / "own", problems, script, name="own", sampler=rule)
    found = report(pool, own, axis="tokens")
    (line,) = [one for one in found.arms[0].stopping if one.rule == "adaptive_consistency"]
    (stopped,) = [one for one in line.points if one.setting == 0.8]
    (point,) = found.arms[1].points("maj@k")
    assert point.budget is not None
    assert (stopped.budget.tokens, stopped.lower) == (pytest.approx(point.budget.tokens), pytest.approx(point.lower))
    assert stopped.budget.num_candidates == pytest.approx(point.budget.num_candidates)
    assert 2 < stopped.budget.num_candidates < 4
    assert (stopped.cost_error, stopped.sampling_error) == (0, 0)


def test_a_consensus_by_confidence_stops_a_pool_whose_candidates_tell_theirs(tmp_path: Path) -> None:
    """Two of four are drawn first; of two that differ, one sure and one not, 8 of 9 nats agree: 0.9 asks on."""
    script = [
        {"text": f"\\boxed{{{answer}}}", "engine_stats": {"bottom_confidence": nats}}
        for answer, nats in ((1, 8.0), (2, 1.0), (1, 8.0), (2, 1.0))
    ]
    problems = write_problems(tmp_path / "p.jsonl", {"q": "1"})
    (arm,) = report(draw(tmp_path / "pool", problems, script), axis="tokens").arms
    (line,) = [one for one in arm.stopping if one.rule == "confidence consensus (2 first)"]
    found = {one.setting: (one.budget.num_candidates, one.lower) for one in line.points}
    assert found[0.8] == (2, pytest.approx(5 / 6))
    assert found[0.9] == (pytest.approx(3), pytest.approx(5 / 6))  # 2 where they agree, else 3 or 4
    plain = draw(tmp_path / "plain", problems, boxed("1", "1", "2", "1"))
    assert {one.rule for one in report(plain, axis="tokens").arms[0].stopping} == {"adaptive_consistency", "esc"}


def test_a_search_is_one_point_over_all_problems_whose_end_is_on_record(tmp_path: Path, problems: Path) -> None:
    script = {
        f"q{number}": boxed("1", "1", "1", "1") if number % 2 else boxed("2", "1", "2", "1") for number in range(8)
    }
    run = draw(tmp_path / "r", problems, script, sampler={"name": "adaptive_consistency", "num_candidates": 12})
    (arm,) = report(run).arms
    (point,) = arm.points("maj@k")
    assert (point.k, arm.whole, arm.num_problems) == (12, True, 8)
    assert (point.lower, point.upper) == (0.75, 0.75)  # half the problems end in a tie
    assert arm.quality.num_candidates < 8 * 12
    with pytest.raises(UsageError, match="`k` must be one that drawn was run with, 12, got 1, 4"):
        report(run, ks=(1, 4))
    calls = run / "calls.jsonl"
    calls.write_text("".join(line + "\n" for line in calls.read_text().splitlines() if '"q3", "end"' not in line))
    open_again = report(run)
    (point,) = open_again.arms[0].points("maj@k")
    assert point.upper - point.lower == pytest.approx(1 / 8)
    assert any("drawn: 1 problem has not all candidates ('q3')" in one for one in open_again.warnings)

    # It is compared all the same: what its problems cost is the mean over those that are over; of none it is unknown.
    pool = draw(tmp_path / "pool", problems, boxed("1", "2", "1", "2") * 4, name="pool")
    assert {one.num_problems for one in report(pool, run).contrasts} == {8}
    calls.write_text("".join(line + "\n" for line in calls.read_text().splitlines() if '"end"' not in line))
    none_over = report(pool, run, axis="tokens")
    assert (none_over.axis, none_over.contrasts) == ("tokens", ())


def test_arms_without_a_common_cost_are_not_compared_and_that_is_said(tmp_path: Path, problems: Path) -> None:
    rule = {"name": "adaptive_consistency", "window": 1}
    cheap = draw(tmp_path / "a", problems, boxed("1", "1", "1", "1"), name="cheap", sampler=rule)
    dear = draw(tmp_path / "b", problems, ["word " * 50 + one for one in boxed("1", "2")], name="dear", sampler=rule)
    found = report(cheap, dear)
    assert (found.axis, found.contrasts) == ("tokens", ())
    [told] = [one for one in found.warnings if "not compared" in one]
    assert told.startswith("cheap and dear are not compared: no cost is known at which both have a figure (cheap ")
    assert " to " not in told.replace("\u00a0", " ")  # each was drawn at one k, and has one cost


def test_what_is_compared_at_equal_cost_is_said_in_words(tmp_path: Path, problems: Path) -> None:
    pool = draw(tmp_path / "a", problems, boxed("1", "2", "1", "2"), name="pool")
    script = {f"q{number}": boxed("1", "1", "2" if number < 6 else "1", "1") for number in range(8)}
    search = draw(tmp_path / "b", problems, script, name="search", sampler={"name": "esc", "window": 2})
    found = report(pool, search)
    (first, *_) = headline(found)
    cost = found.contrasts[0].cost
    assert cost is not None
    assert first.replace("\xa0", " ").startswith(f"search minus pool in maj@k at {cost:.0f} tokens: ")
    assert any("Comparisons: pass@k and maj@k at equal tokens" in one for one in found.method)
    assert any("each prompt in full" in one for one in found.method)
    costs = [one.cost for one in found.frontier]
    assert costs == sorted(costs)


def test_the_headline_is_at_a_k_that_all_arms_have(tmp_path: Path, problems: Path) -> None:
    pool = draw(tmp_path / "a", problems, boxed("1", "2", "1", "2") * 4, name="pool")
    rule = {"name": "adaptive_consistency", "num_candidates": 2}
    search = draw(tmp_path / "b", problems, boxed("1", "2"), name="search", sampler=rule)
    assert (report(pool).headline_k, report(pool, search).headline_k) == (8, 2)
