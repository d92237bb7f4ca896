"""The metrics on simulated pools: how fast, how much memory, and how often the intervals and tests are right.

    python benchmarks/metrics.py                               # quick: under a minute
    python benchmarks/metrics.py speed [--problems 1000] [--candidates 256]
    python benchmarks/metrics.py coverage [--data-sets 1000]
    python benchmarks/metrics.py differences [--data-sets 400] [--problems 10 30 100]
    python benchmarks/metrics.py families [--data-sets 150]
    python benchmarks/metrics.py power [--data-sets 150]

`speed` builds a pool from rows and computes all curves of one scorer at nine values of k, with intervals, and the
comparison with a second pool; and a family of 972 looks at 1,000 problems. `coverage` draws data sets (problems from a
population, candidates for each) and counts how often the 95 % interval of pass@k holds the population's truth.
`differences` does so for the paired difference of two arms, counts p ≤ 0.05, and how often interval and p-value
contradict each other. `families` counts how often any look of a family is told apart where arms are alike, and all
contradictions, with and without correction. `power` takes the median of the gain that pilots promise to be told apart
80 % of the time, and counts how often it is. A share's standard error is 1.1 points for 400 data sets, 1.8 for 150.
"""

from __future__ import annotations

import argparse
import itertools
import math
import resource
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tts.metrics.bootstrap import estimates, mean_intervals
from tts.metrics.comparison import compare
from tts.metrics.curves import curves
from tts.metrics.distinct import expected_distinct_answers
from tts.metrics.paired import Family, family
from tts.metrics.pass_at_k import pass_at_k
from tts.metrics.pool import PoolRow, pool
from tts.metrics.power import detectable
from tts.metrics.subsets import Floats

KS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
POPULATIONS = {
    "half solved, half not": (0.3, 0.3),
    "middling": (2.0, 5.0),
    "hard (9 %)": (0.1, 1.0),
    "very hard (2 %)": (0.05, 2.45),
    "easy (94 %)": (5.0, 0.3),
}
DRAWS = ((64, 1), (64, 8), (8, 8))  # candidates, k


def simulated_rows(num_problems: int, num_candidates: int, seed: int) -> Iterator[PoolRow]:
    """Problems of all difficulties: some answers are popular, one of them is right, and 8 % have none."""
    rng = np.random.default_rng(seed)
    for number in range(num_problems):
        num_answers = int(rng.integers(2, 60))
        popularity = rng.dirichlet(np.full(num_answers, 0.3))
        found = rng.choice(num_answers, num_candidates, p=popularity)
        has_none = rng.random(num_candidates) < 0.08
        names = {answer: place for place, answer in enumerate(dict.fromkeys(found[~has_none].tolist()))}
        statuses = np.where(has_none, "undecided", np.where(found == 0, "passed", "failed"))
        yield PoolRow(
            problem_id=f"p{number}",
            statuses=statuses.tolist(),
            classes=[None if none else names[one] for one, none in zip(found.tolist(), has_none, strict=True)],
            num_tokens=rng.integers(50, 800, num_candidates).tolist(),
            num_prompt_tokens=[90] * num_candidates,
            scores={"likelihood": rng.random(num_candidates).tolist()},
        )


def speed(num_problems: int, num_candidates: int) -> None:
    rows, other_rows = (list(simulated_rows(num_problems, num_candidates, seed)) for seed in (1, 2))
    ks = [k for k in KS if k <= num_candidates]
    print(
        f"{num_problems} problems × {num_candidates} candidates, {len(ks)} values of k\n\n| step | seconds |\n|---|---|"
    )
    began = last = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal last
        now = time.perf_counter()
        print(f"| {name} | {now - last:.1f} |", flush=True)
        last = now

    one = pool(rows)
    lap("pool from rows")
    lines = curves(one, ks)
    lap(f"{len(lines)} curves")
    for line in lines:
        estimates(line.lower, line.upper)
    lap("intervals")
    expected_distinct_answers(one, ks)
    lap("distinct answers")
    print(f"| **all metrics of one recipe** | **{last - began:.1f}** |")
    others = curves(pool(other_rows), ks)
    lap("the curves of a second recipe")
    compare(list(zip(lines, others, strict=True)))
    lap("comparison of the two, every curve and k")
    arms = [pass_at_k(64, np.random.default_rng(arm).binomial(64, 0.4, (27, 1000)), 4) for arm in range(9)]
    rows = np.concatenate([first - second for first, second in itertools.combinations(arms, 2)])
    last = time.perf_counter()
    family(rows, names(1000), num_flips=(9_999,))
    lap(f"a family of {len(rows)} looks at 1,000 problems, 9,999 flips")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory {peak:.0f} MB, the rows of both recipes included")


