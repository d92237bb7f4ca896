"""The selectors: who wins, who abstains, who wins a tie, and that the order of the candidates never matters."""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.components.component import Component
from tts.errors import RecipeError, ScorerError
from tts.protocols import BoundSelector
from tts.scorers.likelihood import Likelihood
from tts.selectors.best_of_n import BestOfN
from tts.selectors.borda import Borda, rank_votes
from tts.selectors.confidence_vote import ConfidenceVote, most_confident
from tts.selectors.contenders import scored_contenders
from tts.selectors.first import First
from tts.selectors.majority_vote import MajorityVote
from tts.selectors.oracle import Oracle
from tts.selectors.self_consistency import SelfConsistency
from tts.types import Answer, Ballot, Candidate, FinishReason, Score, Selection, Status, Verdict

WEIGHTED = SelfConsistency(scorer=Likelihood())
RERANKING = BestOfN(scorer=Likelihood())
SCORELESS = [First(), MajorityVote()]
BORDA = Borda(scorer=Likelihood())
CONFIDENT = ConfidenceVote(scorer=Likelihood(), keep=0.5)
SELECTORS = [*SCORELESS, WEIGHTED, RERANKING, BORDA, CONFIDENT]
NOTHING = Selection(None, None, (), num_tied=0, num_abstained=0)

Row = tuple[Candidate, Answer | None, int | None, Score]


def row(  # one line of a ballot
    index: int,
    answer: str | None,
    answer_class: int | None = None,
    *,
    score: float | None = 1.0,
    logprob: float | None = None,
    text: str = "",
    finish_reason: FinishReason = "stop",
    problem_id: str = "p",
) -> Row:
    error = "out of memory" if finish_reason == "error" else None
    candidate = Candidate(problem_id, index, text, None, finish_reason, 1, 1, None, logprob, None, 0, "t", None, error)
    return candidate, None if answer is None else Answer(answer, "boxed"), answer_class, Score(score)


def ballot(*rows: Row, links: Iterable[tuple[int, int]] = ()) -> Ballot:
    """A ballot whose nodes are numbered by first appearance, as verifiers do; `links` are between the rows' numbers."""
    numbers: dict[int, int] = {}
    for _, _, label, _ in rows:
        if label is not None:
            numbers.setdefault(label, len(numbers))
    return Ballot(
        tuple(r[0] for r in rows),
        tuple(r[1] for r in rows),
        tuple(None if r[2] is None else numbers[r[2]] for r in rows),
        tuple(r[3] for r in rows),
        frozenset(
            (min(numbers[a], numbers[b]), max(numbers[a], numbers[b])) for a, b in links if {a, b} <= numbers.keys()
        ),
    )


def select(selector: Component, *rows: Row, links: Iterable[tuple[int, int]] = ()) -> Selection:
    assert isinstance(selector, First | MajorityVote | SelfConsistency | BestOfN | Borda | ConfidenceVote)
    return selector.select(ballot(*rows, links=links))


# Who wins


def test_first_takes_the_lowest_index_that_has_an_answer() -> None:
    rows = [row(3, "c", 0), row(0, None), row(1, "a", 1, finish_reason="length"), row(2, "b", 2)]
    assert select(First(), *rows) == Selection(2, "b", (1.0, 0.0), num_tied=1, num_abstained=2)
    assert select(First(), row(0, "z", 0), row(1, "a", 1)).answer == "z"


def test_majority_vote_merges_what_the_verifier_calls_the_same() -> None:
    rows = [row(0, "3", 0), row(1, "1/2", 1), row(2, "3", 0), row(3, "0.5", 1), row(4, "\\frac12", 1)]
    # All equally likely: the smallest text stands for the class.
    assert select(MajorityVote(), *rows) == Selection(3, "0.5", (3.0, 2.0), num_tied=1, num_abstained=0)
    assert select(MajorityVote(), row(0, "7", 0), row(1, "8", 1), row(2, "8", 1)).answer == "8"


def test_the_most_likely_candidate_stands_for_its_class() -> None:
    rows = [row(0, "0.5", 0, logprob=-2), row(1, "1/2", 0, logprob=-1), row(2, "50%", 0), row(3, "3", 1, logprob=0)]
    assert select(MajorityVote(), *rows) == Selection(1, "1/2", (3.0, 1.0), num_tied=1, num_abstained=0)


