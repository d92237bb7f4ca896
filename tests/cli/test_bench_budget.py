"""`tts bench` by budget: a run for each k of a search, costs that are the folders', comparisons at equal tokens."""

import json
import math
import random
import signal
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from cli_parts import start
from command_parts import Said
from command_parts import tts as run
from test_resume import wait_for_candidates

NUM_PROBLEMS = 8
ARMS = ("--recipe", "vanilla.yaml", "--recipe", "adaptive.yaml", "--recipe", "beam.yaml")
BENCH = ("bench", "problems.jsonl", *ARMS, "--k", "1,4,16", "--axis", "tokens", "--embeddings", "none")
BEAM = {"name": "prm_beam", "beam_width": 4, "reward": {"name": "replay", "rewards": [0.1, 0.4, 0.7]}}


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    """Word problems with 16 answers each, as likely right as each is easy; a plain sampler, an adaptive one, a beam."""
    chance = random.Random(5)
    rows, script = [], {}
    for number in range(NUM_PROBLEMS):
        rows.append(
            {"id": f"w{number}", "problem": f"Ann has {number} hats and buys 10. How many?", "answer": f"{number + 10}"}
        )
        easy = number / NUM_PROBLEMS
        answers = [number + 10 if chance.random() < easy else chance.randint(1, 4) for _ in range(16)]
        texts = [f"{'so ' * chance.randint(2, 30)}\n\nThus \\boxed{{{answer}}}." for answer in answers]
        script[f"w{number}"] = texts
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    engine = {"name": "replay", "script": script, "delay_seconds": 0.02, "batch_size": 8}
    samplers = {
        "vanilla": {"name": "temperature"},
        "adaptive": {"name": "adaptive_consistency", "window": 4},
        "beam": BEAM,
    }
    for name, sampler in samplers.items():
        selector = {"name": "best_of_n", "scorer": "step_rewards"} if name == "beam" else "majority_vote"
        recipe = {"task": "math", "engine": engine, "sampler": {"num_candidates": 8, **sampler}, "selector": selector}
        (tmp_path / f"{name}.yaml").write_text(json.dumps(recipe))
    return tmp_path


def tts(folder: Path, *arguments: str) -> tuple[Said, list[dict[str, Any]]]:
    """Run the command, and read what it writes."""
    said = run(folder, *arguments)
    return said, [json.loads(line) for line in said.out.splitlines()]


def paid(folder: Path) -> Counter[str]:
    """What the lines of a run folder say of its cost: calls, tokens read and written."""
    found = Counter[str]()
    calls = folder / "calls.jsonl"
    lines = (calls if calls.exists() else folder / "candidates.jsonl").read_text().splitlines()
    for line in map(json.loads, lines):
        cost = line if "index" in line else line.get("completion") or line.get("rewards")
        if cost is not None:
            found.update(calls=1, read=cost.get("num_prompt_tokens", 0), written=cost.get("num_tokens", 0))
    return found


def points(report: dict[str, Any], figure: str) -> dict[tuple[str, int], dict[str, Any]]:
    return {
        (arm["name"], point["k"]): point
        for arm in report["arms"]
        for line in arm["lines"]
        if line["figure"] == figure
        for point in line["points"]
    }


