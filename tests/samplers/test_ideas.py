"""GenSynthesis and PlanSearch: candidates that are drawn from other prompts than the problem's own."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tts.errors import RecipeError
from tts.recipe import load_recipe
from tts.samplers.gensynth import GenSynth
from tts.samplers.plansearch import PlanSearch
from tts.testing import converse
from tts.types import Completion, Problem, Request

SUM = Problem("p", "What is {number} + 7?", "math")


def said(request: Request, text: str, finish: Any = "stop") -> Completion:
    error = "no room" if finish == "error" else None
    return Completion(request.problem_id, request.key, text, finish, 5, 3, error=error)


def test_syntheses_are_written_from_whole_drafts_without_their_thinking_and_have_their_own_credit() -> None:
    asked = []

    def reply(request: Request) -> Completion:
        text = request.messages[0].content
        if "solutions to this" not in text:
            number = request.seed % 97
            return said(request, f"<think>hm</think>draft {number}", "length" if number % 3 == 0 else "stop")
        asked.append(text)
        return said(request, " ".join(["made", "of", *sorted(re.findall(r"draft (\d+)", text))]))

    found = converse(GenSynth(num_candidates=12, syntheses=4, window=3), SUM, reply, orders=4)
    assert [one.sampler for one in found] == ["gensynth/draft"] * 8 + ["gensynth/synthesis"] * 4
    whole = {one.text.split()[1] for one in found[:8] if one.finish_reason == "stop"}
    assert all("hm" not in text and "What is {number} + 7?" in text and "here are 3 " in text.lower() for text in asked)
    for one in found[8:]:
        assert one.text.startswith("made of ")
        assert set(one.text.split()[2:]) <= whole
        assert len(one.text.split()) == 2 + 3
    assert len({one.text for one in found[8:]}) > 1  # each is written from others
    assert all(len(one.calls) == 1 for one in found)


@pytest.mark.parametrize(("finish", "number"), [("length", 3), ("error", 3)])
def test_from_fewer_than_two_whole_drafts_nothing_is_written(finish: str, number: int) -> None:
    found = converse(GenSynth(num_candidates=5), SUM, lambda request: said(request, "7", finish), orders=2)
    assert [one.finish_reason for one in found] == [finish] * number


def test_each_set_of_observations_is_followed_once_before_any_comes_again() -> None:
    plans: list[str] = []

    def reply(request: Request) -> Completion:
        text = request.messages[0].content
        assert "What is {number} + 7?" in text
        if "observations that could help" in text:
            return said(request, "<think>hm</think>Here:\n1. it is small\n- it is odd\n\n* it is odd\nit is a sum")
        if "Here are observations" in text:
            plans.append("+".join(re.findall(r"^- (.*)", text, re.MULTILINE)))
            return said(request, f"plan of {plans[-1]}")
        return said(request, text.splitlines()[-1])

    found = converse(PlanSearch(num_candidates=20, num_observations=4), SUM, reply, orders=0)
    assert set(Counter(plans).values()) == {2}
    assert len(set(plans)) == 4 + 6
    assert {"it is odd", "it is small+it is a sum"} < set(plans)
    assert Counter(one.text for one in found) == Counter(f"plan of {plan}" for plan in plans)
    alone = converse(PlanSearch(num_candidates=4, num_observations=4, most_joined=1), SUM, reply, orders=2)
    assert len({one.text for one in alone}) == 4


@pytest.mark.parametrize("part", ["observations that could help", "Here are observations"])
@pytest.mark.parametrize("finish", ["error", "stop"])
def test_without_observations_or_a_plan_the_answer_is_a_plain_one(part: str, finish: str) -> None:
    def reply(request: Request) -> Completion:
        text = request.messages[0].content
        if part in text:
            return said(request, "", finish)
        return said(request, "one idea" if "observations that" in text else text)

    found = converse(PlanSearch(num_candidates=3), SUM, reply, orders=2)
    assert [one.finish_reason for one in found] == ["stop"] * 3
    assert all(one.text == SUM.prompt for one in found)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("name: gensynth, num_candidates: 4, syntheses: 3", "must leave two drafts beside 3 syntheses, got 4"),
        ("name: gensynth, prompt: Again.", "must hold {solutions}"),
        ("name: plansearch, num_observations: 0", "num_observations"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, keys: str, told: str) -> None:
    (tmp_path / "r.yaml").write_text(
        f"task: code\nengine: {{name: replay, script: [a]}}\nsampler: {{{keys}}}\nselector: majority_vote\n"
    )
    with pytest.raises(RecipeError, match=told):
        load_recipe(str(tmp_path / "r.yaml"))
