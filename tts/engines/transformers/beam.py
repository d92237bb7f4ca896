"""Hosts beam search: gathers the beams of a problem, and lets rows go on from each other's keys and values.

How it works. Every request of a problem is one row, and one beam while the search lasts. A problem's rows are admitted
when they come, and stay as they are until all of its `group_size` are in place; only one problem at a time gathers, so
none waits for places that another holds half. Then, in each step, a group's rows become the beams that
`tts.plugins.beam.search` chose: each takes over the tokens, and by `Projection.settled` the keys and values, of the row
that its beam was in. A group's first rows are its beams, in the order of their sums; where there are fewer beams than
rows, the others repeat the first and are not looked at. At its end each row gets one finished text, the best first.

A row that is cancelled leaves its group, which goes on with a beam less. Where nothing else is decoded and a problem's
other rows do not come (a cap on tokens may hold them back), those that gather are given up after `patience_seconds`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch

from tts.engines.confidence import confidences_for
from tts.engines.transformers.guide import Projection, Rows
from tts.engines.transformers.row import NOT_FINITE, Ending, Row
from tts.plugins.beam.search import Expansion, Finished, expansions
from tts.plugins.beam.settings import BeamSettings, DiverseBeamSettings
from tts.types import PluginReport


@dataclass(eq=False, slots=True)
class BeamGroup:
    """Beams that compete: their rows, the sums of those that are beams now, and the finished texts."""

    rows: list[Row]
    finished: Finished[Row]
    totals: list[float] = field(default_factory=lambda: [0.0])


@dataclass(eq=False, slots=True)
class Party:
    """A problem's rows: `size` are expected, `rows` came, those in `placed` (by id) are in place.

    Its search has begun once it has `groups`.
    """

    size: int
    rows: list[Row] = field(default_factory=list)
    placed: set[int] = field(default_factory=set)
    groups: list[BeamGroup] = field(default_factory=list)

    @property
    def gathers(self) -> bool:
        """Whether some rows are in place, and hold their places for the others."""
        return bool(self.placed) and not self.groups


class BeamGuide:
    """Decodes the rows whose requests bring `guidance` as the beams of their group.

    `rows_for` tells how many rows of so many tokens are decoded together.
    """

    def __init__(
        self,
        settings: BeamSettings,
        ending: Ending,
        rows_for: Callable[[int], int],
        *,
        patience_seconds: float = 30.0,
    ) -> None:
        self._settings, self._ending, self._rows_for = settings, ending, rows_for
        self._num_groups, self._diversity = 1, 0.0
        if isinstance(settings, DiverseBeamSettings):
            self._num_groups, self._diversity = settings.num_groups, settings.diversity_penalty
        self._patience, self._changed = patience_seconds, time.monotonic()
        self._parties: dict[str, Party] = {}
        self._party_of: dict[int, Party] = {}  # by the row's id
        self._num_computed = self._num_kept = self._num_texts = 0

    def add(self, row: Row) -> None:
        """Let a row belong to the party of its group; one whose group can never be decoded together is refused."""
        guidance = row.request.guidance
        if guidance is None or row.finish_reason:
            return
        most = self._rows_for(row.num_tokens_needed)
        if most < guidance.group_size:
            row.finish(
                "error",
                f"beam search decodes the {guidance.group_size} candidates of a problem together, of "
                f"{row.num_tokens_needed} tokens each, but `batch_size` and `kv_cache_mb` hold {most}; raise these, or "
                "lower `max_tokens` or `num_candidates`",
            )
            return
        party = self._parties.setdefault(guidance.group, Party(guidance.group_size))
        party.rows.append(row)
        self._party_of[id(row)] = party
        self._changed = time.monotonic()

    def may_start(self, row: Row) -> bool:
        """Tell whether no other party is gathering."""
        party = self._party_of.get(id(row))
        return party is None or party.gathers or not any(other.gathers for other in self._parties.values())

    def start(self, row: Row) -> None:
        """Count a row in; the last one begins the search."""
        party = self._party_of.get(id(row))
        if party is not None and not party.groups:
            party.placed.add(id(row))
            self._begin_if_whole(party)

    def end(self, row: Row) -> None:
        """Let go of a row; one that was cancelled takes its beam along."""
        party = self._party_of.pop(id(row), None)
        if party is None:
            return
        self._changed = time.monotonic()
        party.rows = [other for other in party.rows if other is not row]
        party.placed.discard(id(row))
        party.size -= 1
        for group in party.groups:
            place = next((place for place, other in enumerate(group.rows) if other is row), None)
            if place is not None:
                del group.rows[place], group.totals[place : place + 1]
                group.finished.width = len(group.rows)
        if party.size == 0 and row.request.guidance is not None:
            del self._parties[row.request.guidance.group]
        elif party.gathers:
            self._begin_if_whole(party)

    def project(self, rows: Rows, decode: Callable[[], torch.Tensor]) -> Projection:
        """Run the model, and let each group go on to its next beams."""
        logits = decode()
        place_of = {id(row): place for place, row in enumerate(rows) if row is not None}
        settled = {place: place for key, place in place_of.items() if key in self._party_of}  # they stay, unless …
        confidences = confidences_for(logits, [None if row is None else row.floor for row in rows])
        for party in self._parties.values():
            taken: list[int] = []
            for group in party.groups:
                if group.rows:
                    places = [place_of[id(row)] for row in group.rows]
                    told = [] if confidences is None else [confidences[places].tolist()]
                    sources, tokens = self._advance(group, logits[places], told, taken)
                    settled |= dict(zip(places, (places[source] for source in sources), strict=True))
                    taken += tokens
        self._give_up_waiting(place_of.keys())
        return Projection(logits, settled=settled)

    def report(self) -> PluginReport:
        """Return how many tokens were computed for beams, and how many stand in the texts that were handed in."""
        figures = {"tokens_computed": self._num_computed, "tokens_kept": self._num_kept, "texts": self._num_texts}
        return PluginReport("beam", {name: float(number) for name, number in figures.items()})

    def release(self) -> None:
        """Nothing to let go of."""

    def _advance(
        self, group: BeamGroup, logits: torch.Tensor, confidences: Sequence[list[float]], taken: Sequence[int]
    ) -> tuple[list[int], list[int]]:
        """Let a group's rows take their next token: return from which of them each goes on, and the tokens taken."""
        width, num_beams = len(group.rows), len(group.totals)
        if not num_beams:  # they were cancelled
            self._hand_in(group)
            return list(range(width)), []
        logprobs = logits.log_softmax(-1)
        if logprobs.isnan().any():
            for row in group.rows:
                row.finish("error", NOT_FINITE)
            group.rows = []
            return list(range(width)), []
        certainties = (-logprobs.mean(-1)).tolist()
        penalty = None
        if taken and self._diversity:
            penalty = self._diversity * torch.bincount(torch.tensor(taken), minlength=logits.shape[1])
            penalty = penalty.to(logits.device)
        number = width * (1 + max(1, len(self._ending.end_ids)))
        uniform = torch.tensor(float(logits.shape[1])).log().item()
        alive: list[tuple[Row, Expansion]] = []
        tokens = []
        for rank, one in enumerate(expansions(logprobs[:num_beams], group.totals, number, penalty)):
            if len(alive) == width:
                break
            told = [column[one.beam] for column in confidences]
            longer = continued(group.rows[one.beam], one.token, one.logprob, certainties[one.beam] - uniform, told)
            self._ending.apply(longer)
            if longer.finish_reason is None:
                alive.append((longer, one))
                tokens.append(one.token)
            elif rank < width:
                group.finished.add(longer, one.total, len(longer.token_ids))
                tokens.append(one.token)
        self._num_computed += width
        group.totals = [one.total for _, one in alive]
        if not alive or group.finished.is_final(max(group.totals), len(alive[0][0].token_ids)):
            self._hand_in(group)
            return list(range(width)), tokens
        alive += [alive[0]] * (width - len(alive))
        for row, (longer, _) in zip(group.rows, alive, strict=True):
            become(row, longer)
        return [one.beam for _, one in alive], tokens

    def _hand_in(self, group: BeamGroup) -> None:
        """Give each row of a group that is over one of the finished texts."""
        found = group.finished.texts
        for place, row in enumerate(group.rows):
            if place < len(found):
                score, text = found[place]
                become(row, text)
                row.finish(text.finish_reason or "stop", text.error)
                row.statistics = {"beam_score": score}
                self._num_kept += len(row.token_ids)
                self._num_texts += 1
            else:
                row.finish("error", f"beam search found {len(found)} texts, got {len(group.rows)} candidates to fill")
        group.rows = []

    def _begin_if_whole(self, party: Party) -> None:
        """Begin the search of a party whose rows are all in place."""
        if len(party.placed) < party.size:
            return
        rows, start = party.rows, 0
        for number in range(self._num_groups):
            width = party.size // self._num_groups + (number < party.size % self._num_groups)
            if width:
                finished = Finished[Row](width, self._settings.length_penalty)
                party.groups.append(BeamGroup(rows[start : start + width], finished))
            start += width

    def _give_up_waiting(self, in_place: Iterable[int]) -> None:
        """Give up a party that gathers where nothing else is decoded and nobody came for long."""
        party = next((party for party in self._parties.values() if party.gathers), None)
        if party is None or len(party.rows) == party.size or not party.placed.issuperset(in_place):
            return
        if time.monotonic() - self._changed > self._patience:
            for row in party.rows:
                row.finish(
                    "error",
                    f"beam search decodes the {party.size} candidates of a problem together, but only "
                    f"{len(party.rows)} came; a cap on tokens must allow all of them at once",
                )


def continued(row: Row, token: int, logprob: float, certainty: float, confidence: Sequence[float]) -> Row:
    """Return a row like this one with one token more."""
    longer = replace(
        row, token_ids=[*row.token_ids], logprobs=[*row.logprobs], confidences=[*row.confidences], statistics={}
    )
    longer.append(token, logprob, certainty, *confidence)
    return longer


def become(row: Row, other: Row) -> None:
    """Let `row` have written what `other` has; it stays the row of its own request."""
    row.token_ids, row.logprobs, row.confidences = [*other.token_ids], [*other.logprobs], [*other.confidences]
    row.total_certainty, row.recent_confidence = other.total_certainty, other.recent_confidence
    row.stopped_by_string = other.stopped_by_string
