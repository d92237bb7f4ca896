"""Models as judges: what they are asked, what is read, and that hostile ones decide nothing."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from judge_parts import critic, solve

from tts.errors import RecipeError
from tts.runs.candidates import candidate_of
from tts.scorers.asking import CRITERIA
from tts.scorers.pairwise import Pairwise
from tts.types import Completion, Message, Problem

NAMES = ("judge", "p_true", "pairwise")
WAYS = pytest.mark.parametrize("speaks", [False, True])


def plain_vote(folder: Path) -> list[Any]:
    return solve(folder / "plain", {"name": "likelihood"}, selector="majority_vote")


def scores_of(folder: Path) -> list[list[Any]]:
    lines = map(json.loads, (folder / "run/scores.jsonl").read_bytes().splitlines())
    return [line["scores"] for line in sorted(lines, key=lambda line: line["problem_id"])]


def test_a_judges_score_is_the_expectation_over_the_scale(tmp_path: Path) -> None:
    solutions = solve(tmp_path, {"name": "judge", "judge": critic("right")})
    assert [one.selection.answer for one in solutions] == ["7"] * 3
    bad, good = (0.3 * 0.25 + 0.2 * 0.5), 0.8 / 0.9
    for scores in scores_of(tmp_path):
        assert [one["value"] for one in scores] == pytest.approx([bad, bad, bad, good, bad, bad])
    assert all(one.usage.engines["selector.scorer.judge"].num_calls == 6 for one in solutions)
    assert all(one.usage.engines["selector.scorer.judge"].prompt_tokens == 300 for one in solutions)


def test_without_probabilities_replies_are_drawn_and_read(tmp_path: Path) -> None:
    scorer = {"name": "judge", "judge": critic("right", speaks=True), "num_samples": 3}
    solutions = solve(tmp_path, scorer)
    assert [one.selection.answer for one in solutions] == ["7"] * 3
    assert [one["value"] for one in scores_of(tmp_path)[0]] == [0, 0, 0, 1, 0, 0]
    assert all(one.usage.engines["selector.scorer.judge"].num_calls == 18 for one in solutions)


def test_a_pairwise_judge_that_knows_finds_the_right_answer_among_few_votes(tmp_path: Path) -> None:
    for tournament in ("knockout", "round_robin", "pivot"):
        for speaks in (False, True):
            scorer = {"name": "pairwise", "tournament": tournament, "judge": critic("right", speaks=speaks)}
            folder = tmp_path / f"{tournament}{speaks}"
            assert [one.selection.answer for one in solve(folder, scorer)] == ["7"] * 3
            for scores in scores_of(folder):  # of 2 and 4, between which it has no preference, 4 has more votes
                assert [one["value"] for one in scores] == [0, 0.5, 0.5, 1, 0.5, 0]


@WAYS
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("character", ["nonsense", "mute", "cut"])
def test_a_judge_that_cannot_be_read_leaves_the_plain_vote(
    tmp_path: Path, name: str, character: str, speaks: bool
) -> None:
    solutions = solve(tmp_path, {"name": name, "judge": critic(character, speaks=speaks)}, number=2)
    for one, plain in zip(solutions, plain_vote(tmp_path), strict=False):
        assert (one.selection.index, one.selection.answer) == (plain.selection.index, "4")
        assert one.selection.weights == plain.selection.weights
        assert "could tell nothing of 6 of 6 candidates" in one.selection.fallback
        assert one.error is None
    assert all(score["value"] is None for scores in scores_of(tmp_path) for score in scores)


@WAYS
@pytest.mark.parametrize("character", ["first", "second"])
@pytest.mark.parametrize("tournament", ["knockout", "round_robin", "pivot"])
def test_a_judge_that_prefers_a_place_decides_nothing_and_is_found_out(
    tmp_path: Path, character: str, tournament: str, speaks: bool
) -> None:
    scorer = {"name": "pairwise", "tournament": tournament, "judge": critic(character, speaks=speaks)}
    solutions = solve(tmp_path, scorer, number=2)
    for one, plain in zip(solutions, plain_vote(tmp_path), strict=False):
        assert (one.selection.index, one.selection.answer) == (plain.selection.index, "4")
        assert one.selection.fallback.endswith("the judge prefers the same place in both orders")
    figures = [score["figures"] for scores in scores_of(tmp_path) for score in scores if "figures" in score]
    ordered, first = (sum(one.get(name, 0) for one in figures) for name in ("ordered", "first_preferred"))
    assert (ordered, first) == (ordered, ordered if character == "first" else 0)
    assert ordered > 0


def test_a_judge_that_gives_everyone_the_same_mark_weighs_every_vote_alike(tmp_path: Path) -> None:
    scorer = {"name": "judge", "judge": critic("fives")}
    solutions = solve(tmp_path, scorer, selector={"name": "self_consistency", "scorer": scorer})
    assert [one.selection.answer for one in solutions] == ["4"] * 3
    assert [one.selection.weights for one in solutions] == [(3.0, 2.0, 1.0)] * 3


@pytest.mark.parametrize("name", NAMES)
def test_a_judge_that_never_answers_is_given_up_and_leaves_the_plain_vote(tmp_path: Path, name: str) -> None:
    silent = {"name": "replay", "delay_seconds": 1000, "script": ["A"]}
    solutions = solve(tmp_path, {"name": name, "judge": silent, "call_seconds": 0.05, "num_samples": 2}, number=2)
    for one in solutions:
        assert one.selection.answer == "4"
        assert "no reply within 0.05 s" in one.selection.fallback


@pytest.mark.parametrize("name", NAMES)
def test_a_slow_judge_is_waited_for(tmp_path: Path, name: str) -> None:
    told = {"Yes": -0.1, "No": -3.0, "A": -0.1, "B": -3.0, **{str(mark): -float(mark) for mark in range(1, 6)}}
    slow = {"name": "replay", "delay_seconds": 0.1, "script": [{"text": "A", "asked_logprobs": told}]}
    for one in solve(tmp_path, {"name": name, "judge": slow}, number=2):
        why = "the same place in both orders" if name == "pairwise" else "one score to all of 6"
        assert why in one.selection.fallback  # it says the same of everyone
        assert one.selection.answer == "4"
        assert one.selection.answer is not None


@pytest.mark.parametrize("name", NAMES)
def test_the_judge_reads_the_answer_and_not_the_thinking_unless_asked(tmp_path: Path, name: str) -> None:
    thoughtful = [{"text": "so \\boxed{2}", "reasoning": "some secret thoughts"}, "or \\boxed{4}"]
    judge = {"name": "replay", "script": ["nothing"]}
    read = {}
    for thinking in ("strip", "keep"):
        scorer = {"name": name, "judge": judge, "thinking": thinking, "num_samples": 1}
        [one] = solve(tmp_path / thinking, scorer, answers=thoughtful, number=1)
        read[thinking] = one.usage.engines["selector.scorer.judge"].prompt_tokens
    times = 2 if name == "pairwise" else 1
    assert read["keep"] - read["strip"] == times * len(["<think>", "some", "secret", "thoughts", "</think>"])


def test_what_counts_is_told_by_the_kind_of_problem_or_the_recipe() -> None:
    first, second = (candidate_of(Completion("p", "0", text, "stop", 0, 0), 0, 0, "", None) for text in ("{x}", "y"))
    calls: Any = SimpleNamespace(messages=(Message("user", "Q?"),))
    for kind, criteria in CRITERIA.items():
        [asked] = Pairwise().question(Problem("p", "Q?", kind), first, second, calls).messages
        assert criteria in asked.content
        assert "<response_A>\n{x}\n</response_A>" in asked.content
    [asked] = Pairwise(criteria="Short wins.").question(Problem("p", "Q?", "text"), first, second, calls).messages
    assert "Short wins." in asked.content
    assert CRITERIA["text"] not in asked.content


@pytest.mark.parametrize(
    ("scorer", "told"),
    [
        ({"name": "judge", "by": "probabilities"}, "needs the capability `ask_tokens`"),
        ({"name": "p_true", "judge": critic("right", speaks=True), "by": "probabilities"}, "use `by: samples`"),
        ({"name": "pairwise", "prompt": "{problem} {first}"}, "must hold {second}"),
        ({"name": "judge", "prompt": "{problem}"}, "must hold {answer}"),
        ({"name": "p_true", "yes": "No"}, "must be two words"),
        ({"name": "pairwise", "num_pivots": 3}, "must be left out in a knockout"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_drawn(
    tmp_path: Path, scorer: dict[str, Any], told: str
) -> None:
    with pytest.raises(RecipeError, match=told.replace("{", r"\{").replace("}", r"\}")):
        solve(tmp_path, scorer)


def test_rationales_come_before_the_question_and_their_mean_counts(tmp_path: Path) -> None:
    scorer = {"name": "p_true", "rationales": 3, "judge": critic("fives"), "yes": "Yes", "no": "No"}
    solutions = solve(tmp_path, scorer, number=1)
    assert [one["value"] for one in scores_of(tmp_path)[0]] == pytest.approx(
        [0.0] * 6
    )  # it says the last mark, which is No
    assert solutions[0].usage.engines["selector.scorer.judge"].num_calls == 6 * 3 * 2


@pytest.mark.parametrize("name", NAMES)
def test_a_judged_run_is_read_again_as_it_was_written(tmp_path: Path, name: str) -> None:
    scorer = {"name": name, "judge": critic("right")}
    first = solve(tmp_path, scorer, number=2)
    calls = (tmp_path / "run/scorer_calls.jsonl").read_bytes()
    again = solve(tmp_path, scorer, number=2)
    assert [one.selection for one in again] == [one.selection for one in first]
    assert (tmp_path / "run/scorer_calls.jsonl").read_bytes() == calls


def told(**logprobs: float) -> dict[str, Any]:
    return {"name": "replay", "script": [{"text": "4", "asked_logprobs": logprobs}]}


def test_a_mark_of_which_a_server_does_not_tell_is_none_only_where_it_can_be_next_to_nothing(tmp_path: Path) -> None:
    sure = told(**{"4": math.log(0.9), "5": math.log(0.09)})
    solve(tmp_path / "sure", {"name": "judge", "judge": sure, "by": "probabilities"}, number=1)
    assert scores_of(tmp_path / "sure")[0][0]["value"] == pytest.approx((0.9 * 0.75 + 0.09) / 0.99)
    unsure = told(**{"4": math.log(0.5)})
    solve(tmp_path / "unsure", {"name": "judge", "judge": unsure, "by": "probabilities"}, number=1)
    assert "could not tell how likely 1, 2, 3, 5 are" in scores_of(tmp_path / "unsure")[0][0]["detail"]
    [one] = solve(tmp_path / "auto", {"name": "judge", "judge": unsure, "num_samples": 2}, number=1)
    assert scores_of(tmp_path / "auto")[0][0]["value"] == 0.75  # replies were read instead
    assert one.usage.engines["selector.scorer.judge"].num_calls == 6 * 3


@pytest.mark.parametrize("name", [*NAMES, "genselect", "universal_self_consistency"])
def test_scores_do_not_depend_on_how_many_questions_are_on_their_way(tmp_path: Path, name: str) -> None:
    """The replies are functions of the questions' keys; how they are batched and when they come differs."""
    chance = random.Random(name)
    marks = ("1", "2", "3", "4", "5", "A", "B", "Yes", "No")
    script = [
        {
            "text": f"Judgment: {chance.randrange(3)}",
            "asked_logprobs": {mark: math.log(chance.uniform(0.02, 0.3)) for mark in marks},
            "delay_seconds": chance.uniform(0, 0.004),
        }
        for _ in range(11)
    ]
    found = []
    for size in (1, 3, 64):
        judge = {"name": "replay", "script": script, "batch_size": size}
        solve(tmp_path / str(size), {"name": name, "judge": judge}, number=4)
        found.append(scores_of(tmp_path / str(size)))
    assert found[0] == found[1] == found[2]
