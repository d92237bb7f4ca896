"""Which rows of an input are taken: some by id, in another order, the first so many, every N-th of them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

from tts.errors import ProblemsError, nearest, shown
from tts.types import InputRow, ProblemRow, RowError


@dataclass(frozen=True, slots=True)
class Taking:
    """The rows with one of the `ids` (none: all rows), shuffled if asked, and of these at most `limit` problems.

    Bad rows on the way are passed on and do not count, but for those that `ids` does not name. Of all this, `shard`
    (I, N) takes the rows I, I + N, …, bad ones among them: N shards of one input are that input, whatever its rows.
    """

    limit: int | None = None
    shuffle: bool = False
    ids: tuple[str, ...] = ()
    shard: tuple[int, int] | None = None

    def of(self, rows: Iterable[InputRow], seed: int) -> Iterable[InputRow]:
        """Return what is taken: lazily, but with `ids` or `shuffle` once the input has been read.

        Raises ProblemsError where an id is in no row.
        """
        if self.ids:
            rows = self._named(rows)
        if self.shuffle:
            rows = self._shuffled(rows, seed)
        taken = self._first(rows)
        return taken if self.shard is None else islice(taken, self.shard[0], None, self.shard[1])

    def _named(self, rows: Iterable[InputRow]) -> list[InputRow]:
        """Return the rows with the ids; reading ends with the last of them."""
        found: dict[str, InputRow] = {}
        seen: list[str] = []
        num_nameless = 0
        for row in rows:
            name = row.problem_id if isinstance(row, RowError) else row.problem.id
            if name is None:
                num_nameless += 1
            elif name in self.ids:
                found.setdefault(name, row)
                if len(found) == len(set(self.ids)):
                    return list(found.values())
            else:
                seen.append(name)
        missing = next(name for name in self.ids if name not in found)
        unread = f" (rows that could not be read: {num_nameless})" if num_nameless else ""
        raise ProblemsError(f"`--id` must be in the problems, got {shown(missing)}{unread}.{nearest(missing, seen)}")

    def _shuffled(self, rows: Iterable[InputRow], seed: int) -> list[InputRow]:
        """Return bad rows, then the problems in an order that depends on seed and ids alone; no more than are taken."""
        bad: list[InputRow] = []

        def problems() -> Iterator[ProblemRow]:
            for row in rows:
                if isinstance(row, ProblemRow):
                    yield row
                else:
                    bad.append(row)

        def place(row: ProblemRow) -> bytes:
            return sha256(f"{seed}/{row.problem.id}".encode("utf-8", "surrogatepass")).digest()

        taken = sorted(problems(), key=place) if self.limit is None else heapq.nsmallest(self.limit, problems(), place)
        return [*bad, *taken]

    def _first(self, rows: Iterable[InputRow]) -> Iterator[InputRow]:
        num_problems = 0
        for row in rows:
            yield row
            num_problems += isinstance(row, ProblemRow)
            if num_problems == self.limit:
                return
