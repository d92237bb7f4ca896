"""Going on from what stands in the answer already: as if it had been written in one go."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tts.engines.transformers import TransformersEngine
from tts.types import Completion, Decoding, Message, Piece, Request


@pytest.fixture
def engine(tiny_model):
    with TransformersEngine(model=str(tiny_model), device="cpu", batch_size=4) as opened:
        yield opened


def drawn(engine: TransformersEngine, *requests: Request) -> list[Completion]:
    for request in requests:
        engine.add(request)
    found: dict[tuple[str, str], Completion] = {}
    while len(found) < len(requests):
        found |= {(one.problem_id, one.key): one for one in engine.step()}
    return [found[request.problem_id, request.key] for request in requests]


def greedy(most: int, *prefix: Piece, key: str = "0", stop: tuple[str, ...] = ()) -> Request:
    decoding = Decoding(most, temperature=0, stop=stop)
    return Request("p", key, (Message("user", "How many?"),), decoding, 7, "test", prefix=prefix)


@pytest.mark.parametrize("cut", [1, 4, 9])
def test_a_text_drawn_in_parts_is_the_text_drawn_in_one_go(engine, cut):
    [whole] = drawn(engine, greedy(20))
    [first] = drawn(engine, greedy(cut))
    [rest] = drawn(engine, greedy(20 - cut, first.piece, key="1"))
    assert list(whole.token_ids) == [*first.token_ids, *rest.token_ids]
    assert whole.cumulative_logprob == pytest.approx(first.cumulative_logprob + rest.cumulative_logprob, abs=1e-3)
    assert rest.num_prompt_tokens == whole.num_prompt_tokens + cut


def test_the_ids_of_a_call_begin_with_those_of_the_call_before_its_output_included(engine):
    [first] = drawn(engine, greedy(6))
    engine.add(greedy(6))
    engine.add(greedy(6, first.piece, Piece("Wait"), key="1"))
    one, two = (row.prompt_ids for row in engine._running.decoder._waiting)
    assert two[: len(one) + 6] == (*one, *first.token_ids)
    assert engine._running.prompts.tokenizer.decode(two[len(one) + 6 :]) == "Wait"


def test_what_is_found_in_the_cache_changes_nothing_but_the_count(engine, tiny_model):
    [first] = drawn(engine, replace(greedy(6), decoding=Decoding(6, temperature=1.0)))
    again = [
        replace(greedy(12, first.piece, key=str(n)), decoding=Decoding(12, temperature=1.0), seed=n) for n in range(6)
    ]
    here = drawn(engine, *again)
    with TransformersEngine(model=str(tiny_model), device="cpu", batch_size=4) as other:
        [alone] = drawn(other, again[5])
    assert (alone.text, alone.num_cached_tokens) == (here[5].text, 0)
    assert here[5].num_cached_tokens == here[5].num_prompt_tokens - 1
    assert here[0].num_cached_tokens == first.num_prompt_tokens - 1
    if "deterministic" in engine.capabilities():
        assert alone.cumulative_logprob == here[5].cumulative_logprob


def test_a_prefix_that_fills_the_context_is_an_empty_completion_cut_by_length(tiny_model):
    with TransformersEngine(model=str(tiny_model), device="cpu", max_model_len=64) as engine:
        full = Piece("", token_ids=(5,) * 64)
        [one] = drawn(engine, greedy(6, full))
    assert (one.text, one.finish_reason, one.error, one.num_tokens) == ("", "length", None, 0)


def test_a_stop_string_says_how_many_ids_stand_before_it(engine):
    [whole] = drawn(engine, greedy(20))
    stop = whole.text[6:8]
    [cut] = drawn(engine, greedy(20, key="1", stop=(stop,)))
    assert cut.stop == stop
    assert cut.text.endswith(stop)
    detokenizer = engine._running.writer.ending.detokenizer
    if cut.token_ids is not None:
        assert detokenizer.text(cut.token_ids) == cut.text
    before = cut.before_stop
    assert before.text == cut.text.removesuffix(stop)
    if before.token_ids is not None:
        assert detokenizer.text(before.token_ids) == before.text


def test_what_a_problems_calls_left_is_freed_once_it_is_over_but_not_what_another_needs(engine):
    stored = engine._running.decoder._prefixes._stored
    [one] = drawn(engine, greedy(6))
    drawn(engine, greedy(6, one.piece, key="1"), replace(greedy(6), problem_id="q"))
    assert len(stored) == 2  # the prompt, which both ask, and what stands behind it
    engine.forget("p")
    assert len(stored) == 1
    [again] = drawn(engine, replace(greedy(6), problem_id="q", key="1"))
    assert again.num_cached_tokens > 0
    engine.forget("q")
    engine.forget("unheard of")
    assert not stored
    [anew] = drawn(engine, greedy(6, key="2"))
    assert (anew.text, anew.num_cached_tokens) == (one.text, 0)
