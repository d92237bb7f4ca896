import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tts.selectors.majority_vote import MajorityVote
from tts.types import Answer, Ballot, Candidate, Grouping, Problem, Reference, Verdict
from tts.verifiers.math import MathVerifier
from tts.verifiers.math.by_key import group_keys

PROBLEMS = [Problem("a", "1+1?", "math"), Problem("b", "x?", "math")]


def answers(*texts: str | None) -> list[Answer | None]:
    return [None if text is None else Answer(text, "boxed") for text in texts]


def classes(verifier: MathVerifier, *texts: str | None) -> list[int | None]:
    """The nodes, where no two of them are linked."""
    grouping = verifier.group(PROBLEMS[0], answers(*texts))
    assert not grouping.links
    return list(grouping.nodes)


def test_equal_answers_share_a_class_and_no_answer_has_none() -> None:
    texts = ("1/2", None, "0.5", "3", r"\frac12", "  ", "2,1", r"\{1,2\}")
    assert classes(MathVerifier(), *texts) == [0, None, 0, 1, 0, None, 2, 2]
    assert classes(MathVerifier()) == []
    assert classes(MathVerifier(), None) == [None]


def test_formulas_join_the_class_of_their_value(math_verifier: MathVerifier) -> None:
    texts = (r"\sin(\pi/6)", "3", "0.5", r"\cos(\pi/3)", r"\log_2 8", r"\tan 1")
    assert classes(math_verifier, *texts) == [0, 1, 0, 0, 1, 2]


def test_a_label_may_be_left_out_but_two_labels_must_agree() -> None:
    assert classes(MathVerifier(), "0", "x=0") == [0, 0]
    assert classes(MathVerifier(), "5 cm", "5", "6") == [0, 0, 1]
    assert classes(MathVerifier(), r"50\%", "0.5") == [0, 0]


def test_answers_that_equal_one_and_differ_are_linked_to_it() -> None:
    def grouped(*texts: str) -> Grouping:
        return MathVerifier().group(PROBLEMS[0], answers(*texts))

    assert grouped("0", "x=0", "y=0", "0.0") == Grouping((0, 1, 2, 0), frozenset({(0, 1), (0, 2)}))
    assert grouped("50", r"50\%", "0.5") == Grouping((0, 1, 2), frozenset({(0, 1), (1, 2)}))
    assert grouped("5", "5 cm", "5 km", "6 km", "6") == Grouping((0, 1, 2, 3, 3), frozenset({(0, 1), (0, 2)}))


@pytest.mark.parametrize(
    ("texts", "winner", "weights"),
    [
        (["5 cm"] * 10 + ["5"] * 9 + ["7"] * 12, "5", (19.0, 12.0)),
        (["5 cm"] * 10 + ["5"] * 9 + ["7"] * 12 + ["$5"], "5", (20.0, 12.0)),
        ([r"50\%"] * 10 + ["50"] * 9 + ["7"] * 12 + ["0.5"], r"50\%", (20.0, 12.0)),
        (["x=2"] * 2 + ["2"] * 2 + ["7"] * 3, "2", (4.0, 3.0)),
        ([r"50\%"] * 2 + ["0.5"] * 2 + ["7"] * 3, "0.5", (4.0, 3.0)),
        ([r"50\%"] * 2 + ["0.5"] * 2 + ["7"] * 3 + ["50"], r"50\%", (5.0, 3.0)),
        (["x=2"] * 2 + ["2"] * 2 + ["7"] * 3 + ["y=2"], "2", (5.0, 3.0)),
    ],
)
def test_a_vote_is_by_agreement(texts: list[str], winner: str, weights: tuple[float, ...]) -> None:
    grouping = MathVerifier().group(PROBLEMS[0], answers(*texts))
    drawn = [Candidate("a", n, text, None, "stop", 1, 1, None, None, None, 0, "t") for n, text in enumerate(texts)]
    ballot = Ballot(tuple(drawn), tuple(answers(*texts)), grouping.nodes, (), grouping.links)
    selection = MajorityVote().select(ballot)
    assert (selection.answer, selection.weights) == (winner, weights)


def test_what_cannot_be_parsed_or_decided_is_its_own_class() -> None:
    with MathVerifier(timeout_seconds=1) as verifier:
        texts = (r"\frac{1}{", "5", "9^{9^{9^9}}", r"\frac{1}{", "9^{9^{9^9}}", r"\frac{2}{")
        assert classes(verifier, *texts) == [0, 1, 2, 0, 2, 3]


