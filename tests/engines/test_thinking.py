from __future__ import annotations

import pytest

from tts.engines.thinking import opens_thinking, split_thinking

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
