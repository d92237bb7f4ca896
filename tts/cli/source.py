"""Which problems a command works on: its argument, what is piped in, the run folder's, or the recipe's own."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from tts.cli import stdin
from tts.cli.streams import tell
from tts.errors import ProblemsError, UsageError
from tts.problems import ProblemSource, open_problems
from tts.problems.jsonl import Row
from tts.problems.question import is_question
from tts.problems.rows import understand
from tts.problems.sources import Specs, known_names
from tts.problems.taking import Taking
from tts.types import InputRow

if TYPE_CHECKING:
    from tts.recipe import Recipe
    from tts.runs.job import StoredJob

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Source:
    """Rows to work on, the specification they came from, and which of its rows they are.

    `rows` None: those that the run folder holds.
    """

    spec: Specs
    rows: Iterable[InputRow] | None
    taking: Taking
    opened: ProblemSource | None = None

    def close(self) -> None:
        """Close what was opened; what was read to its end is closed already."""
        if self.opened is not None:
            self.opened.close()


def specs(arguments: Sequence[str] | None) -> Specs | None:
    """Return what PROBLEMS of the command line name; None where there are none."""
    return None if not arguments else arguments[0] if len(arguments) == 1 else tuple(arguments)


def choose(
    arguments: Sequence[str], recipe: Recipe, stored: StoredJob | None, taking: Taking, stop: threading.Event
) -> Source:
    """Return the source. Arguments go before what is piped in, that before the run folder's, then the recipe's.

    A pipe or a file on standard input is what is piped in, however long it stays silent and even if it is empty. Waits
    for the first row. One argument may be a question in words. Raises ProblemsError where there is none, or where it
    cannot be opened, and UsageError where other rows are to be taken than those that the run began with.
    """
    own = stored.problems_for(recipe) if stored else recipe.problems
    spec = specs(arguments)
    if spec is None and stdin.is_piped():
        spec = STDIN
    if stored is not None:
        asked_anew = [
            option
            for option, is_another in (
                ("--id", bool(taking.ids) and taking.ids != stored.ids),
                ("--shuffle", taking.shuffle and not stored.shuffle),
                ("--shard", taking.shard not in {None, stored.shard}),
            )
            if is_another
        ]
        if asked_anew and stored.begun:
            raise UsageError(f"`{asked_anew[0]}` must be left out: which problems a run has was decided when it began")
        if not asked_anew:
            taking = replace(taking, ids=stored.ids, shuffle=stored.shuffle, shard=stored.shard)
        if spec is None:
            anew = bool(asked_anew) or taking.limit is not None or stored.reads_anew(recipe)
            if not anew and (stored.input_complete or stored.problems == STDIN):
                if not stored.input_complete:
                    tell(
                        "the run was interrupted while it read standard input; going on with the rows it had read "
                        "(pipe the same problems in again to add the rest)"
                    )
                return Source(stored.problems, None, taking)
            taking = replace(taking, limit=taking.limit or stored.limit)
    named = spec or own
    kind = recipe.task.kind
    if isinstance(named, str) and is_question(named, known_names()):
        question = understand([Row(1, "question", {"problem": named})], kind)
        return Source(named, taking.of(question, recipe.seed), taking)
    opened = open_problems(named, default_kind=kind, seed=recipe.seed, stdin=stdin.open_stdin(stop))
    rows = iter(opened)
    first = next(rows, None)
    if first is None and not stop.is_set():
        raise ProblemsError(
            f'{opened.label} holds no problems: give at least one row, as in {{"problem": "What is 6*7?"}}'
        )
    whole: Iterable[InputRow] = chain(() if first is None else (first,), rows)
    return Source(named or STDIN, taking.of(whole, recipe.seed), taking, opened)