def test_arms_that_search_are_drawn_for_each_k_and_compared_at_equal_tokens_killed_and_resumed(
    jobs: Path,
) -> None:
    process = start(*BENCH, "--run", "b", cwd=jobs)
    wait_for_candidates(jobs / "b" / "adaptive-k16", 20)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    resumed, (report,) = tts(jobs, "bench", "--run", "b", "--json")
    assert resumed.code == 0, resumed.err
    folders = {path.name for path in (jobs / "b").iterdir() if path.is_dir()}
    assert folders == {"vanilla", "adaptive-k1", "adaptive-k4", "adaptive-k16", "beam-k4", "beam-k16"}
    assert [arm["name"] for arm in report["arms"]] == ["vanilla", "adaptive", "beam"]
    assert any("beam: its line has no point at k = 1" in warning for warning in report["warnings"])

    # What each point costs is what its folder was charged, and an arm what all its folders were.
    at = points(report, "pass@k")
    assert set(at) == {
        *(("vanilla", k) for k in (1, 4, 16)),
        *(("adaptive", k) for k in (1, 4, 16)),
        ("beam", 4),
        ("beam", 16),
    }
    for (arm, k), point in at.items():
        folder = jobs / "b" / (arm if arm == "vanilla" else f"{arm}-k{k}")
        charged, share = paid(folder), k / 16 if arm == "vanilla" else 1
        budget = point["budget"]
        assert budget["num_calls"] * NUM_PROBLEMS == pytest.approx(share * charged["calls"])
        assert budget["written_tokens"] * NUM_PROBLEMS == pytest.approx(share * charged["written"])
        assert budget["tokens"] * NUM_PROBLEMS == pytest.approx(share * (charged["written"] + charged["read"]))
    for arm in report["arms"]:
        charged = sum((paid(jobs / "b" / name) for name in folders if name.startswith(arm["name"])), Counter[str]())
        engines = arm["cost"]["engines"].values()
        told = {
            new: sum(one[old] for one in engines)
            for new, old in (("calls", "num_calls"), ("written", "written_tokens"))
        }
        assert told == {name: charged[name] for name in told}

    # A search's point is over all its problems, though they have unlike numbers of candidates.
    sizes = Counter(
        json.loads(line)["problem_id"]
        for line in (jobs / "b" / "adaptive-k16" / "candidates.jsonl").read_text().splitlines()
    )
    assert len(set(sizes.values())) > 1
    assert at["adaptive", 16]["budget"]["num_candidates"] == pytest.approx(sum(sizes.values()) / NUM_PROBLEMS)
    assert at["adaptive", 16]["lower"] == at["adaptive", 16]["upper"]

    # Each own selector is compared, at the points of either arm inside the range of both.
    assert (report["axis"], report["headline"]) == ("tokens", "selected")
    tokens = {key: point["budget"]["tokens"] for key, point in at.items()}
    for first, second in (("adaptive", "vanilla"), ("beam", "vanilla"), ("beam", "adaptive")):
        own = [[cost for (arm, _), cost in tokens.items() if arm == name] for name in (first, second)]
        low, high = max(map(min, own)), min(map(max, own))
        looks = [
            one["cost"]
            for one in report["contrasts"]
            if (one["first"], one["second"], one["figure"]) == (first, second, "selected")
        ]
        assert looks == pytest.approx(sorted(cost for cost in chain(*own) if low <= cost <= high))
    assert all(one["k"] is None and one["num_problems"] == NUM_PROBLEMS for one in report["contrasts"])

    # Nothing on the frontier is dominated, and only pools have stopping rules replayed.
    costs, values = zip(*((one["cost"], one["lower"]) for one in report["frontier"]), strict=True)
    assert (list(costs), list(values)) == (sorted(costs), sorted(set(values)))
    assert [bool(arm.get("stopping")) for arm in report["arms"]] == [True, False, False]

    # As if it had never been killed, but for what that cost.
    _, (whole,) = tts(jobs, *BENCH, "--run", "whole", "--json")
    for figure in ("pass@k", "maj@k", "selected"):
        values = {key: point["lower"] for key, point in points(report, figure).items()}
        assert values == {key: point["lower"] for key, point in points(whole, figure).items()}


def test_k_remains_the_axis_of_arms_that_draw_in_one_go_and_can_be_asked_for(jobs: Path) -> None:
    options = ("--k", "1,4", "--embeddings", "none", "--json")
    _, (plain,) = tts(jobs, "bench", "problems.jsonl", *ARMS[:2], "--run", "p", *options)
    assert "axis" not in plain
    _, (both,) = tts(jobs, "bench", "problems.jsonl", *ARMS[:4], "--run", "q", *options)
    assert both["axis"] == "tokens"
    _, (by_k,) = tts(jobs, "bench", "--run", "q", "--axis", "k", "--json")
    assert {(one["figure"], one["k"]) for one in by_k["contrasts"]} == {("pass@k", 1), ("pass@k", 4), ("maj@k", 4)}
    _, (of_folder,) = tts(jobs, "report", "q", "--k", "1,4", "--axis", "tokens", "--json", "--embeddings", "none")
    assert of_folder["contrasts"] == both["contrasts"]
    wrong = run(jobs, "bench", "--run", "q", "--axis", "flops")
    assert wrong.code == 2
    assert "`--axis flops` must have arms whose cost is known, got vanilla, adaptive" in wrong.err
    assert '`--axis` must be k, tokens or flops, got "words"' in run(jobs, "report", "q", "--axis", "words").err


def test_the_page_and_the_tables_show_what_to_spend(jobs: Path) -> None:
    done, told = tts(jobs, *BENCH[:6], "--k", "4,16", "--run", "b", "--embeddings", "none")
    assert done.code == 0, done.err
    stopped = [row for row in told if "stopping" in row]
    assert {row["stopping"] for row in stopped} == {"adaptive_consistency", "esc"}
    assert all(math.isfinite(row["cost_error"]) for row in stopped)
    assert any("frontier" in row for row in told)
    page = (jobs / "b" / "report.html").read_text()
    for words in ("What to spend", "nothing as cheap better", "vanilla, had a rule stopped it", "adaptive, k = 4"):
        assert words in page
    csv = run(jobs, "report", "b", "--csv", "c", "--embeddings", "none")
    assert csv.code == 0, csv.err
    assert {"stopping.csv", "frontier.csv"} <= {file.name for file in (jobs / "c").iterdir()}