def test_self_consistency_adds_the_scores_of_equal_answers() -> None:
    rows = [
        row(0, "3", 0, score=0.6),
        row(1, "4", 1, score=0.25),
        row(2, "4", 1, score=0.5),
        row(3, "5", 2, score=0.125),
    ]
    assert select(WEIGHTED, *rows) == Selection(1, "4", (0.75, 0.6, 0.125), num_tied=1, num_abstained=0)
    assert select(WEIGHTED, row(0, "3", 0, score=0.9), row(1, "4", 1, score=0.2)).answer == "3"


def test_best_of_n_takes_the_highest_score_and_adds_nothing_up() -> None:
    rows = [row(0, "3", 0, score=0.6), row(1, "4", 1, score=0.5), row(2, "4", 1, score=0.5)]
    assert select(RERANKING, *rows) == Selection(0, "3", (0.6, 0.5, 0.5), num_tied=1, num_abstained=0)
    assert select(RERANKING, row(0, "3", 0, score=-9.0), row(1, "4", 1, score=-2.5)).answer == "4"


# Agreement, where equality is not transitive


def voters(votes: str, links: Iterable[tuple[int, int]]) -> Selection:
    """The majority vote over answers such as "2x 2 y": candidates with likelihoods alike, nodes by text."""
    texts = votes.split()
    nodes = sorted(set(texts))
    rows = [row(index, text, nodes.index(text)) for index, text in enumerate(texts)]
    return select(MajorityVote(), *rows, links=links)


@pytest.mark.parametrize(
    ("votes", "answer", "weights"),
    [  # the texts sort as "5" < "5cm" < "5dollars" < "7"; 5 equals both of the others
        ("5cm " * 10 + "5 " * 9 + "7 " * 12, "5", (19.0, 12.0)),
        ("5cm " * 10 + "5 " * 9 + "7 " * 12 + "5dollars", "5", (20.0, 12.0)),
        ("5cm 5cm 5 5 7 7 7", "5", (4.0, 3.0)),
        ("5cm 5cm 5dollars 5dollars 7", "5cm", (2.0, 2.0, 1.0)),
        ("5cm 5cm 5cm 5dollars 7 7 7 7", "7", (4.0, 3.0, 1.0)),
    ],
)
def test_an_answer_is_supported_by_all_that_equal_it(votes: str, answer: str, weights: tuple[float, ...]) -> None:
    nodes = sorted(set(votes.split()))
    links = [(nodes.index("5"), nodes.index(one)) for one in nodes if "5" in nodes and one[1:]]
    selection = voters(votes, links)
    assert (selection.answer, selection.weights) == (answer, weights)


def test_tied_answers_that_are_linked_are_one_party() -> None:
    chain = [(0, 1), (1, 2), (2, 3)]
    assert voters("a b", chain) == Selection(0, "a", (2.0,), num_tied=1, num_abstained=0)
    assert voters("a b z z", [(0, 1)]).num_tied == 2
    assert voters("a c", [(0, 1)]).num_tied == 1  # nodes 0 and 1
    assert voters("a b c d", chain) == Selection(1, "b", (3.0,), num_tied=1, num_abstained=0)


def test_a_weighted_vote_adds_the_scores_of_linked_answers() -> None:
    rows = [row(0, "5cm", 0, score=0.25), row(1, "5", 1, score=0.25), row(2, "7", 2, score=0.375)]
    assert select(WEIGHTED, *rows, links=[(0, 1)]) == Selection(1, "5", (0.5, 0.375), num_tied=1, num_abstained=0)


def random_pool(rng: random.Random) -> tuple[list[Row], set[tuple[int, int]]]:
    """Up to 12 candidates of up to 5 answers, any of which may be linked."""
    pairs = [(a, b) for b in range(5) for a in range(b)]
    links = set(rng.sample(pairs, rng.randrange(8)))
    nodes = [rng.randrange(5) for _ in range(rng.randrange(1, 13))]
    return [row(index, "abcde"[node], node, logprob=rng.choice(LOGPROBS)) for index, node in enumerate(nodes)], links


