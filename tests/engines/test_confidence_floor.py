"""A confidence floor in the embedded engine: where a candidate is given up, and what is left of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="needs the hf extra")

from transformers_parts import by_key, candidate_from, request_for, run, unmeasured  # after the skip

from tts.engines.transformers import TransformersEngine  # as above
from tts.types import ConfidenceFloor  # as above

PROMPTS = ("How many?", "Why is the sky blue?", "Count to ten.", "And then?", "2 + 2?", "Who?")
WINDOW = 4


def asked(floor: ConfidenceFloor | None, **decoding):
    keys = {"temperature": 0.7, "top_k": 20, "max_tokens": 24, **decoding}
    return [request_for(prompt, index, floor=floor, **keys) for index, prompt in enumerate(PROMPTS)]


@pytest.fixture(scope="module")
def engine(tiny_model):
    with TransformersEngine(model=str(tiny_model), device="cpu", batch_size=6, record_token_logprobs=True) as opened:
        yield opened


def served(engine, requests):
    """The candidates by key, and the confidence of each one's tokens."""
    for request in requests:
        engine.add(request)
    rows = {(row.request.problem_id, int(row.request.key)): row for row in engine._running.decoder._waiting}
    finished = {}
    while len(finished) < len(requests):
        finished |= {(one.problem_id, int(one.key)): one for one in engine.step()}
    candidates = {key: candidate_from(rows[key].request, one, engine.thinking_tags) for key, one in finished.items()}
    return candidates, {key: row.confidences for key, row in rows.items()}


def first_below(confidences, threshold: float) -> int | None:
    """The number of the token at which a full window is below the threshold first."""
    ends = range(WINDOW, len(confidences) + 1)
    return next((end - 1 for end in ends if sum(confidences[end - WINDOW : end]) / WINDOW < threshold), None)


def test_a_floor_of_0_measures_and_changes_nothing(engine):
    plain = run(engine, asked(None))
    measured = run(engine, asked(ConfidenceFloor(WINDOW, 20, 0.0)))
    assert unmeasured(measured) == unmeasured(plain)
    assert all("least_confidence" in one.engine_stats for one in measured)
    assert not any(one.engine_stats for one in plain)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_a_candidate_ends_at_the_first_window_below_the_floor_and_not_before(engine, temperature):
    whole, confidences = served(engine, asked(ConfidenceFloor(WINDOW, 20, 0.0), temperature=temperature))
    least = sorted(one.engine_stats["least_confidence"] for one in whole.values())
    threshold = (least[2] + least[3]) / 2  # three of six fall
    drawn, _ = served(engine, asked(ConfidenceFloor(WINDOW, 20, threshold), temperature=temperature))
    fell = {key for key, one in drawn.items() if one.finish_reason == "abandoned"}
    assert len(fell) == 3
    for key, one in drawn.items():
        at = first_below(confidences[key], threshold)
        assert (at is not None) is (key in fell)
        if at is None:
            assert one == whole[key]
            continue
        assert one.num_tokens == at + 1
        assert whole[key].text.startswith(one.text)
        assert len(one.text) < len(whole[key].text)
        assert one.token_logprobs == (*whole[key].token_logprobs[:at], 0.0)
        assert one.cumulative_logprob == pytest.approx(sum(one.token_logprobs))
        assert one.engine_stats["least_confidence"] < threshold
        assert one.engine_stats["mean_confidence"] == pytest.approx(sum(confidences[key][: at + 1]) / (at + 1))


def test_at_its_own_least_confidence_a_candidate_is_whole(engine):
    """What two sums make of the same tokens is not told apart."""
    floor = ConfidenceFloor(WINDOW, 20, 0.0)
    whole = by_key(run(engine, asked(floor)))
    again = []
    for request in asked(floor):
        least = whole[request.problem_id, int(request.key)].engine_stats["least_confidence"]
        again.append(replace(request, decoding=replace(request.decoding, floor=replace(floor, threshold=least))))
    assert by_key(run(engine, again)) == whole


def test_a_candidate_shorter_than_the_window_is_never_given_up(engine):
    short = run(engine, asked(ConfidenceFloor(25, 20, 1e6)))
    assert unmeasured(short) == unmeasured(run(engine, asked(None)))
    long = run(engine, asked(ConfidenceFloor(24, 20, 1e6)))
    assert {one.finish_reason for one in long if one.num_tokens == 24} == {"abandoned"}


def test_rows_with_and_without_a_floor_are_drawn_as_if_alone(engine):
    floors = [None, ConfidenceFloor(1, 20, 1e6), ConfidenceFloor(3, 5, 2.0), None, ConfidenceFloor(2, 20, 0.0), None]
    mixed = [one for index, floor in enumerate(floors) for one in asked(floor)[index : index + 1]]
    together = by_key(run(engine, mixed))
    for request in mixed[1:4]:
        assert together[request.problem_id, int(request.key)] == run(engine, [request])[0]
    at_once = together[PROMPTS[1], 1]
    assert (at_once.finish_reason, at_once.num_tokens, at_once.text) == ("abandoned", 1, "")


def test_a_wrong_floor_is_an_error_of_its_request_alone(engine):
    wrong, right = asked(ConfidenceFloor(0, 20, 1.0))[0], asked(None)[1]
    found = by_key(run(engine, [wrong, right]))
    assert "`floor` must have a window" in found[PROMPTS[0], 0].error
    assert found[PROMPTS[1], 1].error is None
