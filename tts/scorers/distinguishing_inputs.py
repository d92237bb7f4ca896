"""Inputs on which programs differ, and what most make of them: S* (Li et al. 2025, arXiv 2502.14382).

How it works. Programs that behave alike are a class (the verifier knows), which sends its likeliest program. For each
pair of the classes with most votes the model, which reads both programs, writes one input that tells them apart. All
the classes' programs are run on all inputs. An input decides where they do not all do the same with it and one outcome
has more votes behind it than any other; a class is with the majority there or not. So two classes that agree on an
input are heard together against a larger one, which no vote over whole programs does.

With a `judge`, as in the source, the classes meet in a tournament instead: the judge reads two programs, and what each
does with the inputs on which not all do the same. Where there are none it is not asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Annotated, Self, cast

from pydantic import Field, model_validator

from tts.components.slot import Slot
from tts.errors import CallError
from tts.programs.extract import extract
from tts.programs.fences import blocks
from tts.programs.runner import WRITES_NOTHING, Case, cases_of, found_in, to_find, to_try
from tts.protocols import AskingScorer, Calls
from tts.scorers.asking import check_prompt
from tts.scorers.entrants import Entrant, entrants_of
from tts.scorers.pairwise import Pairwise, told_of
from tts.scorers.written_tests import WritesTests, call_of, program_of, question
from tts.types import Candidate, Piece, Problem, Score


@dataclass(frozen=True, slots=True)
class Tried:
    """What the classes' programs do with the inputs: `seen[i][j]` is what class i does with input j."""

    classes: Sequence[Entrant]
    inputs: Sequence[str]
    seen: Sequence[Sequence[Case]]