def test_a_stray_candidate_never_hands_the_win_to_a_third_answer_and_order_never_matters() -> None:
    rng = random.Random(12)
    for _ in range(10_000):
        rows, links = random_pool(rng)
        before = select(MajorityVote(), *rows, links=links)
        shuffled = select(MajorityVote(), *rng.sample(rows, len(rows)), links=links)
        assert before == shuffled
        stray = rng.randrange(5)
        after = select(MajorityVote(), *rows, row(99, "abcde"[stray], stray), links=links)
        equal = {stray, *(a + b - stray for a, b in links if stray in (a, b))}
        # Where answers tied, any of them may win now.
        supports = {
            node: sum(r[2] == node or (min(r[2] or 0, node), max(r[2] or 0, node)) in links for r in rows)
            for node in {r[2] for r in rows}
            if node is not None
        }
        first = {"abcde"[node] for node, support in supports.items() if support == max(supports.values())}
        assert before.answer in first
        assert after.answer in first | {"abcde"[node] for node in equal}


# Who abstains


@pytest.mark.parametrize("selector", SELECTORS)
def test_the_unfinished_and_the_answerless_abstain(selector: Component) -> None:
    rows = [
        row(0, "1", 0, finish_reason="length"),
        row(1, "1", 0, finish_reason="cancelled"),
        row(2, None, None, finish_reason="error"),
        row(3, None),
        row(4, "2", 1),
    ]
    selection = select(selector, *rows)
    assert (selection.index, selection.answer, selection.num_abstained) == (4, "2", 4)


@pytest.mark.parametrize("selector", SELECTORS)
def test_nobody_left_means_no_answer(selector: Component) -> None:
    assert select(selector) == NOTHING
    rows = [row(0, None), row(1, "1", 0, finish_reason="length")]
    assert select(selector, *rows) == replace(NOTHING, num_abstained=2)


@pytest.mark.parametrize("selector", [WEIGHTED, RERANKING, BORDA, CONFIDENT])
def test_a_candidate_without_a_score_abstains(selector: Component) -> None:
    rows = [row(0, "1", 0, score=None), row(1, "1", 0, score=None), row(2, "2", 1, score=0.1)]
    weight = 1.0 if selector is BORDA else 0.1
    assert select(selector, *rows) == Selection(2, "2", (weight,), num_tied=1, num_abstained=2)
    assert select(selector, *rows[:2]) == replace(NOTHING, num_abstained=2)


# Ties


@pytest.mark.parametrize("selector", [MajorityVote(), WEIGHTED, RERANKING, BORDA, CONFIDENT])
def test_a_tie_goes_to_the_most_likely_then_to_the_smallest_text(selector: Component) -> None:
    likely = [row(0, "a", 0, logprob=-3), row(1, "b", 1, logprob=-1), row(2, "c", 2, logprob=math.nan)]
    assert (select(selector, *likely).answer, select(selector, *likely).num_tied) == ("b", 3)
    impossible = [row(0, "2", 0, logprob=0.7), row(1, "1", 1, logprob=-0.1)]  # above 0 is no log-probability
    assert (select(selector, *impossible).answer, select(selector, *impossible).num_tied) == ("1", 2)
    alike = [row(0, "b", 0), row(1, "B", 1), row(2, "a", 2)]
    assert (select(selector, *alike).answer, select(selector, *alike).num_tied) == ("B", 3)
    same_answer = [row(0, "a", 0, text="z"), row(1, "a", 0, text="y"), row(2, "a", 0, text="y")]
    assert select(selector, *same_answer).index == 1


def test_sums_that_are_all_zero_are_a_tie() -> None:
    rows = [row(0, "a", 0, score=0.0), row(1, "b", 1, score=0.0, logprob=-1), row(2, "a", 0, score=0.0)]
    assert select(WEIGHTED, *rows) == Selection(1, "b", (0.0, 0.0), num_tied=2, num_abstained=0)
    assert select(WEIGHTED, row(0, "a", 0, score=0.0)).answer == "a"


