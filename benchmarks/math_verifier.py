r"""Throughput of the math verifier beside plain math-verify, on the same answers, interleaved in one run.

    python benchmarks/math_verifier.py [--problems 10] [--repeats 5] [--data ../shared/data/math500.jsonl]

One problem is a reference and eight candidate answers that are written differently, four right and four wrong. Plain
is math-verify as its README shows it, in this process: the reference parsed once a problem, each candidate parsed and
verified. Ours is `MathVerifier.verify` with two workers, one call a problem. Before every repeat all caches on both
sides are cleared (ours by new workers); the start of the workers is not part of the time. «agree» is the share of
candidates that both sides judge alike.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import math_verify
from math_verify import parser as math_verify_parser

from tts.types import Answer, Problem, Reference
from tts.verifiers.math import MathVerifier
from tts.verifiers.math.form import read

PROBLEM = Problem("p", "?", "math")
WARM_UP = [Answer(rf"\cos({n}) + 1", "boxed") for n in range(20)]


@dataclass(frozen=True)
class Case:
    reference: str
    answers: tuple[str, ...]


Maker: TypeAlias = Callable[[random.Random], Case]


def integers(rng: random.Random) -> Case:
    n = rng.randint(1000, 999_999)
    right = (f"{n}", f"{n:,}", rf"\boxed{{{n}}}", f"{n}.0")
    return Case(f"{n}", (*right, f"{n + 1}", f"-{n}", f"{n}0", f"{n - 7:,}"))


def fractions(rng: random.Random) -> Case:
    a, b = rng.randint(2, 99), rng.choice([7, 11, 13, 17, 19, 23])
    right = (f"{a}/{b}", rf"\dfrac{{{a}}}{{{b}}}", rf"\frac{{{2 * a}}}{{{2 * b}}}", rf"\tfrac {{{a}}} {{{b}}}")
    return Case(rf"\frac{{{a}}}{{{b}}}", (*right, f"{b}/{a * 3}", rf"\frac{{{a + b}}}{{{b}}}", f"-{a}/{b}", f"{a}.{b}"))


def decimals_and_units(rng: random.Random) -> Case:
    n = rng.randint(11, 99)
    right = (f"{n}.50", rf"{n}.5\text{{ cm}}", rf"{n}\frac{{1}}{{2}}", rf"{n}.5 \mbox{{ inches}}^2")
    return Case(f"{n}.5", (*right, f"{n}.05", rf"{n}.6\text{{ cm}}", f"{n}", rf"\${n}.51"))


def roots_and_pi(rng: random.Random) -> Case:
    a, b = rng.randint(2, 40), rng.choice([2, 3, 5, 7])
    right = (
        rf"\sqrt{{{a * a * b}}}\pi",
        rf"{a}\pi\sqrt{b}",
        rf"\frac{{{a * b}\pi}}{{\sqrt{{{b}}}}}",
        rf"{a} \cdot \pi \sqrt{{{b}}}",
    )
    return Case(rf"{a}\pi\sqrt{{{b}}}", (*right, rf"{a}\pi", rf"{a + 1}\pi\sqrt{b}", rf"\sqrt{{{a}}}\pi", f"{a * b}"))


def polynomials(rng: random.Random) -> Case:
    a, b = rng.sample(range(2, 30), 2)
    right = (f"(x+{a})(x+{b})", f"{a * b}+{a + b}x+x^2", f"x^2 + {a + b} x + {a * b}", f"x(x+{a + b})+{a * b}")
    wrong = (f"x^2+{a + b}x", f"x^2+{a * b}x+{a + b}", f"(x+{a})(x-{b})", f"(x+{a})^2")
    return Case(f"x^2+{a + b}x+{a * b}", (*right, *wrong))


def sets_tuples_intervals(rng: random.Random) -> Case:
    a, b = sorted(rng.sample(range(1, 200), 2))
    if rng.random() < 0.5:
        right = (rf"\{{{b},{a}\}}", f"{a}, {b}", rf"\left\{{{a}, {b}\right\}}", rf"{b} \text{{ and }} {a}")
        return Case(rf"\{{{a},{b}\}}", (*right, f"[{a},{b}]", f"{a}", rf"\{{{a},{b + 1}\}}", f"({b},{a}]"))
    right = (f"({a}, {b}]", rf"\left({a},{b}\right]", f"({a}.0,{b}]", rf"\left( {a}, {b} \right]")
    return Case(f"({a},{b}]", (*right, f"({a},{b})", f"[{a},{b})", f"({a},{b + 1}]", f"{b}"))


def matrices(rng: random.Random) -> Case:
    a, b, c = (rng.randint(-40, 40) for _ in range(3))
    rows = rf"{a} \\ {b} \\ {c}"
    kinds = ("pmatrix", "bmatrix")
    right = (
        *(rf"\begin{{{k}}} {rows} \end{{{k}}}" for k in kinds),
        *(rf"\begin{{{k}}}{rows}\end{{{k}}}" for k in kinds),
    )
    other = rf"{b + 1} \\ {a} \\ {c}"
    wrong = (
        rf"\begin{{pmatrix}} {other} \end{{pmatrix}}",
        f"({a},{b},{c})",
        f"{a}",
        r"\begin{pmatrix} 1 \end{pmatrix}",
    )
    return Case(right[0], (*right, *wrong))


def functions(rng: random.Random) -> Case:
    a, b = rng.randint(2, 50), rng.randint(2, 9)
    right = (rf"\sin {a} + {b}", rf"{b} + \sin({a})", rf"2\sin({a}) - \sin({a}) + {b}", rf"\sin({2 * a}/2) + {b}")
    wrong = (rf"\cos({a}) + {b}", rf"\sin({a}) - {b}", rf"\log({a}) + {b}", rf"\sin({a + 1}) + {b}")
    return Case(rf"\sin({a}) + {b}", (*right, *wrong))


def roots_of_sums(rng: random.Random) -> Case:
    a, b = rng.randint(2, 20), rng.choice([2, 3, 5, 7])
    right = (
        rf"\frac{{1}}{{{a}+\sqrt{b}}}",
        rf"\frac{{1}}{{\sqrt{{{b}}}+{a}}}",
        rf"\frac{{2}}{{2\sqrt{{{b}}}+{2 * a}}}",
        rf"({a}+\sqrt{{{b}}})^{{-1}}",
    )
    wrong = (
        rf"\frac{{1}}{{{a}-\sqrt{{{b}}}}}",
        rf"\frac{{2}}{{{a}+\sqrt{{{b}}}}}",
        rf"\sqrt{{{a}+\sqrt{{{b}}}}}",
        rf"{a}+\sqrt{{{b}}}",
    )
    return Case(rf"\frac{{1}}{{{a}+\sqrt{{{b}}}}}", (*right, *wrong))


def lines(rng: random.Random) -> Case:
    a, b = rng.sample(range(2, 40), 2)
    right = (f"{b}y+{a}x=1", f"{a}x+{b}y-1=0", f"1={a}x+{b}y", f"{2 * a}x+{2 * b}y=2")
    return Case(f"{a}x+{b}y=1", (*right, f"{a}x-{b}y=1", f"{a}x+{b}y=2", f"{b}x+{a}y=1", f"x+{b}y=1"))


def curves(rng: random.Random) -> Case:
    a, b = rng.sample(range(2, 40), 2)
    right = (f"{b}y^2+{a}x^2=1", f"{a}x^2+{b}y^2-1=0", f"1={a}x^2+{b}y^2", f"{2 * a}x^2+{2 * b}y^2=2")
    wrong = (f"{a}x^2-{b}y^2=1", f"{a}x^2+{b}y^2=2", f"{b}x^2+{a}y^2=1", f"x^2+{b}y=1")
    return Case(f"{a}x^2+{b}y^2=1", (*right, *wrong))


def words(rng: random.Random) -> Case:
    days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    day, *others = rng.sample(days, 5)
    return Case(rf"\text{{{day}}}", (day, day.lower(), rf"\textbf{{{day}}}", rf"\text{{ {day} }}", *others))


def from_file(path: Path) -> Maker:
    """Draw answers of a data set: one against its own spellings and against four others."""
    answers = sorted({json.loads(line)["answer"] for line in path.read_text(encoding="utf-8").splitlines()})

    def maker(rng: random.Random) -> Case:
        answer, *others = rng.sample(answers, 5)
        return Case(
            answer, (answer, answer.replace(r"\frac", r"\dfrac"), f" {answer} ", rf"\boxed{{{answer}}}", *others)
        )

    return maker


OWN: tuple[Maker, ...] = (
    integers,
    fractions,
    decimals_and_units,
    roots_and_pi,
    polynomials,
    sets_tuples_intervals,
    matrices,
    words,
    functions,
    roots_of_sums,
    lines,
    curves,
)


def plain(cases: list[Case]) -> list[bool]:
    verdicts = []
    for case in cases:
        gold = math_verify.parse(f"${case.reference}$")
        verdicts += [math_verify.verify(gold, math_verify.parse(f"${answer}$")) for answer in case.answers]
    return verdicts


def ours(verifier: MathVerifier, cases: list[Case]) -> list[bool]:
    verdicts = []
    for case in cases:
        answers = [Answer(answer, "boxed") for answer in case.answers]
        verdicts += [v.status == "passed" for v in verifier.verify(PROBLEM, answers, Reference(case.reference))]
    return verdicts


def timed(work: Callable[[], list[bool]]) -> tuple[float, list[bool]]:
    start = time.perf_counter()
    verdicts = work()
    return time.perf_counter() - start, verdicts


def clear_caches() -> None:
    read.cache_clear()
    for cached in (
        math_verify_parser.parse_latex_cached,
        math_verify_parser.parse_expr_cached,
        math_verify_parser.extract_latex,
    ):
        cached.cache_clear()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--problems", type=int, default=10, help="problems a class")
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--data", type=Path, default=Path("../shared/data/math500.jsonl"))
    chosen = options.parse_args()
    logging.disable()
    makers = {maker.__name__: maker for maker in OWN}
    if chosen.data.exists():
        makers["math500"] = from_file(chosen.data)
    rng = random.Random(0)
    corpora = {name: [maker(rng) for _ in range(chosen.problems)] for name, maker in makers.items()}
    corpora["mixed"] = [maker(rng) for maker in makers.values() for _ in range(max(1, chosen.problems // 5))]
    plain(corpora["mixed"][:3])
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in corpora}
    agreement: dict[str, float] = {}
    for repeat in range(chosen.repeats):
        with MathVerifier(workers=2, timeout_seconds=30) as verifier:
            verifier.verify(PROBLEM, WARM_UP, Reference("1"))
            for name, cases in corpora.items():
                clear_caches()
                jobs = [lambda cases=cases: plain(cases), lambda cases=cases: ours(verifier, cases)]
                first = repeat % 2
                results = {index: timed(jobs[index]) for index in (first, 1 - first)}
                seconds[name].append((results[0][0], results[1][0]))
                same = [a == b for a, b in zip(results[0][1], results[1][1], strict=True)]
                agreement[name] = sum(same) / len(same)
    print("| answers | plain, pairs/s | ours, pairs/s | ratio (min–max) | agree |\n|---|---|---|---|---|")
    for name, cases in corpora.items():
        title, agree = name.replace("_", " "), agreement[name]
        pairs = sum(len(case.answers) for case in cases)
        slow, fast = (statistics.median(column) for column in zip(*seconds[name], strict=True))
        ratios = sorted(a / b for a, b in seconds[name])
        spread = f"{statistics.median(ratios):.1f} ({ratios[0]:.1f}–{ratios[-1]:.1f})"
        print(f"| {title} | {pairs / slow:,.0f} | {pairs / fast:,.0f} | {spread} | {agree:.1%} |")


if __name__ == "__main__":
    main()
