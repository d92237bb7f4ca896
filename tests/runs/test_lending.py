"""One run's candidates for another run: nothing is drawn again, and what a death leaves is given anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tts.errors import RunFolderError
from tts.pipeline.run import open_run
from tts.recipe import Recipe, load_recipe
from tts.runs.lending import lend
from tts.runs.stored import StoredRun

PROBLEMS = [{"id": f"p{number}", "problem": f"{number} + 1?", "answer": "2"} for number in range(3)]
SAMPLERS = ("{name: temperature, num_candidates: 3}", "{name: adaptive_consistency, num_candidates: 3, window: 2}")
JUDGE = "{name: judge, by: samples, num_samples: 1, judge: {name: replay, script: ['5', '2', '3']}}"


def recipe(folder: Path, sampler: str, selector: str, *overrides: str) -> Recipe:
    path = folder / "r.yaml"
    script = '["so \\\\boxed{2}", "or \\\\boxed{4}", "then \\\\boxed{2}"]'
    path.write_text(
        f"task: math\nengine: {{name: replay, script: {script}}}\nsampler: {sampler}\nselector: {selector}\n"
    )
    return load_recipe(str(path), overrides)


def solve(made: Recipe, path: Path, *, rows: bool = True) -> list[str | None]:
    with open_run(made, PROBLEMS if rows else None, path) as run:
        return [outcome.solution.selection.answer for outcome in run.outcomes(keep_order=True)]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_one_run_drew_another_chooses_among_and_draws_nothing(tmp_path: Path, sampler: str) -> None:
    solve(recipe(tmp_path, sampler, "majority_vote"), tmp_path / "vote")
    best = recipe(tmp_path, sampler, f"{{name: best_of_n, scorer: {JUDGE}}}")
    alone = solve(best, tmp_path / "alone")
    silent = recipe(tmp_path, sampler, f"{{name: best_of_n, scorer: {JUDGE}}}", "engine.crash_after=0")
    lend(tmp_path / "vote", tmp_path / "best", best, scored=False)
    assert solve(silent, tmp_path / "best", rows=False) == alone
    for name in ("candidates.jsonl", "scores.jsonl"):
        drawn = [sorted((tmp_path / run / name).read_bytes().splitlines()) for run in ("alone", "best")]
        assert drawn[0] == drawn[1]
    ledgers = []
    for run in ("alone", "best"):
        stored = StoredRun(tmp_path / run)
        ledgers.append({one: stored.spent(one, stored.candidates(one)) for one in stored.problem_ids})
        stored.close()
    assert ledgers[0] == ledgers[1]


def test_a_scorer_that_was_asked_already_is_not_asked_again(tmp_path: Path) -> None:
    first = recipe(tmp_path, SAMPLERS[0], f"{{name: best_of_n, scorer: {JUDGE}}}")
    solve(first, tmp_path / "best")
    crash = ("engine.crash_after=0", "selector.scorer.judge.crash_after=0")
    second = recipe(tmp_path, SAMPLERS[0], f"{{name: self_consistency, scorer: {JUDGE}}}")
    lend(tmp_path / "best", tmp_path / "weighed", second, scored=True)
    assert solve(
        recipe(tmp_path, SAMPLERS[0], f"{{name: self_consistency, scorer: {JUDGE}}}", *crash), tmp_path / "weighed"
    )
    calls = [(tmp_path / run / "scorer_calls.jsonl").read_bytes() for run in ("best", "weighed")]
    assert calls[0] == calls[1]


@pytest.mark.parametrize("lost", ["candidates.jsonl", "problems.jsonl candidates.jsonl"])
def test_a_death_while_it_is_given_is_made_good(tmp_path: Path, lost: str) -> None:
    made = recipe(tmp_path, SAMPLERS[0], "majority_vote")
    chosen = solve(made, tmp_path / "one")
    other = recipe(tmp_path, SAMPLERS[0], "first")
    lend(tmp_path / "one", tmp_path / "two", other, scored=False)
    for name in lost.split():
        (tmp_path / "two" / name).unlink()
    (tmp_path / "two/candidates.jsonl.partial").write_text('{"problem_id": "p0", ')
    lend(tmp_path / "one", tmp_path / "two", other, scored=False)
    assert len(solve(other, tmp_path / "two", rows=False)) == len(chosen)
    before = (tmp_path / "two/verdicts.jsonl").read_bytes()
    lend(tmp_path / "one", tmp_path / "two", other, scored=False)
    assert (tmp_path / "two/verdicts.jsonl").read_bytes() == before
    assert json.loads((tmp_path / "two/run.json").read_text())["recipe"]["selector"] == {"name": "first"}


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    made = recipe(tmp_path, SAMPLERS[0], "majority_vote")
    solve(made, tmp_path / "one")
    (tmp_path / "two").mkdir()
    (tmp_path / "two/notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match=r"it holds notes\.txt"):
        lend(tmp_path / "one", tmp_path / "two", made, scored=False)


def test_failed_candidates_are_drawn_anew_by_the_lender_and_given_to_all(tmp_path: Path) -> None:
    rows = [{"problem_id": f"p{one}", "text": f"so \\boxed{{{one}}}"} for one in (0, 0, 1, 2, 2)]  # one of p1 is lost
    source = tmp_path / "c.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = tmp_path / "r.yaml"
    path.write_text(
        f"task: math\nengine: {{name: replay, source: {source}}}\nsampler: {{name: temperature, num_candidates: 2}}\n"
        "selector: majority_vote\n"
    )
    vote = load_recipe(str(path))
    best = load_recipe(str(path), [f"selector={{name: best_of_n, scorer: {JUDGE}}}"])
    solve(vote, tmp_path / "vote")
    lend(tmp_path / "vote", tmp_path / "best", best, scored=False)
    solve(best, tmp_path / "best", rows=False)
    asked = (tmp_path / "best/scorer_calls.jsonl").read_bytes()
    source.write_text(source.read_text() + json.dumps({"problem_id": "p1", "text": "well \\boxed{2}"}) + "\n")
    refused = r"has the candidates of vote, of which 1 failed.*\n.*tts bench --run"
    with pytest.raises(RunFolderError, match=refused), open_run(best, None, tmp_path / "best", retry_errors=True):
        pass
    with open_run(vote, None, tmp_path / "vote", retry_errors=True) as run:
        assert len([*run.outcomes()]) == 3
    lend(tmp_path / "vote", tmp_path / "best", best, scored=False)
    solve(best, tmp_path / "best", rows=False)
    candidates = [(tmp_path / name / "candidates.jsonl").read_bytes() for name in ("vote", "best")]
    assert candidates[0] == candidates[1]
    again = (tmp_path / "best/scorer_calls.jsonl").read_bytes()
    assert again.startswith(asked)
    assert again.count(b"\n") == asked.count(b"\n") + 1, "the new candidate is asked about, and no other"