def test_equal_sums_tie_although_they_are_added_in_another_order() -> None:
    tenths = [0.1, 0.2, 0.3]  # 0.1 + 0.2 + 0.3 != 0.3 + 0.2 + 0.1 in floating point
    rows = [row(i, "a", 0, score=score) for i, score in enumerate(tenths)]
    rows += [row(i + 3, "b", 1, score=score) for i, score in enumerate(reversed(tenths))]
    assert (
        select(WEIGHTED, row(0, "1", 0, score=0.1), row(1, "1", 0, score=0.2), row(2, "2", 1, score=0.3)).num_tied == 2
    )
    assert select(WEIGHTED, *rows).num_tied == 2


# Scores that cannot be used


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("selector", [WEIGHTED, RERANKING, BORDA, CONFIDENT])
def test_a_score_that_is_not_finite_is_an_error(selector: Component, score: float) -> None:
    with pytest.raises(ScorerError, match="the score of candidate 1 of problem 'q' must be finite, got"):
        select(selector, row(0, "a", 0, problem_id="q"), row(1, "b", 1, score=score, problem_id="q"))


def test_a_negative_score_cannot_weigh_a_vote() -> None:
    for selector in (WEIGHTED, CONFIDENT):
        with pytest.raises(
            ScorerError, match=r"candidate 1 of problem 'p' must be 0 or above to weigh a vote, got -0\.5"
        ):
            select(selector, row(0, "a", 0), row(1, "b", 1, score=-0.5))


def test_a_sum_that_overflows_is_an_error() -> None:
    with pytest.raises(ScorerError, match="must have a finite sum"):
        select(WEIGHTED, row(0, "a", 0, score=1.7e308), row(1, "a", 0, score=1.7e308))


@pytest.mark.parametrize("selector", [WEIGHTED, RERANKING, BORDA, CONFIDENT])
def test_too_few_scores_are_an_error(selector: SelfConsistency | BestOfN | Borda | ConfidenceVote) -> None:
    whole = ballot(row(0, "a", 0), row(1, "b", 1))
    for scores in ((), whole.scores[:1]):
        with pytest.raises(ScorerError, match=f"must give 2 scores, one per candidate, got {len(scores)}"):
            selector.select(replace(whole, scores=scores))


# The oracle


def judged(*statuses: Status) -> list[Verdict]:
    return [Verdict(status) for status in statuses]


def test_the_oracle_finds_what_passed() -> None:
    rows = [row(0, "a", 0, logprob=0), row(1, "b", 1), row(2, "c", 2), row(3, None)]
    select = Oracle().select_with_verdicts
    assert select(ballot(*rows), judged("failed", "undecided", "passed", "failed")) == Selection(
        2, "c", (1.0, 0.5, 0.0), num_tied=1, num_abstained=1
    )
    assert select(ballot(*rows), judged("failed", "undecided", "failed", "failed")).answer == "b"
    assert select(ballot(*rows), judged("failed", "failed", "failed", "failed")).answer == "a"
    assert select(ballot(rows[3]), judged("failed")) == replace(NOTHING, num_abstained=1)


def test_the_oracle_refuses_to_work_without_verdicts() -> None:
    with pytest.raises(RecipeError, match="upper bound for benchmarks"):
        Oracle().select(ballot(row(0, "a", 0), row(1, "b", 1)))
    with pytest.raises(ValueError, match="`verdicts` must be 2, one per candidate, got 1"):
        Oracle().select_with_verdicts(ballot(row(0, "a", 0), row(1, "b", 1)), judged("passed"))


def test_only_the_oracle_is_a_bound() -> None:
    assert isinstance(Oracle(), BoundSelector)
    assert not any(isinstance(selector, BoundSelector) for selector in SELECTORS)


# The order of the candidates


FINISH: list[FinishReason] = ["stop", "stop", "stop", "length", "error"]
LOGPROBS = [None, math.nan, -math.inf, -1.5, -1.5, -0.25]
SCORES = [None, 0.0, 0.1, 0.2, 0.3, 1 / 3]


