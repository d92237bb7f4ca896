"""Tree of Thoughts as a prompt: any task, with one system message more."""

from __future__ import annotations

import pytest
from recipe_parts import COMPLETE, load, mistakes

from tts.recipe import changes_no_candidate, differences, rebuild_recipe
from tts.tasks import every_task
from tts.tasks.choice import ChoiceTask
from tts.tasks.code import CodeTask
from tts.tasks.math import MathTask
from tts.tasks.tree_of_thoughts_prompt import TreeOfThoughtsPrompt
from tts.types import Message, Problem

SUM = Problem("a", "What is 6*7?", "math")
CAPITAL = Problem("b", "Capital of France?", "choice", choices=("Lyon", "Paris"))
SORT = Problem("c", "Sort.", "code", entry_point="sort")


@pytest.mark.parametrize(
    ("task", "problem"),
    [(MathTask(), SUM), (ChoiceTask(), CAPITAL), (CodeTask(), SORT)],
    ids=["math", "choice", "code"],
)
def test_the_task_within_is_asked_as_ever_behind_a_system_message(task, problem) -> None:
    prompt = TreeOfThoughtsPrompt(task=task)
    assert prompt.messages(problem) == (Message("system", prompt.system), *task.messages(problem))
    assert (prompt.kind, prompt.verifier) == (task.kind, task.verifier)
    assert every_task(prompt)[task.kind] is prompt


def test_a_system_message_of_the_task_stays_and_there_is_one_in_all() -> None:
    first, *rest = TreeOfThoughtsPrompt(task=MathTask(system="Be brief."), system="Branch.").messages(SUM)
    assert first == Message("system", "Be brief.\n\nBranch.")
    assert [message.role for message in rest] == ["user"]


def test_a_problem_with_its_own_conversation_is_sent_untouched() -> None:
    turns = (Message("system", "You add."), Message("user", "1+1?"))
    assert TreeOfThoughtsPrompt().messages(Problem("d", "1+1?", "math", messages=turns)) == turns


def test_a_recipe_names_the_task_within_and_another_verifier_there_serves_the_same_candidates(tmp_path) -> None:
    text = COMPLETE.replace(
        '{name: text, verifier: "recipe_parts:Verbatim"}', "{name: tree_of_thoughts_prompt, task: {name: choice}}"
    )
    recipe = load(tmp_path, text)
    assert recipe.task.kind == "choice"
    other = rebuild_recipe(recipe.resolved(), ["task.task.verifier=text"])
    assert changes_no_candidate(differences(recipe.resolved(), other.resolved()), other)
    unlike = rebuild_recipe(recipe.resolved(), ["task.system=Branch."])
    assert not changes_no_candidate(differences(recipe.resolved(), unlike.resolved()), unlike)
    [line] = mistakes(tmp_path, text.replace("choice", "choise"))
    assert "`choise` is no task. Did you mean `choice`" in line
