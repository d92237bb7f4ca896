"""ESamp inside vLLM, on the real small model: who is guided, by what, and that everything else stays as it is."""

from __future__ import annotations

import pytest

pytest.importorskip("vllm", reason="needs vLLM (make test-vllm)")

from esamp_host_parts import EngineTwin, Trace  # after the skip
from vllm_parts import CHUNKED, KEYS, PROMPTS, guided, opened, requests, run, stock, written  # as above

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore")]  # vLLM and what it imports warn of themselves


@pytest.fixture(scope="module")
def plain():
    """Candidates of our engine without ESamp."""
    with opened() as engine:
        return run(engine, requests())


@pytest.fixture(scope="module")
def esamp():
    """What one engine with ESamp gave for several passes: candidates by pass, and its report."""
    with opened({"beta": 0.25, "num_slots": 4, "kl_every": 4}) as engine:
        passes = {
            "0": run(engine, guided(requests(), 0.0, "zero")),
            "0.25": run(engine, guided(requests(), 0.25, "first")),
        }
        return passes, engine.plugin_report()


def test_without_esamp_our_worker_writes_what_vllm_writes():
    """As many requests as run at once: vLLM may let the next ones in a step earlier, and other sums round otherwise."""
    asked = requests(PROMPTS[:2], num=KEYS["batch_size"] // 2)
    with opened() as engine:
        prompts = {one.problem_id: list(engine._prompts.render(one.messages)[1]) for one in asked}
        candidates = run(engine, asked)
    found = stock(asked, prompts)
    assert {key: (one.num_tokens, pytest.approx(one.cumulative_logprob)) for key, one in candidates.items()} == found


def test_at_beta_0_with_training_every_token_is_plain_vllms(plain, esamp):
    passes, report = esamp
    assert written(passes["0"]) == written(plain)
    assert report.figures["rows_trained"] > report.figures["rows_guided"] > 0


def test_at_beta_025_candidates_differ_and_come_out_again(plain, esamp):
    passes, report = esamp
    assert written(passes["0.25"]) != written(plain)
    with opened({"beta": 0.25, "num_slots": 4, "kl_every": 4}) as engine:
        run(engine, guided(requests(), 0.0, "zero"))
        again = run(engine, guided(requests(), 0.25, "first"))
        assert again == passes["0.25"]
        assert {**engine.plugin_report().figures, **TIMES} == {**report.figures, **TIMES}


TIMES = {"predict_ms": None, "train_ms": None, "wait_ms": None}


def test_candidates_bring_their_novelty_and_kl(esamp):
    passes, report = esamp
    for candidate in passes["0.25"].values():
        stats = candidate.engine_stats
        assert stats["esamp_guided_tokens"] == candidate.num_tokens - 1  # the first token is never guided
        assert 0 < stats["esamp_novelty"] < 3
    assert len({candidate.engine_stats["esamp_novelty"] for candidate in passes["0.25"].values()}) > 10
    assert any("esamp_kl" in candidate.engine_stats for candidate in passes["0.25"].values())
    assert report.figures["mean_kl"] > 0


def test_guidance_can_keep_the_entropy_and_then_beta_0_is_plain_all_the_same(plain):
    with opened({"beta": 1.0, "num_slots": 4, "kl_every": 4, "keep_entropy": True}) as engine:
        assert written(run(engine, guided(requests(), 0.0, "zero"))) == written(plain)
        assert written(run(engine, guided(requests(), 1.0, "first"))) != written(plain)
        figures = engine.plugin_report().figures
    assert figures["mean_entropy"] == pytest.approx(figures["mean_reference_entropy"], abs=0.01)


def test_with_prompts_read_in_parts_and_found_in_the_cache_beta_0_is_plain_and_slots_are_freed():
    """Two problems have prompts of about 170 tokens, read in three parts beside the decoding of the others."""
    with opened(engine_args=CHUNKED) as engine:
        expected = [written(run(engine, requests())) for _ in range(2)]  # the second time from the prefix cache
    with opened({"beta": 0.0, "num_slots": 4}, engine_args=CHUNKED) as engine:
        assert [written(run(engine, guided(requests(), 0.0, name))) for name in ("once", "twice")] == expected
        figures = engine.plugin_report().figures
    assert figures["groups"] == 2 * len(PROMPTS)
    assert figures["rows_without_slot"] == 0


def test_more_problems_than_distillers_wait_and_none_runs_unguided():
    with opened({"beta": 0.25, "num_slots": 1}, prefix_caching=False) as engine:
        alone = {}
        for prompt in PROMPTS:
            alone |= run(engine, guided(requests([prompt]), 0.25, "alone"))
        together = run(engine, guided(requests(), 0.25, "together"))
        figures = engine.plugin_report().figures
    assert written(together) == written(alone)  # each was alone in both
    assert (figures["rows_without_slot"], figures["groups"]) == (0, 2 * len(PROMPTS))


def test_cancelled_requests_leave_their_group():
    with opened({"beta": 0.25, "num_slots": 1}) as engine:
        asked = guided(requests(PROMPTS[:2]), 0.25)
        for request in asked:
            engine.add(request)
        for _ in range(5):
            assert engine.step() == []
        for request in asked[:4]:
            engine.cancel(request.problem_id, request.key)
        finished = {}
        while len(finished) < len(asked):
            finished |= {(one.problem_id, one.key): one.finish_reason for one in engine.step()}
        reasons = list(finished.values())
        assert (reasons.count("cancelled"), reasons.count("error")) == (4, 0)
        assert engine.plugin_report().figures["groups"] == 2


def test_the_engine_does_what_plain_passes_and_autograd_do():
    """Four groups of eight, over 500 guided tokens, in float32; every row starts in the same step."""
    from transformers import AutoModelForCausalLM

    from tts.models.pretrained import resolve
    from tts.plugins.esamp.settings import ESampSettings

    settings = {"beta": 0.25, "num_slots": 4, "kl_every": 1, "learning_rate": 1e-3, "train_every": 1}
    asked = guided(requests(num=8, max_tokens=45, temperature=1.0), 0.25)
    with opened(
        settings, dtype="float32", batch_size=len(asked), engine_args={"max_num_batched_tokens": 8192}
    ) as engine:
        for request in asked:
            engine.add(request)
        candidates = engine.step()
        flights = list(engine._running._running.values())
        while len(candidates) < len(asked):
            candidates += engine.step()
        report = engine.plugin_report()
    trace = steps_of(flights)
    model = AutoModelForCausalLM.from_pretrained(resolve(KEYS["model"]), dtype="float32")
    twin = EngineTwin(model, ESampSettings(**settings), model.config.vocab_size)
    expected = twin.replay(trace)
    assert len(expected) > 500
    assert max(abs(token.row.logprobs[token.place] - token.logprob) for token in expected) < 1e-3
    assert report.figures["mean_kl"] == pytest.approx(sum(token.kl for token in expected) / len(expected), abs=1e-3)
    assert report.figures["last_loss"] < report.figures["first_loss"]
    late = [token.prediction.tolist()[:8] for token in expected if token.place == 20]
    assert len({tuple(prediction) for prediction in late}) == len(late) > 20  # ĥ differs per row


def steps_of(flights):
    """The trace of rows that all started in the same step: step n generated token n of each that has so many."""
    trace = Trace(flights)
    for number in range(max(len(flight.token_ids) for flight in flights)):
        trace.steps.append([(flight, number) for flight in flights if len(flight.token_ids) > number])
    return trace
