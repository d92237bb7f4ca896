"""Tokens that stopping rules save at equal accuracy, on public samples: `python benchmarks/stopping_rules.py FILE`.

FILE is `tot_game24_cot_samples.json.gz`: 100 graded chain-of-thought samples for each of 100 Games of 24, of Yao et al.
2023 (princeton-nlp/tree-of-thought-llm, MIT). Tokens are counted as words. The rules are replayed on random orders of
each pool, at most 40 candidates, and compared with drawing 40, and with the fixed number that costs as much (maj@k
between two whole k, as a mixture). Intervals: 95 %, problems resampled, paired.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import numpy as np

from tts.metrics.majority import majority_odds
from tts.metrics.pool import Pool, PoolRow, pool
from tts.metrics.stopping_curves import StoppingPoint, adaptive_consistency_curve, esc_curve
from tts.metrics.subsets import Floats

MOST = 40
NUM_RESAMPLES = 10_000


def read(path: Path) -> Pool:
    """Return the samples as a pool: the answer is the last line; one that says there is none abstains."""
    rows = []
    for game in json.loads(gzip.decompress(path.read_bytes())):
        answers = [text.strip().splitlines()[-1].lower().removeprefix("answer:").strip() for text in game["ys"]]
        nodes: dict[str, int] = {}
        classes = [nodes.setdefault(one, len(nodes)) if "=" in one else None for one in answers]
        statuses = ["passed" if info["r"] else "failed" for info in game["infos"]]
        words = [len(text.split()) for text in game["ys"]]
        rows.append(PoolRow(str(game["idx"]), statuses, classes, words, [0] * len(words)))
    return pool(rows)


def at_equal_cost(point: StoppingPoint, fixed: Floats) -> Floats:
    """Return each problem's maj@k at the rule's mean number of candidates; `fixed` is [k - 1, problems]."""
    mean = float(point.num_candidates.mean())
    below = int(mean)
    return (1 - (mean - below)) * fixed[below - 1] + (mean - below) * fixed[min(below, len(fixed) - 1)]


def interval(values: Floats, rng: np.random.Generator) -> str:
    """Return mean and percentile interval of a mean over problems, in percent."""
    means = values[rng.integers(0, len(values), (NUM_RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{100 * values.mean():+6.2f} ({100 * low:+.2f} … {100 * high:+.2f})"


def main() -> None:
    """Print one line a rule and setting."""
    found = read(Path(sys.argv[1]))
    fixed = np.array([majority_odds(found, k).accuracy(found)[0] for k in range(1, MOST + 1)])
    whole = MOST * found.num_tokens.mean(axis=1)
    print(f"{found.num_problems} problems; maj@{MOST} {100 * fixed[-1].mean():.2f} %, {whole.mean():.0f} words")
    print("rule, setting | candidates | words saved % | accuracy minus maj@40 | minus maj@k at equal cost")
    rules = {
        "adaptive": adaptive_consistency_curve(found, [0.6, 0.7, 0.8, 0.9, 0.95, 0.99], most=MOST),
        "esc": esc_curve(found, [2, 3, 4, 5, 8], most=MOST),
    }
    for name, points in rules.items():
        for point in points:
            rng = np.random.default_rng(0)
            saved = (whole - point.num_tokens) / whole.mean()
            print(
                f"{name} {point.setting:g} | {point.num_candidates.mean():.2f} | {interval(saved, rng)} | "
                f"{interval(point.lower - fixed[-1], rng)} | "
                f"{interval(point.lower - at_equal_cost(point, fixed), rng)}"
            )


if __name__ == "__main__":
    main()
