"""The scorers that read what the engine measured."""

import math
from dataclasses import replace

import pytest

from tts.scorers.confidence import Confidence
from tts.scorers.likelihood import Likelihood
from tts.scorers.novelty import Novelty
from tts.scorers.self_certainty import SelfCertainty
from tts.types import Candidate, Problem

PROBLEMS = [Problem("p", "1+1?", "math"), Problem("q", "2+2?", "math")]


def candidate(problem: Problem, index: int, **measured: float | None) -> Candidate:
    fields: dict[str, float | None] = {"mean_logprob": None, "self_certainty": None, **measured}
    return Candidate(
        problem_id=problem.id,
        index=index,
        text="",
        reasoning=None,
        finish_reason="stop",
        num_prompt_tokens=1,
        num_tokens=4,
        cumulative_logprob=-4.0,
        seed=0,
        sampler="t",
        **fields,
    )


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.id)
def test_likelihood_is_the_geometric_mean_of_the_token_probabilities(problem: Problem) -> None:
    # Two tokens of probabilities 1/2 and 1/8: mean logprob ln(1/16)/2, geometric mean 1/4.
    candidates = [candidate(problem, 0, mean_logprob=math.log(1 / 16) / 2), candidate(problem, 1, mean_logprob=0.0)]
    assert [score.value for score in Likelihood().score(problem, candidates)] == [pytest.approx(0.25), 1.0]


def test_likelihood_forgives_a_rounding_error_and_an_underflow() -> None:
    candidates = [candidate(PROBLEMS[0], i, mean_logprob=value) for i, value in enumerate((1e-9, -1e9, -math.inf))]
    assert [score.value for score in Likelihood().score(PROBLEMS[0], candidates)] == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("mean_logprob", "said"),
    [(None, "no log-probabilities"), (math.nan, "got nan"), (0.5, "must be at most 0, got 0.5"), (math.inf, "got inf")],
)
def test_likelihood_cannot_tell_without_a_log_probability(mean_logprob: float | None, said: str) -> None:
    scores = Likelihood().score(PROBLEMS[1], [candidate(PROBLEMS[1], 0, mean_logprob=mean_logprob)])
    assert [score.value for score in scores] == [None]
    assert said in scores[0].detail


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.id)
def test_self_certainty_is_what_the_engine_measured(problem: Problem) -> None:
    candidates = [candidate(problem, i, self_certainty=value) for i, value in enumerate((3.5, 0.0, 17.25))]
    assert [score.value for score in SelfCertainty().score(problem, candidates)] == [3.5, 0.0, 17.25]


@pytest.mark.parametrize(
    ("self_certainty", "said"),
    [(None, "no self-certainty"), (math.nan, "got nan"), (-0.5, "at least 0, got -0.5"), (math.inf, "got inf")],
)
def test_self_certainty_cannot_tell_without_a_measurement(self_certainty: float | None, said: str) -> None:
    scores = SelfCertainty().score(PROBLEMS[1], [candidate(PROBLEMS[1], 0, self_certainty=self_certainty)])
    assert [score.value for score in scores] == [None]
    assert said in scores[0].detail


def with_statistics(problem: Problem, **statistics: float) -> Candidate:
    return replace(candidate(problem, 0), engine_stats=statistics)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.id)
def test_novelty_is_what_esamp_measured(problem: Problem) -> None:
    candidates = [with_statistics(problem, esamp_novelty=value, esamp_kl=0.1) for value in (0.75, 0.0, 1.5)]
    assert [score.value for score in Novelty().score(problem, candidates)] == [0.75, 0.0, 1.5]


@pytest.mark.parametrize(
    ("statistics", "said"),
    [
        ({}, "no token was drawn by esamp"),
        ({"esamp_guided_tokens": 0.0}, "no token was drawn by esamp"),
        ({"esamp_novelty": math.nan}, "got nan"),
        ({"esamp_novelty": math.inf}, "got inf"),
        ({"esamp_novelty": -0.1}, "at least 0, got -0.1"),
    ],
)
def test_novelty_cannot_tell_without_a_measurement(statistics: dict[str, float], said: str) -> None:
    (score,) = Novelty().score(PROBLEMS[1], [with_statistics(PROBLEMS[1], **statistics)])
    assert score.value is None
    assert said in score.detail


def test_confidence_is_what_the_engine_measured_over_the_tokens_that_are_asked_for() -> None:
    measured = {"mean_confidence": 4.0, "tail_confidence": 0.0, "least_confidence": 1.5, "bottom_confidence": 1.75}
    for over, value in (("mean", 4.0), ("tail", 0.0), ("least", 1.5), ("bottom", 1.75)):
        found = Confidence(over=over).score(PROBLEMS[0], [with_statistics(PROBLEMS[0], **measured)] * 2)
        assert [score.value for score in found] == [value] * 2


@pytest.mark.parametrize(
    ("statistics", "said"),
    [({}, "no bottom_confidence"), ({"bottom_confidence": math.inf}, "got inf"), ({"bottom_confidence": -1}, "got -1")],
)
def test_confidence_cannot_tell_without_a_measurement(statistics: dict[str, float], said: str) -> None:
    (score,) = Confidence().score(PROBLEMS[1], [with_statistics(PROBLEMS[1], **statistics)])
    assert score.value is None
    assert said in score.detail


def test_a_scorer_names_the_capability_it_reads() -> None:
    assert Likelihood().requires == {"logprobs"}
    assert SelfCertainty().requires == {"self_certainty"}
    assert Confidence().requires == {"confidence"}
    assert Novelty().requires == frozenset()  # a recorded run of esamp has its statistics on any engine


def test_no_candidates_have_no_scores() -> None:
    assert Likelihood().score(PROBLEMS[0], []) == []
    assert SelfCertainty().score(PROBLEMS[1], []) == []
    assert Novelty().score(PROBLEMS[0], []) == []