@st.composite
def two_orders(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """The rows of one problem in two orders."""
    rows = []
    for index in range(draw(st.integers(0, 6))):
        answer = draw(st.sampled_from([None, "1", "2", "0.5", "1/2", "½"]))
        label = None if answer is None else {"1": 1, "2": 2}.get(answer, 3)
        rows.append(
            row(
                index,
                answer,
                label,
                score=draw(st.sampled_from(SCORES)),
                logprob=draw(st.sampled_from(LOGPROBS)),
                text=draw(st.sampled_from(["", "x", "y"])),
                finish_reason=draw(st.sampled_from(FINISH)),
            )
        )
    return rows, draw(st.permutations(rows))


@pytest.mark.parametrize("selector", SELECTORS)
@given(orders=two_orders())
def test_the_order_of_the_candidates_changes_nothing(selector: Component, orders: tuple[list[Row], list[Row]]) -> None:
    assert select(selector, *orders[0]) == select(selector, *orders[1])


@given(
    orders=two_orders(), statuses=st.lists(st.sampled_from(["passed", "failed", "undecided"]), min_size=6, max_size=6)
)
def test_the_order_of_the_candidates_does_not_move_the_oracle(
    orders: tuple[list[Row], list[Row]], statuses: list[Status]
) -> None:
    by_index = [
        Oracle().select_with_verdicts(ballot(*rows), judged(*(statuses[each[0].index] for each in rows)))
        for rows in orders
    ]
    assert by_index[0] == by_index[1]


@pytest.mark.parametrize("selector", [MajorityVote(), WEIGHTED, RERANKING, BORDA, CONFIDENT])
@given(orders=two_orders())
def test_renumbering_the_candidates_never_changes_the_answer(
    selector: Component, orders: tuple[list[Row], list[Row]]
) -> None:
    renumbered = [(replace(each[0], index=index), *each[1:]) for index, each in enumerate(orders[1])]
    first, second = select(selector, *orders[0]), select(selector, *renumbered)
    assert (first.answer, first.weights, first.num_tied) == (second.answer, second.weights, second.num_tied)


@pytest.mark.parametrize("selector", SELECTORS)
@given(orders=two_orders())
def test_every_candidate_is_counted_once(selector: Component, orders: tuple[list[Row], list[Row]]) -> None:
    rows = orders[0]
    selection = select(selector, *rows)
    assert 0 <= selection.num_abstained <= len(rows)
    assert (selection.index is None) == (selection.num_abstained == len(rows)) == (selection.num_tied == 0)
    assert all(heavier >= lighter for heavier, lighter in pairwise(selection.weights))
    assert selection.num_tied == selection.weights.count(selection.weights[0] if selection.weights else 0)


def largest_classes(rows: Sequence[Row]) -> set[str | None]:
    """The slow twin: all answers of the largest classes, or None where nobody voted."""
    votes = [(label, answer.text) for c, answer, label, _ in rows if answer and c.finish_reason == "stop"]
    sizes = {label: sum(other == label for other, _ in votes) for label, _ in votes}
    return {text for label, text in votes if sizes[label] == max(sizes.values())} or {None}


@given(orders=two_orders())
def test_majority_vote_agrees_with_its_slow_twin(orders: tuple[list[Row], list[Row]]) -> None:
    assert select(MajorityVote(), *orders[0]).answer in largest_classes(orders[0])


# Borda


@pytest.mark.parametrize(
    ("power", "answer", "weights"),
    [
        (0.0, "A", (2.0, 2.0, 1.0)),
        (0.3, "B", (2.906, 2.621, 1.231)),
        (1.0, "B", (7.0, 6.0, 2.0)),
        (1.2, "B", (9.015, 7.899, 2.297)),
        (2.0, "A", (26.0, 25.0, 4.0)),
        (4.0, "A", (626.0, 337.0, 16.0)),
        (None, "B", (2.906, 2.621, 1.231)),
    ],
)
def test_borda_flips_between_vote_and_best_of_n(power: float | None, answer: str, weights: tuple[float, ...]) -> None:
    scores = (0.9, 0.8, 0.7, 0.6, 0.5)
    rows = [
        row(index, one, "ABC".index(one), score=score)
        for index, (one, score) in enumerate(zip("ABBCA", scores, strict=True))
    ]
    selection = select(Borda(scorer=Likelihood(), power=power), *rows)
    assert selection.answer == answer
    assert selection.weights == pytest.approx(weights, abs=5e-4)
    assert selection.num_tied == (2 if power == 0 else 1)


def test_borda_ranks_those_without_an_answer_but_not_those_without_a_score() -> None:
    rows = [
        row(0, None, score=0.9),
        row(1, "a", 0, score=0.8),
        row(2, "c", 2, score=0.7, finish_reason="length"),
        row(3, "b", 1, score=0.1),
        row(4, "b", 1, score=None),
    ]
    selection = select(Borda(scorer=Likelihood(), power=1.0), *rows)
    assert selection == Selection(1, "a", (3.0, 1.0), num_tied=1, num_abstained=3)


def test_equal_scores_share_the_votes_of_their_ranks() -> None:
    assert rank_votes([0.5, 0.5, 0.25], 2.0) == {0.5: (9 + 4) / 2, 0.25: 1.0}
    assert rank_votes([7.0] * 4, 1.0) == {7.0: 2.5}
    assert rank_votes([], 1.0) == {}


def test_from_32_ranked_candidates_on_the_better_ranks_count_for_more() -> None:
    assert rank_votes([*map(float, range(31))], None)[30.0] == pytest.approx(31**0.3)
    assert rank_votes([*map(float, range(32))], None)[31.0] == pytest.approx(32**1.2)


@given(orders=two_orders())
def test_power_0_is_the_majority_vote_of_those_that_have_a_score(orders: tuple[list[Row], list[Row]]) -> None:
    scored = [each for each in orders[0] if each[3].value is not None]
    assert select(Borda(scorer=Likelihood(), power=0.0), *scored) == select(MajorityVote(), *scored)


@given(orders=two_orders())
def test_borda_heeds_nothing_of_the_scores_but_their_order(orders: tuple[list[Row], list[Row]]) -> None:
    stretched = [
        (*each[:3], Score(None if each[3].value is None else math.exp(9 * each[3].value) - 50)) for each in orders[0]
    ]
    assert select(BORDA, *stretched) == select(BORDA, *orders[0])


# Votes of the most confident

WARM_UP = (3.1, 5.2, 4.0, 2.2, 6.6, 4.8, 5.9, 3.7, 4.4, 5.0, 2.9, 6.1, 4.1, 3.3, 5.5, 4.6)


def test_only_the_most_confident_vote_each_with_its_confidence() -> None:
    rows = [row(index, "a", 0, score=score) for index, score in enumerate((2.0, 2.1, 2.2, 2.3))]
    rows += [row(4, "b", 1, score=9.0), row(5, "b", 1, score=None), row(6, "c", 2, score=5.0, finish_reason="length")]
    keep_all = ConfidenceVote(scorer=Likelihood(), keep=1.0)
    assert select(keep_all, *rows) == Selection(4, "b", (9.0, 8.6), num_tied=1, num_abstained=2)
    assert select(keep_all.model_copy(update={"weighted": False}), *rows).weights == (4.0, 1.0)
    half = select(ConfidenceVote(scorer=Likelihood(), keep=0.5), *rows)
    assert half == Selection(4, "b", (9.0, 4.5), num_tied=1, num_abstained=4)


@pytest.mark.parametrize(("keep", "floor"), [(0.1, 6.0), (0.9, 3.0), (1.0, 0.0)])
def test_the_worked_thresholds_of_a_warm_up(keep: float, floor: float) -> None:
    entrants = scored_contenders(ballot(*(row(index, "a", 0, score=score) for index, score in enumerate(WARM_UP))))
    assert {one.weight for one in most_confident(entrants, keep)} == {score for score in WARM_UP if score >= floor}


@given(scores=st.lists(st.integers(0, 8), min_size=1, max_size=24), tenths=st.integers(1, 10))
def test_who_votes_is_who_reaches_the_quantile(scores: list[int], tenths: int) -> None:
    entrants = scored_contenders(ballot(*(row(index, "a", 0, score=score) for index, score in enumerate(scores))))
    floor = np.percentile(scores, 100 - 10 * tenths)
    assert [one.weight for one in most_confident(entrants, tenths / 10)] == [one for one in scores if one >= floor]


@given(orders=two_orders())
def test_who_keeps_all_and_weighs_nothing_has_the_majority_vote(orders: tuple[list[Row], list[Row]]) -> None:
    scored = [each for each in orders[0] if each[3].value is not None]
    assert select(ConfidenceVote(keep=1.0, weighted=False), *scored) == select(MajorityVote(), *scored)
    assert select(ConfidenceVote(keep=1.0), *orders[0]) == select(WEIGHTED, *orders[0])
