"""When a completion ends, and what text it leaves."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch", reason="needs the hf extra")

from transformers_parts import byte_tokenizer, candidate_from, request_for

from tts.engines.text import Detokenizer
from tts.engines.transformers.row import CompletionWriter, Ending, Row
from tts.engines.transformers.sampling import noise_source
from tts.runs import records
from tts.types import Candidate

TAGS = ("<think>", "</think>")


@pytest.fixture(scope="module")
def tokenizer():
    return byte_tokenizer()


@pytest.fixture(scope="module")
def ending(tokenizer):
    return Ending(Detokenizer.of(tokenizer, TAGS), frozenset({tokenizer.eos_token_id}))


def written(ending, ids, *, prompt="ask", context=1000, **decoding):
    """Feed `ids` one by one until the row ends; return its candidate and how many were taken."""
    request = request_for("p", **{"max_tokens": 500, **decoding})
    row = Row(request, prompt, ((1, 2, 3),), context, noise_source(0))
    for id_ in ids:
        row.append(id_, -0.5, 1.0)
        ending.apply(row)
        if row.finish_reason:
            break
    return candidate_from(request, CompletionWriter(ending, TAGS, with_token_logprobs=True).completion(row))


def ids_of(tokenizer, text):
    return tokenizer(text, add_special_tokens=False).input_ids


@pytest.mark.parametrize(
    ("case", "left", "num_tokens"),
    [
        (("abc STOP def", "STOP"), "abc ", 8),
        (("abcSTOPSTOP", "STOP"), "abc", 7),
        (("STOP", "STOP"), "", 4),
        (("a\n\nb", "\n\n", "b"), "a", 3),
        (("one two", "wo", "two"), "one ", 7),  # both end at once: the text ends before the longer
        (("price: 5 €, or", "€"), "price: 5 ", 12),  # three bytes, three tokens
        (("日本語テスト", "語テ"), "日本", 12),
        (("no such thing", "STOP"), "no such thing", 13),
    ],
)
def test_a_stop_string_ends_the_text_before_it(tokenizer, ending, case, left, num_tokens):
    text, *stops = case
    drawn = written(ending, ids_of(tokenizer, text), stop=tuple(stops))
    assert (drawn.text, drawn.num_tokens) == (left, num_tokens)


def test_a_stop_string_half_seen_does_not_end_the_text(tokenizer, ending):
    drawn = written(ending, [*ids_of(tokenizer, "10 STO"), tokenizer.eos_token_id], stop=("STOP",))
    assert (drawn.text, drawn.finish_reason) == ("10 STO", "stop")


def test_a_stop_string_is_found_across_hidden_special_tokens(tokenizer, ending):
    start = tokenizer.bos_token_id
    drawn = written(ending, [*ids_of(tokenizer, "a ST"), start, *ids_of(tokenizer, "OP b")], stop=("STOP",))
    assert drawn.text == "a "


def test_the_end_token_counts_but_leaves_no_text(tokenizer, ending):
    drawn = written(ending, [*ids_of(tokenizer, "four"), tokenizer.eos_token_id, 5, 6])
    assert (drawn.text, drawn.num_tokens, drawn.finish_reason) == ("four", 5, "stop")
    assert drawn.token_logprobs == (-0.5,) * 5
    assert (drawn.cumulative_logprob, drawn.mean_logprob, drawn.self_certainty) == (-2.5, -0.5, 1.0)


def test_the_limit_of_tokens_ends_with_length(tokenizer, ending):
    drawn = written(ending, ids_of(tokenizer, "abcdef"), max_tokens=3)
    assert (drawn.text, drawn.finish_reason, drawn.engine_stats) == ("abc", "length", {})


def test_an_end_token_at_the_limit_is_a_stop(tokenizer, ending):
    drawn = written(ending, [*ids_of(tokenizer, "ab"), tokenizer.eos_token_id], max_tokens=3)
    assert drawn.finish_reason == "stop"


def test_a_full_context_ends_with_length_and_says_so(tokenizer, ending):
    drawn = written(ending, ids_of(tokenizer, "abcdef"), context=7)
    assert (drawn.text, drawn.finish_reason) == ("abcd", "length")
    assert drawn.engine_stats == {"context_full": 1.0}


def test_thinking_tags_that_are_special_tokens_still_split_the_text(tokenizer, ending):
    ids = [*ids_of(tokenizer, "<think>2+2</think>4"), tokenizer.eos_token_id]
    assert len(ids) == 7
    drawn = written(ending, ids)
    assert (drawn.reasoning, drawn.text) == ("2+2", "4")


def test_a_prompt_that_opens_the_thinking_puts_the_beginning_inside(tokenizer, ending):
    unfinished = written(ending, ids_of(tokenizer, "2+2"), prompt="ask<think>\n", max_tokens=3)
    assert (unfinished.reasoning, unfinished.text, unfinished.finish_reason) == ("2+2", "", "length")
    whole = written(ending, [*ids_of(tokenizer, "2+2</think>4"), tokenizer.eos_token_id], prompt="ask<think>")
    assert (whole.reasoning, whole.text) == ("2+2", "4")


def test_stop_strings_also_end_the_thinking(tokenizer, ending):
    drawn = written(ending, ids_of(tokenizer, "<think>a STOP b</think>4"), stop=("STOP",))
    assert (drawn.reasoning, drawn.text, drawn.finish_reason) == ("a", "", "stop")


@pytest.mark.parametrize("logprob", [math.nan, -math.inf])
def test_logits_that_are_no_numbers_are_an_error_that_json_can_hold(ending, logprob):
    request = request_for("p")
    row = Row(request, "ask", ((1, 2),), 100, noise_source(0))
    row.append(5, logprob, math.nan)
    ending.apply(row)
    drawn = candidate_from(request, CompletionWriter(ending, TAGS, with_token_logprobs=True).completion(row))
    assert drawn.finish_reason == "error"
    assert "not a number" in (drawn.error or "")
    assert records.loads(records.dumps(drawn), Candidate, str) == drawn
    assert (drawn.text, drawn.cumulative_logprob, drawn.self_certainty) == ("", None, None)
