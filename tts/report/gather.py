"""One run's candidates, read problem by problem: into rows of a pool, counts, texts to compare, and views."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from tts.components import registry
from tts.components.component import Component
from tts.metrics.pool import PoolRow, pool_row
from tts.pipeline.judge import is_known
from tts.pipeline.judges import Judges
from tts.protocols import Scorer
from tts.report.data import ArmView, CandidateView
from tts.runs.stored import Stored
from tts.types import Ballot, Candidate, Judged, Problem, ProblemRow, Score

READY_SCORERS = ("likelihood", "self_certainty", "novelty")
"""Scorers that read nothing but what engines note on a candidate: they cost nothing, so every report has them."""

FALLBACK_RULES = frozenset({"last_number", "last_line"})
"""The rules that take whatever stands last for the answer, where nothing says that it is one."""

Scores = Mapping[str, Sequence[Score]]
"""Scorer → one score a candidate."""


@dataclass(slots=True)
class Gathered:
    """What is known of one arm. `rows` and `graded` run in parallel, one a problem; `views` and `texts` by its id.

    `ballots` are those of the graded problems, empty where nothing needs them. `counts` has `candidates`, `truncated`,
    …, and the tokens. `reasons` counts why verdicts are undecided. `digest` is of all that was written.
    """

    rows: list[PoolRow] = field(default_factory=list)
    graded: list[bool] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    texts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    prompts: dict[str, str] = field(default_factory=dict)
    views: dict[str, ArmView] = field(default_factory=dict)
    ballots: list[Ballot] = field(default_factory=list)
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def graded_rows(self) -> Iterator[PoolRow]:
        """Yield the rows of the problems that have a reference."""
        return (row for row, graded in zip(self.rows, self.graded, strict=True) if graded)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which problems to gather, how many texts of each, whether to keep all for the page, and for a selector to run."""

    problem_ids: tuple[str, ...]
    num_texts: int
    views: bool
    ballots: bool


def gather(run: Stored, name: str, wanted: Wanted, advance: Callable[[], None]) -> Gathered:
    """Read a run's problems one after the other. What is not judged yet is judged; `advance` is called for each.

    Raises TTSError where a verifier that is needed cannot be opened.
    """
    gathered = Gathered()
    with Judges(run.recipe) as judges:
        scorers = _scorers()
        for problem_id in wanted.problem_ids:
            row, candidates = run.row(problem_id), run.candidates(problem_id)
            judged = judges.judged(run, row, candidates)
            scores = _scores(scorers, run, row.problem, candidates, judged)
            _add(gathered, row, candidates, judged, scores)
            gathered.texts[problem_id] = tuple(map(written, candidates[: wanted.num_texts]))
            gathered.prompts[problem_id] = row.problem.prompt
            gathered.digest.update(repr([problem_id, *map(written, candidates)]).encode(errors="surrogatepass"))
            if wanted.ballots and gathered.graded[-1]:
                gathered.ballots.append(Ballot(candidates, judged.answers, judged.classes, judged.scores))
            if wanted.views:
                gathered.views[problem_id] = _view(name, candidates, judged, scores)
            advance()
    _drop_silent_scorers(gathered)
    return gathered


def written(candidate: Candidate) -> str:
    """Return all that a candidate says, its thinking included."""
    return candidate.text if candidate.reasoning is None else f"{candidate.reasoning}\n\n{candidate.text}"


def _scorers() -> dict[str, Scorer]:
    return {name: cast("Scorer", registry.load("scorers", name)()) for name in READY_SCORERS}


def _scores(
    scorers: Mapping[str, Scorer], run: Stored, problem: Problem, candidates: Sequence[Candidate], judged: Judged
) -> dict[str, Sequence[Score]]:
    """Return the ready scorers' scores, and those of the recipe's own scorer, which are stored."""
    scores: dict[str, Sequence[Score]] = {name: scorer.score(problem, candidates) for name, scorer in scorers.items()}
    own = run.recipe.selector.scorer
    if own is not None:
        missing = [Score(None, "judging failed")] * len(candidates)
        scores[registry.name_of("scorers", cast("Component", own).__class__)] = judged.scores or missing
    return scores


def _add(gathered: Gathered, row: ProblemRow, candidates: Sequence[Candidate], judged: Judged, scores: Scores) -> None:
    gathered.rows.append(pool_row(candidates, judged, scores))
    graded = is_known(row.reference) and all(verdict.reason != "no_reference" for verdict in judged.verdicts)
    gathered.graded.append(graded)
    gathered.counts["graded"] += graded
    for candidate, answer, verdict in zip(candidates, judged.answers, judged.verdicts, strict=True):
        gathered.counts.update(_what_became_of(candidate))
        gathered.counts["no_answer"] += candidate.finish_reason == "stop" and answer is None
        gathered.counts["fallback"] += answer is not None and answer.rule in FALLBACK_RULES
        if graded and verdict.status == "undecided":
            gathered.counts["undecided"] += 1
            gathered.reasons[verdict.reason] += 1


def _what_became_of(candidate: Candidate) -> dict[str, int]:
    cancelled, truncated = candidate.finish_reason == "cancelled", candidate.finish_reason == "length"
    return {
        "candidates": 1,
        "truncated": truncated,
        "errors": candidate.finish_reason == "error",
        "unclosed_thinking": never_closes(candidate),
        "prompt_tokens": candidate.num_prompt_tokens,
        "completion_tokens": candidate.num_tokens,
        "cancelled_tokens": cancelled * candidate.num_tokens,
        "truncated_tokens": truncated * candidate.num_tokens,
    }


def never_closes(candidate: Candidate) -> bool:
    """Tell whether a candidate was still thinking when it ended: nothing follows its thinking section."""
    thinks = candidate.reasoning is not None and not candidate.text.strip()
    return thinks or candidate.text.rfind("<think>") > candidate.text.rfind("</think>")


def _drop_silent_scorers(gathered: Gathered) -> None:
    """Leave out the scorers that could tell nothing of any candidate."""
    names = gathered.rows[0].scores if gathered.rows else ()
    telling = [name for name in names if any(one is not None for row in gathered.rows for one in row.scores[name])]
    for place, row in enumerate(gathered.rows):
        kept = {name: row.scores[name] for name in telling}
        gathered.rows[place] = replace(row, scores=kept)


def _view(name: str, candidates: Sequence[Candidate], judged: Judged, scores: Scores) -> ArmView:
    return ArmView(
        arm=name,
        selected=judged.selection.index,
        status=judged.verdict.status,
        reason=judged.verdict.reason,
        candidates=tuple(
            _candidate_view(candidate, judged, place, scores) for place, candidate in enumerate(candidates)
        ),
    )


def _candidate_view(candidate: Candidate, judged: Judged, place: int, scores: Scores) -> CandidateView:
    answer, verdict = judged.answers[place], judged.verdicts[place]
    return CandidateView(
        index=candidate.index,
        text=candidate.text,
        reasoning=candidate.reasoning,
        finish_reason=candidate.finish_reason,
        num_tokens=candidate.num_tokens,
        sampler=candidate.sampler,
        answer=answer.text if answer else None,
        rule=answer.rule if answer else None,
        group=judged.classes[place],
        status=verdict.status,
        reason=verdict.reason,
        detail=verdict.detail or candidate.error or "",
        scores={scorer: values[place].value for scorer, values in scores.items() if values[place].value is not None},
    )
