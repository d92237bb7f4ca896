"""What scorers of programs share that have a model write tests or inputs, and run the programs with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from tts.components.slot import Slot
from tts.engines.local_model import Tag
from tts.errors import CallError
from tts.programs.completion import with_preamble
from tts.programs.extract import extract
from tts.programs.runner import Runner, built_in_runner
from tts.protocols import Calls, Engine
from tts.runs.candidates import split_thinking
from tts.scorers.asking import Asks
from tts.tasks.prompt import filled
from tts.types import Candidate, Decoding, Message, Problem

LABEL = re.compile(r"\b(input|output)\b", re.IGNORECASE)


class WritesTests(Asks):
    """A scorer that has a model write what programs are run with, and runs them."""

    pointwise: ClassVar[bool] = False

    writer: Annotated[Engine, Slot("engines")] | None = None
    """The model that writes; left out: the recipe's own."""

    runner: Runner = built_in_runner()
    """What runs the programs."""

    temperature: float = Field(default=0.8, ge=0)
    """That of the replies."""

    max_tokens: int = Field(default=512, ge=1)
    """The most tokens of a reply, the model's own thinking included."""

    thinking_tags: Annotated[tuple[Tag, Tag], Field(strict=False)] = ("<think>", "</think>")
    """What opens and closes the writer's own thinking, which is not read."""

    prompt: str
    """The question."""

    async def written(self, calls: Calls, questions: Sequence[str]) -> list[str]:
        """Return what the model writes on each question, without its thinking; what does not come is left out."""
        decoding = Decoding(self.max_tokens, temperature=self.temperature)
        asked = [
            calls.generate(decoding, messages=(Message("user", question),), engine=self.writer)
            for question in questions
        ]
        texts = []
        for pending in asked:
            try:
                reply = await pending
            except CallError:
                continue
            is_split = reply.reasoning is not None
            text = reply.text if is_split else split_thinking(reply.text, self.thinking_tags, opened=reply.opened)[1]
            texts.append(text)
        return texts


def question(prompt: str, calls: Calls, **words: str) -> str:
    """Return a prompt with its words filled in; `{problem}` is what was sent to draw the programs."""
    return filled(prompt, problem="\n\n".join(message.content for message in calls.messages), **words)


def call_of(entry_point: str) -> str:
    """Return how a function is called, or a method `Class.method`."""
    name, _, method = entry_point.partition(".")
    return f"{name}().{method}(...)" if method else f"{name}(...)"


def program_of(problem: Problem, candidate: Candidate) -> str | None:
    """Return a candidate's whole program, None where it holds none."""
    answer = extract(candidate.text, problem.entry_point, problem.starter_code)
    if answer is None:
        return None
    shown = problem.public_tests
    prelude = shown.get("prelude", "") if isinstance(shown, dict) else ""
    return with_preamble(str(prelude), answer.text)


def pairs_in(text: str, most: int) -> list[tuple[str, str]]:
    """Return the first `most` inputs and outputs of a text: a block called «input» and the next one, called «output».

    What a block is called is the last such word before it, or behind its opening marks. One that is not closed, or has
    another block in between, is none.
    """
    found, label = list[tuple[str, str]](), ""
    read: str | None = None
    block: list[str] | None = None
    for line in text.replace("\r\n", "\n").split("\n"):
        marks = line.lstrip().startswith("```")
        if block is not None and not marks:
            block.append(line)
        elif block is not None:
            content = "".join(f"{one}\n" for one in block)
            if label == "output" and read is not None:
                found.append((read, content))
            read = content if label == "input" else None
            block, label = None, ""
        else:
            label = [label, *LABEL.findall(line)][-1].lower()
            block = [] if marks else None
    return found[:most]
