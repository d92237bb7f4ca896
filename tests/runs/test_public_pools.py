"""Pools that others published, converted in a few lines as a user would, give the figures that were published."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tts.pipeline.rejudging import Rejudging
from tts.report.analyse import report_of
from tts.runs.candidate_file import CandidateFile


def write(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_tree_of_thoughts_samples_of_the_game_of_24(shared_data: Path, tmp_path: Path) -> None:
    """Published: 100 chain-of-thought samples of 100 games; 4.0 % of them, 49 % of the games by the best of 100."""
    games = json.loads(gzip.decompress((shared_data / "tot_game24_cot_samples.json.gz").read_bytes()))
    problems = write(tmp_path / "p.jsonl", ({"id": game["idx"], "problem": "Make 24."} for game in games))
    pairs = [(game["idx"], *pair) for game in games for pair in zip(game["ys"], game["infos"], strict=True)]
    rows = ({"problem_id": game, "text": text, "correct": info["r"]} for game, text, info in pairs)
    path = write(tmp_path / "c.jsonl", rows)
    report = report_of([path], [1, 10, 100], problems=str(problems), embeddings="none", candidates=False)
    found = [round(100 * point.lower, 2) for point in report.arms[0].points("pass@k")]
    assert found == [4.03, 21.48, 49.0]


# One row of openai/grade-school-math's example_model_solutions.jsonl, and one made after it.
GRADE_SCHOOL = [
    {
        "question": "Janet's ducks lay 16 eggs per day. How much in dollars does she make every day?",
        "ground_truth": "She makes 9 * 2 = $<<9*2=18>>18 every day at the farmer's market.\nA: 18",
        "6b_finetuning": {"is_correct": False, "solution": "so she makes 13 * 2 = $<<13*2=26>>26\nA: 26"},
        "6b_verification": {"is_correct": True, "solution": "9 left, so she makes 9 * 2 = $<<9*2=18>>18\nA: 18"},
    },
    {
        "question": "How many are 2 dozen?",
        "ground_truth": "2 * 12 = <<2*12=24>>24\nA: 24",
        "6b_finetuning": {"is_correct": False, "solution": "12 + 2 = <<12+2=14>>14\nA: 14"},
        "6b_verification": {"is_correct": False, "solution": "I do not know"},
    },
]


@pytest.mark.parametrize("afresh", [False, True], ids=["their verdicts", "our verifier's"])
def test_graded_solutions_of_grade_school_math(tmp_path: Path, afresh: bool) -> None:
    problems = write(
        tmp_path / "p.jsonl",
        (
            {"id": number, "problem": row["question"], "answer": row["ground_truth"].rpartition("A: ")[2]}
            for number, row in enumerate(GRADE_SCHOOL)
        ),
    )
    share = {}
    for model in ("6b_finetuning", "6b_verification"):
        rows = (
            {"problem_id": number, "text": row[model]["solution"], "is_correct": row[model]["is_correct"]}
            for number, row in enumerate(GRADE_SCHOOL)
        )
        run = CandidateFile(write(tmp_path / f"{model}.jsonl", rows), str(problems))
        rejudging = Rejudging(run, afresh)
        assert len(list(rejudging.outcomes())) == 2
        share[model] = rejudging.tally.estimates()[0].lower
        run.close()
    assert share == {"6b_finetuning": 0.0, "6b_verification": 0.5}


def test_outputs_of_nemo_skills_one_file_a_seed(tmp_path: Path) -> None:
    def outputs(*answers: str) -> list[dict[str, Any]]:
        """Rows of one `output-rsN.jsonl`."""
        return [
            {
                "problem": f"What is {number}?",
                "expected_answer": str(number),
                "generation": f"It is \\boxed{{{answer}}}.",
                "predicted_answer": answer,
                "symbolic_correct": answer == str(number),
                "num_generated_tokens": 9,
                "finish_reason": "stop",
            }
            for number, answer in enumerate(answers)
        ]

    seeds = [outputs("0", "1"), outputs("5", "1"), outputs("0", "7")]
    problems = write(
        tmp_path / "p.jsonl",
        ({"id": row["problem"], "problem": row["problem"], "answer": row["expected_answer"]} for row in seeds[0]),
    )
    rows = [
        {
            "problem_id": row["problem"],
            "text": row["generation"],
            "num_tokens": row["num_generated_tokens"],
            "finish_reason": row["finish_reason"],
        }
        for seed in seeds
        for row in seed
    ]
    report = report_of([write(tmp_path / "c.jsonl", rows)], [1, 3], problems=str(problems), embeddings="none")
    assert [round(point.lower, 4) for point in report.arms[0].points("pass@k")] == [0.6667, 1.0]
    assert [round(point.lower, 4) for point in report.arms[0].points("maj@k")] == [0.6667, 1.0]
