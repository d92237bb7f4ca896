"""Tasks put the right words around a problem, and only around it."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError

from tts.components import registry
from tts.protocols import Task
from tts.tasks.choice import ChoiceTask
from tts.tasks.code import CodeCompletionTask, CodeTask
from tts.tasks.math import MathTask
from tts.tasks.text import TextTask
from tts.types import Kind, Message, Problem

SUM = Problem("a", "What is 6*7?", "math")
SET = Problem("b", r"How many elements has {1, {2}}? Write \frac{1}{2} as {problem} or {choices}.", "math")
CAPITAL = Problem("c", "Capital of France?", "choice", choices=("Lyon", "Paris {problem}", "Nice"))


def user(task: Task, problem: Problem) -> str:
    [message] = task.messages(problem)
    assert message.role == "user"
    return message.content


def test_math_asks_for_steps_and_a_boxed_answer() -> None:
    assert user(MathTask(), SUM).startswith("What is 6*7?\n\n")
    assert "step by step" in user(MathTask(), SUM)
    assert user(MathTask(), SUM).endswith("inside \\boxed{}.")


def test_choice_lists_the_options_by_letter_and_asks_for_one() -> None:
    content = user(ChoiceTask(), CAPITAL)
    assert content.startswith("Capital of France?\n\nA) Lyon\nB) Paris {problem}\nC) Nice\n\n")
    assert "the letter of the right option inside \\boxed{}" in content


def test_choice_without_listed_options_leaves_no_gap() -> None:
    shown = Problem("d", "Which? A) x B) y", "choice")
    assert user(ChoiceTask(), shown).startswith("Which? A) x B) y\n\nReason step by step.")


@pytest.mark.parametrize("problem", [SUM, SET, Problem("e", "", "text")])
def test_text_sends_the_problem_as_it_is(problem: Problem) -> None:
    assert user(TextTask(), problem) == problem.prompt


@pytest.mark.parametrize("template", ["{problem} {foo}", "{problem}\n{choices}", "({question}) {problem}"])
def test_a_placeholder_that_nothing_fills_is_refused(template: str) -> None:
    with pytest.raises(ValidationError, match=r"must hold no other placeholder than `\{problem\}`, got `\{\w+\}`"):
        MathTask(template=template)


@pytest.mark.parametrize(
    "formula", [r"\boxed{x}", "x^{n}", "x_{n}", r"\frac{a}{b}", r"\sqrt[n]{x}", '{"a": 1}', r"\{x\}"]
)
def test_braces_of_formulas_are_no_placeholders(formula: str) -> None:
    assert user(MathTask(template=f"{formula} {{problem}}"), SUM) == f"{formula} {SUM.prompt}"


def test_braces_and_placeholders_in_the_problem_mean_themselves() -> None:
    template = r"Q: {problem} Put { it } in \boxed{\frac{a}{b}}. {0} {} \1 \g<0>"
    for problem in (SUM, SET):
        assert user(MathTask(template=template), problem) == (
            rf"Q: {problem.prompt} Put {{ it }} in \boxed{{\frac{{a}}{{b}}}}. {{0}} {{}} \1 \g<0>"
        )


def test_a_system_message_goes_first_even_an_empty_one() -> None:
    assert MathTask(system="Be brief.").messages(SUM)[0] == Message("system", "Be brief.")
    assert [message.role for message in TextTask(system="").messages(SUM)] == ["system", "user"]


@pytest.mark.parametrize("task", [MathTask(system="s"), ChoiceTask(system="s"), TextTask(system="s")])
def test_a_problem_with_its_own_conversation_is_sent_untouched(task: Task) -> None:
    turns = (Message("user", "{problem}?"), Message("assistant", "yes"), Message("user", "sure?"))
    assert task.messages(Problem("f", "sure?", "math", messages=turns)) == turns


@pytest.mark.parametrize("template", ["", "none", "{problem} {problem}", "{ problem }", "{Problem}"])
def test_a_template_must_hold_the_problem_once(template: str) -> None:
    with pytest.raises(ValidationError, match=r"must contain `\{problem\}` exactly once, got it . times"):
        MathTask(template=template)


def test_a_choice_template_must_hold_the_options_too() -> None:
    with pytest.raises(ValidationError, match=r"must contain `\{choices\}` exactly once, got it 0 times"):
        ChoiceTask(template="{problem}")
    assert user(ChoiceTask(template="{choices}\n{problem}"), CAPITAL).startswith("A) Lyon\nB)")


HEAD = 'import math\n\n\ndef area(r):\n    """Area {of} {problem}."""\n'


def test_code_to_complete_goes_to_a_chat_model_in_a_block() -> None:
    content = user(CodeTask(), Problem("g", HEAD, "code", entry_point="area", starter_code=HEAD))
    assert content.startswith(f"Complete this function.\n\n```python\n{HEAD.strip()}\n```\n\nGive the whole program")
    assert "{requirements}" not in content


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (Problem("h", "Add.", "code"), "Add.\n\nRead the input from standard input and print"),
        (Problem("i", "Add.", "code", entry_point="add"), "Add.\n\nThe function must be called `add`.\n\nGive"),
        (Problem("j", "Write add.", "code", entry_point="add"), "Write add.\n\nGive the whole program"),
        (
            Problem("k", "Add.", "code", entry_point="S.add", starter_code="class S:\n    def add(self):\n        "),
            "Add.\n\nBegin with this code:\n\n```python\nclass S:\n    def add(self):\n```\n\nGive",
        ),
    ],
)
def test_a_chat_model_is_told_what_the_problem_does_not_say_itself(problem: Problem, says: str) -> None:
    assert user(CodeTask(), problem).startswith(says)


def test_a_model_that_continues_text_gets_the_beginning_of_a_file() -> None:
    task = CodeCompletionTask()
    assert user(task, Problem("l", HEAD, "code", entry_point="area", starter_code=HEAD)) == HEAD.rstrip()
    asked = Problem("m", 'Write """add""".\n', "code", starter_code="def add(a, b):\n    ")
    assert user(task, asked) == "\"\"\"\nWrite '''add'''.\n\"\"\"\ndef add(a, b):"


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_has_a_task_of_its_name_with_its_verifier(kind: Kind) -> None:
    task = registry.load("tasks", kind)()
    assert task.kind == kind  # type: ignore[attr-defined]
    assert isinstance(task.verifier, registry.load("verifiers", kind))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", registry.builtin("tasks"))
def test_every_task_is_of_a_kind_and_closes_its_verifier_unused(name: str) -> None:
    task = registry.load("tasks", name)()
    assert task.kind in get_args(Kind)  # type: ignore[attr-defined]
    task.verifier.close()  # type: ignore[attr-defined]