def coverage(num_data_sets: int) -> None:
    print("| population | candidates | k | true pass@k | 30 problems | 100 problems |\n|---|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for name, (a, b) in POPULATIONS.items():
        for num, k in DRAWS:
            truth = _true_pass_at_k(a, b, k)
            cells = []
            for num_problems in (30, 100):
                right = rng.binomial(num, rng.beta(a, b, (num_data_sets, num_problems)))
                bounds = mean_intervals(pass_at_k(num, right, k), num_resamples=1000)
                held = np.mean([low - 1e-9 <= truth <= high + 1e-9 for low, high in bounds])
                cells.append(f"{100 * held:.1f} % (width {np.mean([high - low for low, high in bounds]):.2f})")
            print(f"| {name} | {num} | {k} | {truth:.3f} | {cells[0]} | {cells[1]} |", flush=True)


def aime(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Rates of hard problems: 45 % near 0, 30 % near 1."""
    kind = rng.random(shape)
    between = np.where(kind < 0.75, rng.beta(12, 0.5, shape), rng.beta(1.5, 1.5, shape))
    return np.where(kind < 0.45, rng.beta(0.3, 12, shape), between)


def exact_01(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """40 % are never solved, 30 % always."""
    kind = rng.random(shape)
    return np.where(kind < 0.4, 0.0, np.where(kind < 0.7, 1.0, rng.random(shape)))


def zeros_85(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """85 % are never solved."""
    return np.where(rng.random(shape) < 0.85, 0.0, rng.beta(0.5, 3, shape))


def ones_85(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """85 % are always solved."""
    return np.where(rng.random(shape) < 0.85, 1.0, rng.beta(3, 0.5, shape))


def gsm(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Rates of easy problems."""
    return rng.beta(8, 1, shape)


Rates = Callable[[np.random.Generator, tuple[int, ...]], Floats]


def shifted(rates: Floats, gain: Floats | float) -> Floats:
    """Rates with a gain in log-odds; 0 and 1 stay."""
    with np.errstate(divide="ignore", over="ignore"):
        return np.where((rates <= 0) | (rates >= 1), rates, 1 / (1 + (1 / rates - 1) * np.exp(-gain)))


def figure(name: str, num: int, k: int) -> Floats:
    """A figure of a problem by how many of its candidates are right, [num + 1]; the wrong ones all say the same."""
    right = np.arange(num + 1)
    if name == "pass":
        return pass_at_k(np.full(num + 1, num), right, k)
    chances = [[math.comb(c, v) * math.comb(num - c, k - v) / math.comb(num, k) for v in range(k + 1)] for c in right]
    votes = 2 * np.arange(k + 1)
    return np.array(chances) @ ((votes > k) + 0.5 * (votes == k))


def truth(values: Floats, rates: Floats) -> float:
    """The mean figure over problems of these rates."""
    grid, num = np.linspace(0, 1, 2001), len(values) - 1
    ways = np.array([math.comb(num, c) for c in range(num + 1)], dtype=np.float64)
    right = np.arange(num + 1)
    expected = (ways * grid[:, None] ** right * (1 - grid[:, None]) ** (num - right)) @ values
    return float(np.interp(rates, grid, expected).mean())


def names(num_problems: int) -> list[str]:
    return [f"p{number:04}" for number in range(num_problems)]


def contradictions(found: Family) -> int:
    """Looks whose interval and p-value disagree, or whose interval has no width, alone or together."""
    return sum(
        (low > 0 or high < 0) != (p_value <= 0.05) or high <= low
        for look in found.looks
        for (low, high), p_value in ((look.interval, look.p_value), (look.together, look.adjusted_p_value))
    )


CELLS: tuple[tuple[Rates, float, float, int, str, int], ...] = (  # population, gain and its scatter, n, figure, k
    (aime, 0, 0, 16, "pass", 1),
    (aime, 0, 0, 64, "maj", 16),
    (aime, 1, 0, 64, "pass", 8),
    (aime, 1, 0, 16, "pass", 16),
    (aime, 0.7, 1.5, 64, "maj", 16),
    (exact_01, 1, 0, 64, "pass", 8),
    (zeros_85, 0, 0, 64, "pass", 8),
    (zeros_85, 1, 0, 16, "pass", 16),
    (ones_85, 1, 0, 16, "pass", 1),
    (gsm, 0.5, 0, 16, "maj", 16),
)


def differences(data_sets: int, problems: Sequence[int]) -> None:
    print("| problems | population, gain (scatter) | figure, n | true | covered | p ≤ 0.05 | contradict | width |")
    print("|---|---|---|---|---|---|---|---|")
    for num_problems, (place, (rates, gain, scatter, num, name, k)) in itertools.product(problems, enumerate(CELLS)):
        rng = np.random.default_rng([num_problems, place])
        values = figure(name, num, k)

        def two(shape: tuple[int, ...]) -> tuple[Floats, Floats]:
            skill = rates(rng, shape)  # noqa: B023 - called in this very turn
            return shifted(skill, gain + rng.normal(0, scatter, shape)), shifted(skill, rng.normal(0, scatter, shape))  # noqa: B023

        better, worse = two((300_000,))
        true = truth(values, better) - truth(values, worse) if gain else 0.0
        first, second = (values[rng.binomial(num, skill)] for skill in two((data_sets, num_problems)))
        found = family(first - second, names(num_problems), num_flips=(999,))
        bounds = np.array([one.interval for one in found.looks])
        held = np.mean((bounds[:, 0] <= true + 1e-12) & (true - 1e-12 <= bounds[:, 1]))
        seen = np.mean([one.p_value <= 0.05 for one in found.looks])
        width = np.ptp(bounds, axis=1).mean()
        print(
            f"| {num_problems} | {rates.__name__}, {gain:g} ({scatter:g}) | {name}@{k}, {num} | {100 * true:+.1f} | "
            f"{100 * held:.1f} % | {100 * seen:.1f} % | {contradictions(found)} | {100 * width:.1f} |",
            flush=True,
        )


def rows_of(
    rng: np.random.Generator, rates: Rates, shape: tuple[int, int, int], gain: float, figures: Sequence[Floats]
) -> Floats:
    """The looks at arms, each two of them, at the same problems; the last arm is better. `shape`: arms, problems, n."""
    num_arms, num_problems, num = shape
    skill = rates(rng, (num_problems,))
    arms = [rng.binomial(num, shifted(skill, gain * (arm == num_arms - 1))) for arm in range(num_arms)]
    pairs = itertools.combinations(arms, 2)
    return np.array([values[second] - values[first] for first, second in pairs for values in figures])


def families(data_sets: int) -> None:
    print("| population | problems | arms | looks | gain | any p ≤ 0.05 | any told apart | median level | contradict |")
    print("|---|---|---|---|---|---|---|---|---|")
    figures = [figure("pass", 16, k) for k in (1, 2, 4, 8, 16)] + [figure("maj", 16, k) for k in (4, 8, 16)]
    total = wrong = 0
    cells = itertools.product((aime, exact_01, zeros_85, gsm), (30, 100), ((2, 0.0), (3, 0.0), (2, 0.7)))
    for rates, num_problems, (num_arms, gain) in cells:
        rng = np.random.default_rng([num_problems, num_arms])
        raw = told = bad = 0
        levels = []
        for seed in range(data_sets):
            rows = rows_of(rng, rates, (num_arms, num_problems, 16), gain, figures)
            found = family(rows, names(num_problems), seed=seed, num_flips=(999,))
            raw += any(one.p_value <= 0.05 for one in found.looks)
            told += any(one.adjusted_p_value <= 0.05 for one in found.looks)
            bad += contradictions(found)
            levels.append(found.level)
        total, wrong = total + data_sets, wrong + bad
        print(
            f"| {rates.__name__} | {num_problems} | {num_arms} | {len(rows)} | {gain:g} | "
            f"{100 * raw / data_sets:.1f} % | {100 * told / data_sets:.1f} % | {np.median(levels):.4f} | {bad} |",
            flush=True,
        )
    print(f"\n{total} families, {wrong} contradictions")


def power(data_sets: int, num_pilots: int = 40) -> None:
    print(
        "| population, problems × n | figure | pilot | promised at 80 %, median (10-90 %) | told apart |\n"
        "|---|---|---|---|---|"
    )
    cells: tuple[tuple[Rates, int, int, str, int], ...] = (
        (aime, 30, 16, "pass", 1),
        (aime, 30, 64, "pass", 8),
        (aime, 30, 64, "maj", 16),
        (aime, 100, 16, "maj", 8),
        (exact_01, 30, 64, "pass", 8),
        (zeros_85, 100, 64, "pass", 8),
        (gsm, 100, 16, "pass", 1),
    )
    for rates, num_problems, num, name, k in cells:
        rng = np.random.default_rng([num_problems, num, k])
        ks = [one for one in (1, 2, 4, 8, 16, 32, 64) if one <= num]
        looks = [("pass", one) for one in ks] + [("maj", one) for one in ks if one > 1]
        figures, place = [figure(one, num, at) for one, at in looks], looks.index((name, k))

        def draw(gain: float) -> tuple[Floats, Family]:
            rows = rows_of(rng, rates, (2, num_problems, num), gain, figures)  # noqa: B023 - called in this very turn
            return rows[place], family(rows, names(num_problems), num_flips=(499,))  # noqa: B023

        skill, steps = rates(rng, (60_000,)), np.linspace(0, 6, 31)
        base = truth(figures[place], skill)
        gains = [truth(figures[place], shifted(skill, step)) - base for step in steps]
        for pilot_gain in (0.0, 0.6):
            pilots = [draw(pilot_gain) for _ in range(num_pilots)]
            promised = np.array([detectable(row, num_problems, found.level) or 1.0 for row, found in pilots])
            least = float(np.median(promised))
            told = "-"
            if least < gains[-1]:
                needed = float(np.interp(least, gains, steps))
                apart = [draw(needed)[1].looks[place].adjusted_p_value <= 0.05 for _ in range(data_sets)]
                told = f"{100 * np.mean(apart):.0f} %"
            low, high = np.quantile(promised, [0.1, 0.9])
            print(
                f"| {rates.__name__}, {num_problems} × {num} | {name}@{k} | {'a gain' if pilot_gain else 'no gain'} | "
                f"{100 * least:.1f} ({100 * low:.1f}-{100 * high:.1f}) | {told} |",
                flush=True,
            )


def _true_pass_at_k(a: float, b: float, k: int) -> float:
    """Return the mean of 1 - (1 - θ)^k over θ from Beta(a, b): 1 - Π (b + i) / (a + b + i)."""
    steps = np.arange(k)
    return float(1 - np.prod((b + steps) / (a + b + steps)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = ["quick", "speed", "coverage", "differences", "families", "power"]
    parser.add_argument("what", choices=modes, nargs="?", default="quick")
    parser.add_argument("--problems", type=int, nargs="+")
    parser.add_argument("--candidates", type=int, default=256)
    parser.add_argument("--data-sets", type=int)
    args = parser.parse_args()
    if args.what == "quick":
        speed(100, 16)
        differences(args.data_sets or 100, args.problems or [30])
        families(args.data_sets or 10)
        power(args.data_sets or 20, num_pilots=10)
    elif args.what == "speed":
        speed(*(args.problems or [1000]), args.candidates)
    elif args.what == "coverage":
        coverage(args.data_sets or 1000)
    elif args.what == "differences":
        differences(args.data_sets or 400, args.problems or [10, 30, 100])
    elif args.what == "families":
        families(args.data_sets or 150)
    else:
        power(args.data_sets or 150)


if __name__ == "__main__":
    main()
