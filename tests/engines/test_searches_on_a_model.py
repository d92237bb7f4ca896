"""Step searches on a tiny real model, end to end."""

from __future__ import annotations

import json

import pytest

from tts import ProblemRow
from tts.pipeline.run import open_run
from tts.recipe import load_recipe
from tts.types import Problem, Reference

ROWS = [ProblemRow(Problem(f"p{number}", f"{number} + 1?", "math"), Reference("2"), number + 1) for number in range(2)]


@pytest.mark.parametrize(
    "name",
    [
        "prm_beam",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("dvts", "particle_filter", "rebase", "ab_mcts")),
    ],
)
def test_a_step_search_on_a_real_model_is_the_same_in_every_batch_size(tmp_path, tiny_model, name):
    texts = {}
    for size in (1, 5, 16):
        sampler = (
            f"{{name: {name}, num_candidates: 4, max_tokens: 8, max_steps: 3, temperature: 1.0, delimiter: e, "
            "reward: {name: replay, rewards: [0.1, 0.9, 0.5]}}"
        )
        engine = f"{{name: transformers, model: {tiny_model}, device: cpu, batch_size: {size}}}"
        run, path = tmp_path / f"{size}", tmp_path / "r.yaml"
        path.write_text(f"task: math\nengine: {engine}\nsampler: {sampler}\nselector: majority_vote\n")
        with open_run(load_recipe(str(path)), ROWS, run) as drawing:
            assert len(list(drawing.outcomes())) == 2
        lines = [json.loads(line) for line in (run / "candidates.jsonl").read_bytes().splitlines()]
        texts[size] = {(line["problem_id"], line["index"]): (line["text"], line["rewards"]) for line in lines}
        assert len(texts[size]) == 8
        calls = [json.loads(line) for line in (run / "calls.jsonl").read_bytes().splitlines()]
        assert any("token_ids" in call.get("completion", {}) for call in calls)
    assert texts[1] == texts[5] == texts[16]


def test_deepconf_on_a_real_model_is_the_same_in_every_batch_size_and_votes_by_what_the_floor_measures(
    tmp_path, tiny_model
):
    found = {}
    for size in (1, 5, 16):
        run, path = tmp_path / f"{size}", tmp_path / "r.yaml"
        path.write_text(
            f"task: text\nengine: {{name: transformers, model: {tiny_model}, device: cpu, batch_size: {size}}}\n"
            "sampler: {name: deepconf, num_candidates: 6, warmup: 2, window: 2, confidence_window: 3, max_tokens: 9, "
            "temperature: 1.0}\nselector: {name: confidence_vote, keep: 1.0, scorer: {name: confidence, over: least}}\n"
        )
        with open_run(load_recipe(str(path)), ROWS, run) as drawing:
            outcomes = list(drawing.outcomes())
        lines = [json.loads(line) for line in (run / "candidates.jsonl").read_bytes().splitlines()]
        found[size] = {(line["problem_id"], line["index"]): line for line in lines}
        for outcome in outcomes:
            mine = [line for line in lines if line["problem_id"] == outcome.row.problem.id]
            voted = [line for line in mine if line["finish_reason"] == "stop"]
            least = sorted((line["engine_stats"]["least_confidence"] for line in voted), reverse=True)
            assert outcome.solution.selection.weights == pytest.approx(tuple(least))
    assert found[1] == found[5] == found[16]
    assert len(found[1]) == 12
    reasons = [line["finish_reason"] for line in found[1].values()]
    assert reasons.count("abandoned") > 2
    assert all(line["engine_stats"]["mean_confidence"] > 0 for line in found[1].values())


STEPS = (
    "{name: dvts, num_candidates: 2, beam_width: 2, max_steps: 3, delimiter: e, reward: {name: replay, rewards: [1]}"
)


@pytest.mark.parametrize(
    "sampler",
    ["{name: temperature, num_candidates: 2", "{name: esc, num_candidates: 2", STEPS],
    ids=lambda one: one[7:11],
)
@pytest.mark.parametrize("selector", ["confidence_vote", "majority_vote"])
def test_candidates_bring_their_confidence_where_the_selector_reads_it(tmp_path, tiny_model, sampler, selector):
    path = tmp_path / "r.yaml"
    engine = f"{{name: transformers, model: {tiny_model}, device: cpu}}"
    path.write_text(f"task: text\nengine: {engine}\nsampler: {sampler}, max_tokens: 8}}\nselector: {selector}\n")
    with open_run(load_recipe(str(path)), ROWS, tmp_path / "run") as drawing:
        assert len(list(drawing.outcomes())) == 2
    lines = [json.loads(line) for line in (tmp_path / "run" / "candidates.jsonl").read_bytes().splitlines()]
    assert len(lines) == 4
    assert all(("bottom_confidence" in line["engine_stats"]) is (selector == "confidence_vote") for line in lines)
