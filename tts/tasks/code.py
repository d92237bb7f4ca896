"""Problems whose answer is a Python program."""

from __future__ import annotations

import re
from typing import ClassVar

from tts.tasks.prompt import AnyVerifier, Prompt, built_in_verifier
from tts.types import Kind, Problem


class CodeTask(Prompt):
    """Problems whose answer is a Python program, as a chat model is asked."""

    kind: ClassVar[Kind] = "code"
    placeholders: ClassVar[tuple[str, ...]] = ("{problem}", "{requirements}")

    template: str = "{problem}\n\n{requirements}\n\nGive the whole program, with its imports, in one ```python block."
    """The user's message. `{problem}` stands for the problem's text (in a block, where it is code) and `{requirements}`
    for what the program must look like: the code it begins with, the function's name, or where it reads and writes;
    other braces mean themselves."""

    verifier: AnyVerifier = built_in_verifier("code")
    """What finds the program in a text, runs it and judges what it does."""

    def _values(self, problem: Problem) -> dict[str, str]:
        is_code = problem.prompt == problem.starter_code
        text = f"Complete this function.\n\n{_block(problem.prompt)}" if is_code else problem.prompt
        return {"{problem}": text, "{requirements}": "" if is_code else _requirements(problem)}


class CodeCompletionTask(Prompt):
    """Problems whose answer is a Python program, as a model that only continues text is asked.

    A prompt that is code is sent as it is, for the model to go on with; any other becomes the docstring at the top of
    a file, with the starter code below. Such a model seldom stops by itself: give its sampler `stop` strings.
    """

    kind: ClassVar[Kind] = "code"

    verifier: AnyVerifier = built_in_verifier("code")
    """What finds the program in a text, runs it and judges what it does."""

    def _values(self, problem: Problem) -> dict[str, str]:
        if problem.prompt == problem.starter_code:
            return {"{problem}": problem.prompt.rstrip()}
        text = problem.prompt.strip().replace('"""', "'''")
        return {"{problem}": f'"""\n{text}\n"""\n{problem.starter_code.rstrip()}'}


def _requirements(problem: Problem) -> str:
    """Return what a program must look like, as far as the problem's own text does not say it; "" for nothing."""
    if problem.starter_code:
        return f"Begin with this code:\n\n{_block(problem.starter_code)}"
    if problem.entry_point:
        named = re.search(rf"\b{re.escape(problem.entry_point)}\b", problem.prompt)
        return "" if named else f"The function must be called `{problem.entry_point}`."
    return "Read the input from standard input and print the answer to standard output."


def _block(code: str) -> str:
    return f"```python\n{code.strip()}\n```"
