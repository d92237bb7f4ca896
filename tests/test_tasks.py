"""Tasks put the right words around a problem, and only around it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tts import registry
from tts.protocols import Task
from tts.tasks import ChoiceTask, MathTask, TextTask
from tts.types import Message, Problem

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


def test_braces_and_placeholders_in_the_problem_mean_themselves() -> None:
    template = r"Q: {problem} Put {it} in \boxed{\frac{a}{b}}. {0} {} \1 \g<0>"
    for problem in (SUM, SET):
        assert user(MathTask(template=template), problem) == (
            rf"Q: {problem.prompt} Put {{it}} in \boxed{{\frac{{a}}{{b}}}}. {{0}} {{}} \1 \g<0>"
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


@pytest.mark.parametrize("name", registry.builtin("tasks"))
def test_a_task_brings_the_verifier_of_its_kind(name: str) -> None:
    task = registry.load("tasks", name)()
    assert task.kind == name  # type: ignore[attr-defined]
    assert isinstance(task.verifier, registry.load("verifiers", name))  # type: ignore[attr-defined]
