"""Which problems a command works on: its argument, what is piped in, the run folder's, or the recipe's own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tts.cli import stdin
from tts.problems import open_problems
from tts.types import ProblemRow, RowError

if TYPE_CHECKING:
    from tts.recipe import Recipe
    from tts.runs.job import StoredJob

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Source:
    """Rows to work on and the specification they came from; `rows` None: those that the run folder holds."""

    spec: str
    rows: Iterable[ProblemRow | RowError] | None


def choose(
    argument: str | None, recipe: Recipe, stored: StoredJob | None, limit: int | None, stop: threading.Event
) -> Source:
    """Return the source. The argument goes before what is piped in, that before the run folder's, then the recipe's.

    Raises ProblemsError where there is none, or where it cannot be opened.
    """
    stream = stdin.open_stdin(stop)
    own = stored.problems_for(recipe) if stored else recipe.problems
    spec = argument
    if spec is None and stdin.is_piped() and (own is None or stdin.has_data(stream)):
        spec = STDIN
    if spec is None and stored is not None:
        if limit is None and not stored.reads_anew(recipe) and (stored.input_complete or stored.problems == STDIN):
            if not stored.input_complete:
                print(
                    "tts: the run was interrupted while it read standard input; going on with the rows it had read "
                    "(pipe the same problems in again to add the rest)",
                    file=sys.stderr,
                )
            return Source(stored.problems, None)
        limit = limit or stored.limit
    rows = open_problems(spec or own, default_kind=recipe.task.kind, seed=recipe.seed, stdin=stream)
    return Source(spec or own or STDIN, _first(rows, limit))


def _first(rows: Iterable[ProblemRow | RowError], limit: int | None) -> Iterator[ProblemRow | RowError]:
    """Yield rows until `limit` problems have passed; bad rows on the way do not count."""
    num_problems = 0
    for row in rows:
        yield row
        num_problems += isinstance(row, ProblemRow)
        if num_problems == limit:
            return
