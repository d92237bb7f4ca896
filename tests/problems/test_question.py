"""A question in words is told from the name of a file or a set, there or not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.problems.question import is_question
from tts.problems.sources import known_names


@pytest.mark.parametrize(
    "text",
    [
        "What is 6*7?",
        "6*7?",
        "6*7",
        "2 + 2",
        "1/2 + 1/3",
        "What is 1/2 + 1/3?",
        "a/b + c/d = what?",
        "Prove that sqrt(2) is irrational.",
        "How many km/h are 10 m/s?",
        "Who wrote Hamlet?",
        "Find x:\nx^2 = 4",
        "What is in the file p.jsonl?",
        "六乘以七等于多少?",
        "six " * 5000 + "?",
    ],
)
def test_words_that_ask_are_a_question(text: str) -> None:
    assert is_question(text, known_names())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "problems.jsonl",
        "my problems.jsonl",
        "my problems of today.csv",
        "a set of rows.jsonl.gz",
        "./what is this?",
        "../a b c",
        "~/my set of problems",
        "/data/my set of problems",
        "data/my set of problems",
        "my problems",
        "nowhere",
        "p?",
        "*.jsonl",
        "data/p1?",
        "quickstrat",
        "gsm8k?",
        "livecodebnch?release=v5",
        "humaneval?path=my own file",
        "hf://owner/name?split=test",
        "hf://owner/a b c",
    ],
)
def test_what_is_plainly_a_name_stays_one_though_nothing_is_there(text: str) -> None:
    assert not is_question(text, known_names())


def test_a_file_that_is_there_is_a_file_whatever_it_is_called(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_question("What is 6*7?", known_names())
    (tmp_path / "What is 6*7?").touch()
    assert not is_question("What is 6*7?", known_names())


WORDS = st.lists(st.text("abcxyz019", min_size=1, max_size=6), min_size=1, max_size=6).map(" ".join)


@settings(max_examples=200, derandomize=True)
@given(WORDS, st.sampled_from([".jsonl", ".JSON", ".csv", ".jsonl.gz", ".parquet", ".txt"]))
def test_any_words_with_a_files_ending_or_from_a_folder_on_are_a_path(words: str, ending: str) -> None:
    assert not is_question(words + ending, known_names())
    for folder in ("/", "./", "../", "~/", "data/"):
        assert not is_question(folder + words, known_names())


@settings(max_examples=200, derandomize=True)
@given(WORDS, WORDS, WORDS)
def test_three_words_or_a_question_mark_after_two_are_a_question(first: str, second: str, third: str) -> None:
    assert is_question(f"{first} {second} {third}", known_names())
    assert is_question(f"{first} {second}?", known_names())
