"""Warnings a careful colleague would give, each with the key to change."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_parts import report as made_report
from stored_parts import boxed, cut, draw, write_problems

from tts.report.advice import differing_keys, said_once
from tts.report.analyse import report_of
from tts.report.headline import headline
from tts.report.wording import count


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    return write_problems(tmp_path / "problems.jsonl", {"a": "1", "b": "2"})


def warnings(*runs: Path) -> str:
    return "\n".join(report_of(runs, embeddings="none").warnings)


def test_cut_candidates_name_the_limit(tmp_path: Path, problems: Path) -> None:
    run = draw(tmp_path / "r", problems, [*boxed("1"), cut()], sampler={"max_tokens": 99})
    assert "50 % of the candidates were cut by the length limit" in warnings(run)
    assert "raise sampler.max_tokens (now 99)" in warnings(run)
    assert "cut by the length limit" not in warnings(draw(tmp_path / "whole", problems, boxed("1", "2")))


def test_arms_of_unlike_limits_or_shares_cut_are_told(tmp_path: Path, problems: Path) -> None:
    one = draw(tmp_path / "one", problems, [*boxed("1", "2"), cut()], name="one", sampler={"max_tokens": 1099})
    two = draw(tmp_path / "two", problems, boxed("1", "2", "2"), name="two", sampler={"max_tokens": 64})
    told = warnings(one, two)
    assert "unlike limits a candidate (one 1,099 tokens, two 64 tokens): each is measured within its own" in told
    assert "unlike shares were cut by the length limit (one 33.3\xa0%, two 0.0\xa0%)" in told
    assert "count as wrong: figures are of what is reached within 1,099 tokens" in told
    found = headline(report_of([one, two], embeddings="none"))
    assert any("each within its own budget" in sentence for sentence in found)
    assert any("beware: 33.3\xa0% of one's candidates were cut" in sentence for sentence in found)


def test_thinking_that_never_closes_is_told(tmp_path: Path, problems: Path) -> None:
    thinking = {"text": "", "reasoning": "hm, hm", "finish_reason": "length"}
    assert "never close their thinking" in warnings(draw(tmp_path / "r", problems, [thinking, *boxed("1")]))
    assert "never close" not in warnings(draw(tmp_path / "s", problems, [{"text": "\\boxed{1}", "reasoning": "hm"}]))


def test_answers_that_only_stood_last_are_told(tmp_path: Path, problems: Path) -> None:
    assert "only because they stood last" in warnings(draw(tmp_path / "r", problems, ["there were 3 of 1"]))
    assert "stood last" not in warnings(draw(tmp_path / "s", problems, boxed("1", "2")))


def test_too_few_problems_are_told_with_the_width(tmp_path: Path, problems: Path) -> None:
    assert "with 2 problems the 95 % interval of maj@1" in warnings(draw(tmp_path / "r", problems, boxed("1")))


def test_recipes_that_differ_in_more_than_one_thing_are_told(tmp_path: Path, problems: Path) -> None:
    plain = draw(tmp_path / "p", problems, boxed("1", "2"), name="plain")
    hotter = draw(tmp_path / "h", problems, boxed("2", "1"), name="hotter", sampler={"temperature": 1.2, "top_p": 0.9})
    assert "sampler.top_p: 1.0 and 0.9; sampler.temperature: 0.7 and 1.2" in warnings(plain, hotter)


def test_what_is_true_of_several_recipes_is_said_once(tmp_path: Path, problems: Path) -> None:
    script = [*boxed("1"), cut(), {"text": "", "finish_reason": "error", "error": "out of paper"}]
    runs = [
        draw(tmp_path / f"run-{name}", problems, script[place:], name=name, sampler={"temperature": 1.0 + place})
        for place, name in enumerate("abc")
    ]
    found = report_of(runs, ks=(1,), embeddings="none").warnings
    assert len({re.sub(r"\d+", "#", one.split(": ", 1)[-1]) for one in found}) == len(found)
    text = "\n".join(found).replace("\xa0", " ")
    assert "a, b: 33 / 50 % of the candidates were cut" in text
    assert f"--run {runs[0]} / {runs[1]} / {runs[2]} --retry-errors" in text
    (fairness,) = [one for one in found if "more than one thing" in one]
    assert "a and b, a and c, b and c in engine.script, sampler.temperature." in fairness


def test_sentences_about_different_problems_stay_apart() -> None:
    arms = [replace(made_report(arms=("x",)).arms[0], name=name, run="") for name in "ab"]
    apart = ["a: 1 problem has no candidates ('p1')", "b: 1 problem has no candidates ('p2')"]
    assert said_once(arms, apart) == apart
    assert said_once(arms, ["a: 3 of 'p1'", "b: 4 of 'p1'"]) == ["a, b: 3\xa0/\xa04 of 'p1'"]
    assert said_once(arms, [f"a: read {count(7097)}", "b: read 9"]) == [f"a, b: read {count(7097)}\xa0/\xa09"]


NAMES = st.lists(st.sampled_from(["a", "a: b", "a and b", "b", "b and a", "run 7", "7"]), min_size=1, unique=True)
SAYINGS = st.sampled_from(["{} % of {} were cut", "{} failed: see {}", "nothing", "{}{} and {}"])


@settings(derandomize=True, max_examples=200, deadline=None)
@given(NAMES, st.data())
def test_no_sentence_stands_twice_and_no_name_or_number_is_lost(names: list[str], data: st.DataObject) -> None:
    arms = [replace(made_report(arms=("x",)).arms[0], name=name, run=f"runs/{name}") for name in names]
    subjects = [f"{name}: " for name in names] + [f"{one} and {two} " for one in names for two in names if one != two]
    said = [
        data.draw(st.sampled_from(["", *subjects])) + data.draw(SAYINGS).format(*data.draw(NUMBERS))
        for _ in range(data.draw(st.integers(0, 6)))
    ]
    found = said_once(arms, said)
    assert len(found) <= len(said)
    assert len(found) == len(set(found))
    for sentence in said:
        numbers = set(re.findall(r"\d+", sentence))
        assert any(numbers <= set(re.findall(r"\d+", one)) for one in found)


NUMBERS = st.tuples(*[st.integers(0, 99)] * 3)


def test_a_difference_that_may_be_chance_is_told_in_the_words_of_the_verdict(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "p.jsonl", {f"q{number}": "1" for number in range(8)})
    script = {f"q{number}": boxed("1" if number < 5 else "2") for number in range(8)}
    better, worse = (
        draw(tmp_path / name, problems, one, name=name) for name, one in (("b", script), ("w", boxed("2")))
    )
    assert "b and w are not told apart from chance in pass@1 (adjusted p 0.063)" in warnings(worse, better)


def test_arms_that_spend_unlike_tokens_are_told(tmp_path: Path, problems: Path) -> None:
    def run(name: str, num_tokens: int) -> Path:
        return draw(tmp_path / name, problems, [{"text": "\\boxed{1}", "num_tokens": num_tokens}], name=name)

    told = warnings(run("short", 20), run("long", 31))
    assert "tokens a candidate (short 20, long 31), so at the same k they do not cost the same" in told
    assert "do not cost the same" not in warnings(run("one", 20), run("two", 30))


def test_keys_of_one_component_alone_are_its_own_matter() -> None:
    first = {"sampler": {"name": "temperature", "max_tokens": 8, "num_candidates": 2}, "seed": 0, "selector": "first"}
    second = {
        "sampler": {"name": "esamp", "max_tokens": 9, "beta": 0.2, "num_candidates": 4},
        "seed": 1,
        "selector": {},
    }
    assert list(differing_keys(first, second)) == [
        ("sampler.name", "temperature", "esamp"),
        ("sampler.max_tokens", 8, 9),
    ]


def test_the_same_candidates_twice_are_told(tmp_path: Path, problems: Path) -> None:
    first, second = (draw(tmp_path / name, problems, boxed("1", "2"), name=name) for name in ("x", "y"))
    assert "x and y hold the same candidates" in warnings(first, second)


def test_the_same_candidates_chosen_from_unlike_are_compared_in_the_choice_alone(
    tmp_path: Path, problems: Path
) -> None:
    first, second = (
        draw(tmp_path / name, problems, boxed("1", "2", "1"), name=name, selector=name)
        for name in ("majority_vote", "first")
    )
    found = report_of([first, second], (1, 2, 3), embeddings="none")
    assert (found.axis, found.headline) == ("k", "selected")
    assert [(one.figure, one.k) for one in found.contrasts] == [("selected", 2), ("selected", 3)]
    assert "hold the same candidates" not in "\n".join(found.warnings)
    assert any("majority_vote, first choose among the same candidates" in one for one in found.method)


def test_failed_candidates_name_the_command_that_draws_them_anew(tmp_path: Path, problems: Path) -> None:
    failed = {"text": "", "finish_reason": "error", "error": "out of paper"}
    run = draw(tmp_path / "r", problems, [*boxed("1"), failed])
    assert f"tts solve --run {run} --retry-errors" in warnings(run)