class DistinguishingInputs(WritesTests):
    """Scores a program by the number of inputs, written to tell programs apart, on which it does what most do.

    For `best_of_n`; its class's share of the votes breaks ties. None where no input decides anything: then the plain
    vote chooses. With a `judge` the score is the place of its class in the judge's tournament, None where that decides
    nothing. Differs from the source: no judge is asked unless the recipe names one, and then in both orders.
    """

    judge: Annotated[AskingScorer, Slot("scorers")] | None = None
    """A `pairwise` that compares the programs by what they do with the inputs; its own keys say who is asked, and how.
    null: what most do counts."""

    most_classes: int = Field(default=4, ge=2)
    """How many classes take part, those with most votes; each pair of them costs a question."""

    temperature: float = Field(default=0.6, ge=0)
    """That of the replies."""

    max_tokens: int = Field(default=1024, ge=1)
    """The most tokens of a reply, the model's own thinking included."""

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
        if not isinstance(self.judge, Pairwise | None):
            raise ValueError("`judge` must be a scorer `pairwise`, since programs are compared two at a time")
        return self

    @property
    def requires(self) -> frozenset[str]:  # type: ignore[override]  # of others it is known without their keys
        """What the recipe's own engine must be able to do, where it is the judge."""
        return frozenset() if self.judge is None else self.judge.requires

    def most_calls(self, num_candidates: int) -> int:
        """Return a look at the answers, a question a pair, one that reads the inputs, a call a class; the judge's."""
        number = min(num_candidates, self.most_classes)
        judged = 0 if self.judge is None else self.judge.most_calls(number)
        return 2 + number * (number - 1) // 2 + number + judged

    def most_tokens(self, num_candidates: int) -> int:
        """Return what the replies have written, the judge's included."""
        number = min(num_candidates, self.most_classes)
        judged = 0 if self.judge is None else self.judge.most_tokens(number)
        return number * (number - 1) // 2 * self.max_tokens + judged

    async def scores(self, problem: Problem, candidates: Sequence[Candidate], calls: Calls) -> list[Score]:
        """Return one score per candidate, order kept."""
        grouping = await calls.classes([(Piece(one.text),) for one in candidates])
        everyone = entrants_of(candidates, grouping.nodes, grouping.links)
        found = [Score(None, "it holds no program")] * len(candidates)
        classes = [one for one in everyone[: self.most_classes] if _code(problem, one)]
        if len(everyone) < 2 or len(classes) < 2:
            for place in (place for one in everyone for place in one.members):
                found[place] = Score(1.0, "no other program differs from it")
            return found
        inputs = await self._inputs(problem, classes, calls)
        figures = {"pairs": float(len(classes) * (len(classes) - 1) // 2), "inputs": float(len(inputs))}
        told: list[Score] | str = "the model wrote no input that can be read"
        if inputs:
            tried = await self._tried(problem, classes, inputs, calls)
            if self.judge is None:
                told = _by_votes(everyone, tried, figures)
            else:
                told = await self._by_judge(problem, tried, calls, figures)
        if isinstance(told, str):
            return [Score(None, told, {} if place else figures) for place in range(len(candidates))]
        for place in (place for one in everyone for place in one.members):
            found[place] = Score(0.0, f"not among the {self.most_classes} classes with most votes")
        for one, score in zip(classes, told, strict=True):
            for place in one.members:
                found[place] = score
        return [Score(one.value, one.detail, {} if place else figures) for place, one in enumerate(found)]

    async def _by_judge(
        self, problem: Problem, tried: Tried, calls: Calls, figures: dict[str, float]
    ) -> list[Score] | str:
        """Return a score a class, its place in the judge's tournament; why not, where that decides nothing."""
        telling = [
            place
            for place, cases in enumerate(zip(*tried.seen, strict=True))
            if len(set(cases)) > 1 and all(case.outcome != "harness_error" for case in cases)
        ]
        figures["decisive"] = float(len(telling))
        if not telling:
            return "no input tells the programs apart"
        shown = [
            replace(
                one, candidate=replace(one.candidate, text=_told(_code(problem, one), tried.inputs, cases, telling))
            )
            for one, cases in zip(tried.classes, tried.seen, strict=True)
        ]
        judge = cast("Pairwise", self.judge)
        table = judge.table(problem, calls)
        held = await judge.hold(shown, table, calls.rng)
        for name, number in table.figures().items():
            figures[name] = figures.get(name, 0.0) + number
        if held.places is None:
            return held.why
        return [Score(place, told_of(one)) for place, one in zip(held.places, shown, strict=True)]

    async def _inputs(self, problem: Problem, classes: Sequence[Entrant], calls: Calls) -> list[str]:
        """Return the inputs that the model writes, each once; one for each pair at most."""
        name = problem.entry_point
        form = f"one call of the form {call_of(name)}" if name else "what the program reads from its standard input"
        programs = [_code(problem, one) for one in classes]
        texts = await self.written(
            calls,
            [
                question(self.prompt, calls, first=first, second=second, form=form)
                for first, second in combinations(programs, 2)
            ],
        )
        if not name:
            whole = [[*blocks(text)] for text in texts]
            return list(dict.fromkeys(f"{one[-1].code.strip()}\n" for one in whole if one and one[-1].code.strip()))
        if not texts:
            return []
        try:
            found = found_in(
                await calls.generate(WRITES_NOTHING, messages=to_find(name, texts, 1, calls=True), engine=self.runner)
            )
        except CallError:
            return []
        return list(dict.fromkeys(one for each in found for one in each))

    async def _tried(self, problem: Problem, classes: Sequence[Entrant], inputs: Sequence[str], calls: Calls) -> Tried:
        """Run each class's program with each input; nothing is known of it where the sandbox could not tell."""
        running = [
            calls.at(one.candidate.index).generate(
                WRITES_NOTHING,
                messages=to_try(program_of(problem, one.candidate) or "", problem.entry_point, inputs),
                engine=self.runner,
            )
            for one in classes
        ]
        seen = []
        for pending in running:
            try:
                seen.append(cases_of(await pending))
            except CallError:
                seen.append([Case("harness_error")] * len(inputs))
        return Tried(classes, inputs, seen)


def _by_votes(everyone: Sequence[Entrant], tried: Tried, figures: dict[str, float]) -> list[Score] | str:
    """Return a score a class, by how often it is with the majority; why not, where no input decides."""
    won = majorities([one.votes for one in tried.classes], tried.seen)
    figures["decisive"] = float(len(won))
    if not won:
        return "no input tells the programs apart"
    total, scores = sum(one.votes for one in everyone), []
    for number, one in enumerate(tried.classes):
        times = sum(number in majority for majority in won)
        scores.append(Score(times + one.votes / total, f"with most on {times} of {len(won)} inputs"))
    return scores


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


def _code(problem: Problem, one: Entrant) -> str:
    """Return the program that stands for a class as it was written; empty: there is none."""
    answer = extract(one.candidate.text, problem.entry_point, problem.starter_code)
    return "" if answer is None else answer.text.strip()


def _told(code: str, inputs: Sequence[str], cases: Sequence[Case], telling: Sequence[int]) -> str:
    """Return what the judge reads of a class: its program, and what that does with the inputs."""
    does = [
        f"Input:\n{inputs[place].strip()}\n"
        + (f"Result:\n{cases[place].text}" if cases[place].outcome == "ok" else f"It fails: {cases[place].outcome}")
        for place in telling
    ]
    return "\n\n".join([f"```python\n{code}\n```", "What it does:", *does])
