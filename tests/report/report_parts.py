"""Reports by hand, for the tests of figures and pages: two recipes on the same problems, and stranger ones."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tts.report.data import (
    Arm,
    ArmView,
    CandidateView,
    Contrast,
    Cost,
    Gain,
    Line,
    Point,
    ProblemView,
    Quality,
    Report,
    Speed,
    Spread,
)
from tts.types import JSON, Spent, Status

WORDS = """
the of number equation we have that is so then now let us find by both sides first second square root total sum
product each divide multiply subtract add therefore since because triangle angle length area side ratio prime factor
remainder integer positive value substitute into gives which means check again wait actually note follows from given
condition case when if otherwise at most least exactly two three four five ways choose order probability expected
distance speed time minutes hours cost price more less than equal to simplify expand polynomial degree coefficient
term sequence next previous difference arithmetic geometric series converges bounded function
""".split()  # noqa: SIM905 - a hundred words are read more easily so
FOLLOWING = {word: random.Random(word).sample(WORDS, 6) for word in WORDS}
FORMULAS = (
    r"$\frac{{{a}}}{{{b}}}$",
    r"$x^2 - {a}x + {b} = 0$",
    r"\({a} \cdot {b} = {c}\)",
    r"$\sqrt{{{c}}}$",
    r"\[ \sum_{{i=1}}^{{{a}}} i = {c} \]",
    r"$n \le {b}$",
)


def report(
    num_problems: int = 6, num_candidates: int = 8, *, arms: Sequence[str] = ("vanilla", "min_p"), num_words: int = 40
) -> Report:
    """Return a report with plausible figures that agree with each other in kind, not in number."""
    ks = tuple(2**power for power in range(num_candidates.bit_length()) if 2**power <= num_candidates)
    made = tuple(arm(name, ks, num_problems, 0.05 * place) for place, name in enumerate(arms))
    return Report(
        title=" and ".join(arms),
        headline="maj@k",
        headline_k=ks[-1],
        ks=ks,
        arms=made,
        contrasts=tuple(contrast(arms[1], arms[0], figure, k) for figure in ("maj@k", "pass@k") for k in ks)
        if len(arms) > 1
        else (),
        method=(
            "pass@k is the unbiased estimate; maj@k is the exact expectation over k-subsets.",
            "Intervals: 95 %, BCa bootstrap over problems, 10,000 draws, seed 0.",
        ),
        warnings=("3 of 48 candidates of vanilla were cut by the length limit: raise sampler.max_tokens (now 256).",),
        problems=tuple(problem(place, arms, num_candidates, num_words) for place in range(num_problems)),
        speeds=(Speed(arms[1], arms[0], 0.953, 0.91, 0.99, 4),) if len(arms) > 1 else (),
    )


def arm(name: str, ks: Sequence[int], num_problems: int, better: float) -> Arm:
    """Return an arm whose lines rise with k: coverage fastest, a blind choice not at all."""
    rises = {"random": 0.0, "pass@k": 0.11, "pass^k": -0.06, "maj@k": 0.05, "first": 0.0, "best_of_n(likelihood)": 0.03}
    return Arm(
        name=name,
        run=f"runs/{name}-20260101-120000",
        recipe=recipe(name),
        num_problems=num_problems,
        num_graded=num_problems,
        lines=tuple(line(figure, ks, 0.30 + better, rise) for figure, rise in rises.items()),
        cost=Cost(12_800, 163_840, 512, 6_144, {"engine": Spent(64, 12_800, 163_840)}, 724.6, 226.1),
        quality=Quality(48, 3, 0, 2, 5, 0, 3, tuple(1 + 0.9 * math.log2(k) for k in ks)),
        spread=Spread("word 2-grams", {"0": 7.4, "1": 5.2, "2": 3.9, "inf": 2.1}, 0.42, 0.71, 7.6, None, None),
        statistics={"esamp": {"rows guided": 1210, "first loss": 2.31, "last loss": 0.87, "kl": None}},
        gains=tuple(gain("maj@k", k) for k in ks if k > 1),
    )


def gain(figure: str, k: int) -> Gain:
    paired = (0.15, 0.15, 0.021, 0.279, 0.012, -0.004, 0.304, 0.058)
    return Gain(figure, k, *paired, 0.18, 0.18, 0.07, 0.34, 0.4545, 0.11, 0.7)


def line(figure: str, ks: Sequence[int], start: float, rise: float) -> Line:
    """Return a line that rises by `rise` with each doubling of k."""
    values = [min(0.97, max(0.02, start + rise * math.log2(k))) for k in ks]
    return Line(
        figure,
        tuple(
            Point(k, 410.0 * k, value, value, max(0.0, value - 0.16), min(1.0, value + 0.15), 0.0)
            for k, value in zip(ks, values, strict=True)
        ),
    )


def contrast(first: str, second: str, figure: str, k: int) -> Contrast:
    return Contrast(
        first=first,
        second=second,
        figure=figure,
        k=k,
        num_problems=30,
        lower=0.05,
        upper=0.05,
        interval_low=-0.011,
        interval_high=0.112,
        p_value=0.141,
        together_low=-0.031,
        together_high=0.132,
        adjusted_p_value=0.563,
        num_wins=11,
        num_losses=7,
        num_ties=12,
        num_open=0,
        power="with 30 problems of 64 candidates and 8 looks, a gain of about 9 points that is alike on all problems "
        "would be told apart 4 times in 5; a scattered one less often",
    )


def recipe(name: str) -> Mapping[str, JSON]:
    sampler: JSON = {"name": name, "num_candidates": 8, "temperature": 1.0, "max_tokens": 256}
    return {"problems": "quickstart", "task": "math", "sampler": sampler, "selector": "majority_vote", "seed": 0}


def problem(place: int, arms: Sequence[str], num_candidates: int, num_words: int) -> ProblemView:
    randomness = random.Random(place)
    views = tuple(arm_view(name, randomness, num_candidates, num_words) for name in arms)
    prompt = rf"A train takes {place + 3} minutes for $\frac{{{place + 1}}}{{2}}$ km. How many minutes for 21 km?"
    return ProblemView(f"word-{place + 1:02}", "math", prompt, "42", views)


def arm_view(name: str, randomness: random.Random, num_candidates: int, num_words: int) -> ArmView:
    candidates = tuple(candidate(index, randomness, num_words) for index in range(num_candidates))
    chosen = next((one for one in candidates if one.group == 0), None)
    if chosen is None:
        return ArmView(name, None, "failed", "no_answer", candidates)
    return ArmView(name, chosen.index, chosen.status, chosen.reason, candidates)


def candidate(index: int, randomness: random.Random, num_words: int) -> CandidateView:
    """Return a candidate with one of three answers, or cut off before it had any."""
    answers: list[tuple[str | None, int | None, Status, str]] = [
        ("42", 0, "passed", ""),
        ("41", 1, "failed", "wrong_answer"),
        (r"\frac{1}{2}", 2, "failed", "wrong_answer"),
        (None, None, "undecided", "truncated"),
    ]
    answer, group, status, reason = randomness.choices(answers, weights=[5, 3, 1, 1])[0]
    cut = answer is None
    return CandidateView(
        index=index,
        text=prose(randomness, num_words) + ("" if cut else rf" So the answer is $\boxed{{{answer}}}$."),
        reasoning=prose(randomness, 12) if index % 4 == 0 else None,
        finish_reason="length" if cut else "stop",
        num_tokens=256 if cut else randomness.randint(90, 250),
        sampler="temperature",
        answer=answer,
        rule=None if cut else "boxed",
        group=group,
        status=status,
        reason=reason,
        detail="",
        scores={"likelihood": None if cut else -randomness.random()},
    )


def prose(randomness: random.Random, num_words: int) -> str:
    """Return words, numbers and formulas, each word a likely one after the last three times in four.

    Eight such texts of 410 bytes pack to 1/2.6 under gzip; those of a real model (SmolLM2, 67 problems) to 1/2.9.
    """
    words, last = [], "now"
    for _ in range(num_words):
        kind = randomness.random()
        if kind < 0.08:
            words.append(str(randomness.randint(2, 99)))
        elif kind < 0.12:
            a, b = randomness.randint(2, 30), randomness.randint(2, 30)
            words.append(randomness.choice(FORMULAS).format(a=a, b=b, c=a * b))
        else:
            last = randomness.choice(FOLLOWING[last] if kind < 0.78 else WORDS)
            words.append(last)
    return " ".join(words)


def with_undecided(made: Report) -> Report:
    """Return the report with every figure a range of 20 points."""
    return replace(made, arms=tuple(replace(arm, lines=tuple(_open(line) for line in arm.lines)) for arm in made.arms))


def _open(line: Line) -> Line:
    return replace(line, points=tuple(replace(point, upper=min(1.0, point.upper + 0.2)) for point in line.points))
