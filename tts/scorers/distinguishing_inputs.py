"""Inputs on which programs differ, and what most make of them: S* without a judge (Li et al. 2025, arXiv 2502.14382).

How it works. Programs that behave alike are a class (the verifier knows), which sends its likeliest program. For each
pair of the classes with most votes the model, which reads both programs, writes one input that tells them apart. All
the classes' programs are run on all inputs. An input decides where they do not all do the same with it and one outcome
has more votes behind it than any other; a class is with the majority there or not. So two classes that agree on an
input are heard together against a larger one, which no vote over whole programs does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from tts.components.slot import Slot
from tts.engines.local_model import Tag
from tts.errors import CallError
from tts.programs.extract import extract
from tts.programs.fences import blocks
from tts.programs.runner import WRITES_NOTHING, Case, Runner, built_in_runner, cases_of, found_in, to_find, to_try
from tts.protocols import Calls, Engine
from tts.runs.candidates import split_thinking
from tts.scorers.asking import Asks, check_prompt
from tts.scorers.entrants import Entrant, entrants_of
from tts.tasks.prompt import filled
from tts.types import Answer, Candidate, Decoding, Message, Piece, Problem, Score


class DistinguishingInputs(Asks):
    """Scores a program by the number of inputs, written to tell programs apart, on which it does what most do.

    For `best_of_n`; its class's share of the votes breaks ties. None where no input decides anything: then the plain
    vote chooses. Differs from the source: there a judge who sees code and outputs decides between two classes.
    """

    pointwise: ClassVar[bool] = False

    writer: Annotated[Engine, Slot("engines")] | None = None
    """The model that writes inputs; left out: the recipe's own."""

    runner: Runner = built_in_runner()
    """What runs the programs."""

    most_classes: int = Field(default=4, ge=2)
    """How many classes take part, those with most votes; each pair of them costs a question."""

    temperature: float = Field(default=0.6, ge=0)
    """That of the replies."""

    max_tokens: int = Field(default=1024, ge=1)
    """The most tokens of a reply, the model's own thinking included."""

    thinking_tags: Annotated[tuple[Tag, Tag], Field(strict=False)] = ("<think>", "</think>")
    """What opens and closes the writer's own thinking, which is not read."""

    prompt: str = (
        "{problem}\n\nHere are two programs for this.\n\nProgram A:\n```python\n{first}\n```\n\nProgram B:\n```python\n"
        "{second}\n```\n\nFind one valid input on which they give different results. Answer with {form} alone, in one "
        "block between ``` marks."
    )
    """The question. `{problem}` is what was sent to draw the programs, `{first}` and `{second}` are two of them,
    `{form}` says what an input is: a call of the function, or what the program reads."""

    @model_validator(mode="after")
    def _prompt_asks(self) -> Self:
        check_prompt(self.prompt, None, "problem", "first", "second")
        return self

    def most_calls(self, num_candidates: int) -> int:
        """Return a look at the answers, a question a pair, one that reads the inputs, and a call a class."""
        number = min(num_candidates, self.most_classes)
        return 2 + number * (number - 1) // 2 + number

    def most_tokens(self, num_candidates: int) -> int:
        """Return what the replies have written."""
        number = min(num_candidates, self.most_classes)
        return number * (number - 1) // 2 * self.max_tokens

    async def scores(self, problem: Problem, candidates: Sequence[Candidate], calls: Calls) -> list[Score]:
        """Return one score per candidate, order kept."""
        grouping = await calls.classes([(Piece(one.text),) for one in candidates])
        everyone = entrants_of(candidates, grouping.nodes, grouping.links)
        found = [Score(None, "it holds no program")] * len(candidates)
        classes = [(one, program.text) for one in everyone[: self.most_classes] if (program := _program(problem, one))]
        if len(everyone) < 2 or len(classes) < 2:
            for place in (place for one in everyone for place in one.members):
                found[place] = Score(1.0, "no other program differs from it")
            return found
        inputs = await self._inputs(problem, [text for _, text in classes], calls)
        pairs = len(classes) * (len(classes) - 1) // 2
        seen = await self._tried(problem, classes, inputs, calls) if inputs else []
        won = majorities([one.votes for one, _ in classes], seen)
        figures = {"pairs": float(pairs), "inputs": float(len(inputs)), "decisive": float(len(won))}
        if not won:
            why = "no input tells the programs apart" if inputs else "the model wrote no input that can be read"
            return [Score(None, why, {} if place else figures) for place in range(len(candidates))]
        total = sum(one.votes for one in everyone)
        for one in everyone:
            for place in one.members:
                found[place] = Score(0.0, f"not among the {self.most_classes} classes with most votes")
        for number, (one, _) in enumerate(classes):
            times = sum(number in majority for majority in won)
            for place in one.members:
                found[place] = Score(times + one.votes / total, f"with most on {times} of {len(won)} inputs")
        return [Score(one.value, one.detail, {} if place else figures) for place, one in enumerate(found)]

    async def _inputs(self, problem: Problem, programs: Sequence[str], calls: Calls) -> list[str]:
        """Return the inputs that the model writes, each once; one for each pair at most."""
        name, _, method = problem.entry_point.partition(".")
        call = f"one call of the form {name}{f'().{method}' if method else ''}(...)"
        asked = []
        for first, second in combinations(programs, 2):
            text = filled(
                self.prompt,
                problem="\n\n".join(message.content for message in calls.messages),
                first=first.strip(),
                second=second.strip(),
                form=call if name else "what the program reads from its standard input",
            )
            decoding = Decoding(self.max_tokens, temperature=self.temperature)
            asked.append(calls.generate(decoding, messages=(Message("user", text),), engine=self.writer))
        texts = []
        for pending in asked:
            try:
                reply = await pending
            except CallError:
                continue
            is_split = reply.reasoning is not None
            text = reply.text if is_split else split_thinking(reply.text, self.thinking_tags, opened=reply.opened)[1]
            texts.append(text)
        if not name:
            whole = [[*blocks(text)] for text in texts]
            return list(dict.fromkeys(f"{one[-1].code.strip()}\n" for one in whole if one and one[-1].code.strip()))
        if not texts:
            return []
        messages = to_find(problem.entry_point, texts, 1, calls=True)
        try:
            found = found_in(await calls.generate(WRITES_NOTHING, messages=messages, engine=self.runner))
        except CallError:
            return []
        return list(dict.fromkeys(one for each in found for one in each))

    async def _tried(
        self, problem: Problem, classes: Sequence[tuple[Entrant, str]], inputs: Sequence[str], calls: Calls
    ) -> list[list[Case]]:
        """Return what each class's program does with each input; nothing where the sandbox could not tell."""
        running = [
            calls.at(one.candidate.index).generate(
                WRITES_NOTHING, messages=to_try(program, problem.entry_point, inputs), engine=self.runner
            )
            for one, program in classes
        ]
        seen = []
        for pending in running:
            try:
                seen.append(cases_of(await pending))
            except CallError:
                seen.append([Case("harness_error")] * len(inputs))
        return seen


def majorities(votes: Sequence[int], seen: Sequence[Sequence[Case]]) -> list[frozenset[int]]:
    """Return for each input that decides the classes that do what most do; `seen[i]` is what class i does with each.

    Only what comes to a result is heard: an input that most programs fail on may be no valid one, and decides nothing.
    """
    found = []
    for cases in zip(*seen, strict=True):
        came = [case.text if case.outcome == "ok" else None for case in cases]
        heard = Counter[str | None]()
        for number, result in zip(votes, came, strict=True):
            heard[result] += number
        (first, most), *others = heard.most_common(2)
        if first is not None and others and most > others[0][1]:
            found.append(frozenset(place for place, result in enumerate(came) if result == first))
    return found


def _program(problem: Problem, one: Entrant) -> Answer | None:
    return extract(one.candidate.text, problem.entry_point, problem.starter_code)
