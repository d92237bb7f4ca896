from __future__ import annotations

import math
from typing import Any

import pytest

from tts.engines.text import opens_thinking, up_to_stop
from tts.runs.candidates import candidate_of, split_thinking
from tts.types import Completion

TAGS = ("<think>", "</think>")


@pytest.mark.parametrize(
    ("text", "opened", "reasoning", "answer"),
    [
        (" The answer is 4.\n", False, None, " The answer is 4.\n"),
        ("<think>two and two</think>\n\n4", False, "two and two", "4"),
        ("<think></think>4", False, "", "4"),
        ("<think>\n\n</think>\n\n4", False, "", "4"),
        ("<think>two and", False, "two and", ""),
        ("two and", True, "two and", ""),
        ("two and two</think>4", True, "two and two", "4"),
        ("two and two</think>4", False, "two and two", "4"),
        ("<think>a</think>x <think>b</think>y", False, "a\n\nb", "x y"),
        ("<think>a</think>x <think>b", False, "a\n\nb", "x"),
        ("<think>a</think>4 is after </think>.", False, "a", "4 is after </think>."),
        ("<think>a <think> b</think>4", False, "a <think> b", "4"),
        ("first 3, <think>no</think>4", False, "no", "first 3, 4"),
        ("", False, None, ""),
        ("", True, "", ""),
        ("<thin", False, None, "<thin"),
    ],
)
def test_thinking_is_split_from_the_answer(text, opened, reasoning, answer):
    assert split_thinking(text, TAGS, opened=opened) == (reasoning, answer)


def test_other_tags_are_taken_from_the_recipe():
    assert split_thinking("[T]hm[/T]4", ("[T]", "[/T]"), opened=False) == ("hm", "4")


def test_a_prompt_opens_thinking_only_at_its_very_end():
    assert opens_thinking("[assistant]<think>\n", "<think>")
    assert not opens_thinking("explain <think> to me [assistant]", "<think>")
    assert not opens_thinking("[assistant]<think>\n\n</think>\n\n", "<think>")


def completion(text: str, **others: Any) -> Completion:
    return Completion("p", "3", text, "stop", num_prompt_tokens=4, num_tokens=5, **others)


def test_a_candidate_is_what_was_written_without_thinking_and_stop_string() -> None:
    made = candidate_of(completion("<think>2+2</think>4 STOP", stop="STOP"), 3, 17, "greedy", TAGS)
    assert (made.problem_id, made.index, made.text, made.reasoning) == ("p", 3, "4", "2+2")
    assert (made.seed, made.sampler, made.num_prompt_tokens, made.num_tokens) == (17, "greedy", 4, 5)


def test_only_the_stop_string_at_the_end_is_cut_and_only_where_it_ended_the_text() -> None:
    assert candidate_of(completion("STOP a STOP", stop="STOP"), 0, 0, "s", TAGS).text == "STOP a "
    assert candidate_of(completion("a STOP"), 0, 0, "s", TAGS).text == "a STOP"


def test_a_prompt_that_opens_the_thinking_puts_the_text_inside() -> None:
    made = candidate_of(completion("2+2</think>4", opened=True), 0, 0, "s", TAGS)
    assert (made.reasoning, made.text) == ("2+2", "4")


def test_what_was_split_before_and_its_seed_stay_as_they_are() -> None:
    stored = completion("<think>quoted</think>", reasoning="2+2", seed=7, sampler="theirs")
    made = candidate_of(stored, 0, 17, "greedy", None)
    assert (made.text, made.reasoning, made.seed, made.sampler) == ("<think>quoted</think>", "2+2", 7, "theirs")


def test_figures_that_json_cannot_hold_become_none() -> None:
    broken = completion("", cumulative_logprob=-math.inf, mean_logprob=math.nan, self_certainty=math.inf)
    made = candidate_of(broken, 0, 0, "s", TAGS)
    assert (made.cumulative_logprob, made.mean_logprob, made.self_certainty) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "stops", "found"),
    [
        ("abc STOP def", ("STOP",), ("abc STOP", "STOP")),
        ("ab", ("b", "ab"), ("ab", "ab")),  # the one that begins first
        ("abc", ("ab", "a"), ("a", "a")),  # of two that begin together the shorter
        ("abc", ("x",), ("abc", None)),
        ("abc", (), ("abc", None)),
    ],
)
def test_the_first_stop_string_ends_the_text(text: str, stops: tuple[str, ...], found: tuple[str, str | None]) -> None:
    assert up_to_stop(text, stops) == found
