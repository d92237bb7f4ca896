"""Worked examples in prompts: checked with the recipe, shown as turns or as text, and never the problem itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipe_parts import COMPLETE, load, mistakes

from tts.recipe import rebuild_recipe
from tts.tasks.choice import ChoiceTask
from tts.tasks.code import CodeTask
from tts.tasks.examples import Example
from tts.tasks.math import MathTask
from tts.tasks.text import TextTask
from tts.types import Message, Problem

ADD = Example(problem="What is 1+1?", solution="One and one: \\boxed{2}.")
TIMES = Example(problem="What is 2*3?", solution="Twice three: \\boxed{6}.")
ASKED = Problem("a", "What is 6*7?", "math")


def recipe(examples: str) -> str:
    return COMPLETE.replace('{name: text, verifier: "recipe_parts:Verbatim"}', f"{{name: text, examples: {examples}}}")


def test_as_turns_the_model_has_solved_them_before_and_the_problem_comes_last() -> None:
    task = MathTask(system="Be brief.", template="Q: {problem}", examples=(ADD, TIMES))
    assert task.messages(ASKED) == (
        Message("system", "Be brief."),
        Message("user", "Q: What is 1+1?"),
        Message("assistant", "One and one: \\boxed{2}."),
        Message("user", "Q: What is 2*3?"),
        Message("assistant", "Twice three: \\boxed{6}."),
        Message("user", "Q: What is 6*7?"),
    )


def test_as_text_all_stands_in_the_users_message() -> None:
    task = TextTask(template="Q: {problem}\nA:", examples=(ADD,), examples_as="text")
    [message] = task.messages(ASKED)
    assert message.content == "Q: What is 1+1?\nA:\n\nOne and one: \\boxed{2}.\n\nQ: What is 6*7?\nA:"


def test_the_problem_itself_is_not_shown_solved() -> None:
    task = MathTask(examples=(ADD, TIMES))
    again = task.messages(Problem("b", " What is\n1+1? ", "math"))
    assert [message.role for message in again] == ["user", "assistant", "user"]
    assert "\\boxed{2}" not in "".join(message.content for message in again)


def test_options_and_starting_code_are_shown_as_the_problems_are() -> None:
    shown = Example(problem="Which is red?", solution="\\boxed{B}", choices=("sky", "blood"))
    asked = Problem("c", "Which is blue?", "choice", choices=("sky", "sun"))
    assert "A) sky\nB) blood" in ChoiceTask(examples=(shown,)).messages(asked)[0].content
    function = Example(problem="Add.", solution="def add(a, b): return a + b", entry_point="add")
    coded = CodeTask(examples=(function,)).messages(Problem("d", "Sort.", "code", entry_point="sort"))
    assert "must be called `add`" in coded[0].content
    assert "must be called `sort`" in coded[2].content


def test_a_conversation_of_the_rows_own_is_sent_untouched() -> None:
    own = (Message("user", "hi"),)
    assert MathTask(examples=(ADD,)).messages(Problem("e", "hi", "math", own)) == own


def test_a_file_beside_the_recipe_becomes_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "shots.jsonl").write_text('{"problem": "p", "solution": "s"}\n\n{"problem": "q", "solution": "t"}\n')
    read = load(tmp_path, recipe("./shots.jsonl"))
    listed = [example["problem"] for example in read.resolved()["task"]["examples"]]
    assert listed == ["p", "q"]
    (tmp_path / "shots.jsonl").unlink()
    assert rebuild_recipe(read.resolved()).hash() == read.hash()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{bad", "shots.jsonl:2: a row must be one JSON object"),
        ('{"problem": "p"}', "shots.jsonl:2"),
        ('{"problem": "p", "solution": " "}', "`solution`: must not be blank"),
        ('{"problem": "p", "solution": 3}', "`solution`"),
        ('{"problem": "p", "solution": "s", "answer": "1"}', "`answer`"),
    ],
)
def test_a_wrong_line_of_the_file_is_a_mistake_of_the_recipe(line: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "shots.jsonl").write_text(f'{{"problem": "p", "solution": "s"}}\n{line}\n')
    [mistake] = mistakes(tmp_path, recipe("./shots.jsonl"))
    assert mistake.startswith("mine.yaml:1: `task.examples` must hold one example a line")
    assert told in mistake


@pytest.mark.parametrize(
    ("examples", "told"),
    [
        ("./none.jsonl", "none.jsonl: No such file"),
        ("[{problem: p}]", "`task.examples.0.solution` is missing"),
        ("[{problem: p, solution: s, answr: 1}]", "`task.examples.0.answr` is no key"),
        ("[{problem: '', solution: s}]", "`task.examples.0.problem` must not be blank"),
        ("3", "`task.examples` must be a list"),
    ],
)
def test_what_is_no_example_is_a_mistake_of_the_recipe(examples: str, told: str, tmp_path: Path) -> None:
    [mistake] = mistakes(tmp_path, recipe(examples))
    assert told in mistake


WORDS = st.text("ab {}\\\n", min_size=1, max_size=12).filter(str.strip)


@settings(max_examples=100, derandomize=True)
@given(st.lists(st.tuples(WORDS, WORDS), max_size=3), WORDS)
def test_examples_go_before_the_problem_and_change_nothing_in_it(shots: list[tuple[str, str]], asked: str) -> None:
    examples = tuple(Example(problem=problem, solution=solution) for problem, solution in shots)
    problem = Problem("a", asked, "math")
    [alone] = MathTask().messages(problem)
    *before, last = MathTask(examples=examples).messages(problem)
    [text] = MathTask(examples=examples, examples_as="text").messages(problem)
    assert last == alone
    assert [message.role for message in before] == ["user", "assistant"] * (len(before) // 2)
    kept = [solution for question, solution in shots if question.split() != asked.split()]
    assert [message.content for message in before[1::2]] == kept
    assert text.content == "\n\n".join(message.content for message in (*before, last))