@pytest.mark.parametrize("seed", range(5))
def test_the_grouping_does_not_depend_on_the_order(math_verifier: MathVerifier, seed: int) -> None:
    texts = [
        "0",
        "x=0",
        "y=0",
        "1/2",
        "0.5",
        r"50\%",
        "50",
        r"\sin(\pi/6)",
        r"\frac{1}{",
        "5 cm",
        "5",
        "5 m",
        r"\cos(\pi/3)",
    ]

    def equal(order: list[str]) -> set[tuple[str, str]]:
        grouping = math_verifier.group(PROBLEMS[0], answers(*order))
        rows = list(zip(order, grouping.nodes, strict=True))
        return {(a, b) for a, i in rows for b, j in rows if i == j or {(i, j), (j, i)} & grouping.links}

    assert equal(random.Random(seed).sample(texts, len(texts))) == equal(texts)


PAIRS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=12)


@given(PAIRS)
def test_nodes_and_links_say_again_which_answers_are_equal(equal: list[tuple[int, int]]) -> None:
    grouping = group_keys(range(8), equal)
    around = [{a} | {b for pair in equal if a in pair for b in pair} for a in range(8)]
    for a in range(8):
        for b in range(8):
            i, j = grouping.nodes[a], grouping.nodes[b]
            assert (i == j) == (around[a] == around[b])
            assert (b in around[a]) == (i == j or bool({(i, j), (j, i)} & grouping.links))
    assert all(left < right for left, right in grouping.links)


def test_answers_that_equal_the_same_ones_are_one_node() -> None:
    assert group_keys([0, 1, 2, None], [(0, 1), (1, 2), (0, 2)]) == Grouping((0, 0, 0, None))
    assert group_keys([0, 1, 2], [(2, 1), (0, 1)]) == Grouping((0, 1, 2), frozenset({(0, 1), (1, 2)}))
    assert group_keys([]) == Grouping(())


def test_verdicts_come_in_the_order_of_the_answers() -> None:
    for problem in PROBLEMS:
        assert MathVerifier().verify(problem, answers("2", None, "3", "2.0", " "), Reference("2")) == [
            Verdict("passed"),
            Verdict("failed", "no_answer"),
            Verdict("failed", "wrong_answer"),
            Verdict("passed"),
            Verdict("failed", "no_answer"),
        ]


@pytest.mark.parametrize("reference", [None, "", "  \n"])
def test_without_a_reference_answers_are_undecided(reference: str | None) -> None:
    verdicts = MathVerifier().verify(PROBLEMS[0], answers("2", None), Reference(reference))
    assert verdicts == [Verdict("undecided", "no_reference"), Verdict("failed", "no_answer")]


@pytest.mark.parametrize(
    "reference",
    ["18", "$18$", r"\boxed{18}", r"So it is \boxed{18}.", "The answer is 18.", "9 * 2 = <<9*2=18>>18\n#### 18"],
)
def test_a_reference_may_be_wrapped_or_a_whole_solution(reference: str) -> None:
    assert MathVerifier().verify(PROBLEMS[0], answers("18", "9"), Reference(reference)) == [
        Verdict("passed"),
        Verdict("failed", "wrong_answer"),
    ]


def test_an_absurdly_long_answer_is_undecided_unless_it_is_the_reference() -> None:
    long = "x+" * 50_000 + "1"
    assert MathVerifier().verify(PROBLEMS[0], answers(long), Reference("5")) == [Verdict("undecided", "too_long")]
    assert MathVerifier().verify(PROBLEMS[0], answers(long), Reference(long)) == [Verdict("passed")]
    assert classes(MathVerifier(), long, "5", long) == [0, 1, 0]


def test_variable_names_count_unless_asked() -> None:
    for text in ("x=5", "x = 5.0"):
        assert MathVerifier().verify(PROBLEMS[1], answers(text), Reference("y=5"))[0].status == "failed"
        forgiving = MathVerifier(ignore_variable_names=True)
        assert forgiving.verify(PROBLEMS[1], answers(text), Reference("y=5"))[0].status == "passed"


@given(st.sampled_from(PROBLEMS), st.text(max_size=80))
def test_extract_never_raises(problem: Problem, text: str) -> None:
    MathVerifier().extract(problem, text)


@pytest.mark.parametrize(
    "wrong", [{"timeout_seconds": 0.0}, {"workers": 0}, {"memory_limit_mb": 1}, {"wrokers": 2}, {"workers": True}]
)
def test_a_wrong_parameter_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MathVerifier(**wrong)  # type: ignore[arg-type]


def test_every_math500_answer_passes_against_itself_and_fails_against_the_next(
    math_verifier: MathVerifier, math500_answers: list[str]
) -> None:
    for answer, other in zip(math500_answers, math500_answers[150:] + math500_answers[:150], strict=True):
        right, wrong = math_verifier.verify(PROBLEMS[0], answers(f"$ {answer} $", other), Reference(answer))
        assert right == Verdict("passed"), answer
        assert wrong == Verdict("failed", "wrong_answer"), (answer, other)
