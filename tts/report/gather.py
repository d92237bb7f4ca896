"""One run's candidates, read problem by problem: into rows of a pool, counts, texts to compare, and views."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from tts.components import registry
from tts.components.component import Component
from tts.errors import plural
from tts.metrics.pool import Pool, PoolRow, joined, picked, pool, pool_row
from tts.metrics.silence import Asked
from tts.pipeline.heard import Heard
from tts.pipeline.judge import FAILED, SELECTION_FAILED, is_graded, is_known
from tts.pipeline.judges import Evaluators
from tts.pipeline.rejudging import judged_again
from tts.protocols import AskingScorer, Scorer
from tts.report.data import ArmView, CandidateView, Spread
from tts.report.groups import Told, told
from tts.report.search import search_view
from tts.report.spread import Measure, SpreadSum
from tts.runs.ledger import added
from tts.runs.stored import Stored
from tts.scorers.given import GivenScore, chosen_key
from tts.types import Ballot, Candidate, Judged, ProblemRow, Score, Spent

READY_SCORERS = ("likelihood", "self_certainty", "confidence", "novelty", "step_rewards")
"""Scorers that read nothing but what engines note on a candidate: they cost nothing, so every report has them."""

FALLBACK_RULES = frozenset({"last_formula", "last_number", "last_line", "first_letter"})
"""The rules that take whatever stands last for the answer, where nothing says that it is one."""

ROWS_AT_ONCE = 1024
"""Problems whose rows are kept before they become arrays, which take a tenth of the memory."""

MOST_STEPS, FEWEST_STEPS, STEPS_IN_ALL = 100, 20, 200_000
"""How many steps of a search a report carries: of a problem, of one among very many, and about how many in all."""

Scores = Mapping[str, Sequence[Score]]
"""Scorer → one score a candidate."""


@dataclass(slots=True)
class Gathered:
    """What is known of one arm. `drawn` is the pool of all problems, `graded` that of those with verdicts.

    `views` goes by the problem's id; so do `clusters`, what problems share, and `told`, what rows say. `ballots` are
    those of the graded problems, empty where nothing needs them. `counts` has `candidates`, `truncated`, …, and the
    tokens; `engines` is the ledger, `paid` each problem's, `drawing` the same without what scorers asked. `reasons`
    counts why verdicts are undecided, `failures` say why problems could not be judged or selected from. `spread` is
    what the texts show and `digest` is of all that was written; the texts themselves are not kept. `notes` tell of
    scores. `heard` counts what judges said; in the problems `by_vote` the plain vote chose in their place. `asked` is
    the arm's scorer where that asks a model.
    """

    drawn: Pool = field(default_factory=lambda: pool([]))
    graded: Pool = field(default_factory=lambda: pool([]))
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    spread: Spread | None = None
    notes: list[str] = field(default_factory=list)
    views: dict[str, ArmView] = field(default_factory=dict)
    clusters: dict[str, str] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    ballots: list[Ballot] = field(default_factory=list)
    paid: dict[str, Mapping[str, Spent]] = field(default_factory=dict)
    drawing: dict[str, Mapping[str, Spent]] = field(default_factory=dict)
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    heard: Heard = field(default_factory=Heard)
    by_vote: set[str] = field(default_factory=set)
    asked: Asked | None = None

    @property
    def engines(self) -> dict[str, Spent]:
        """The ledger of all problems."""
        return added(self.paid.values())


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which problems to gather, what compares how many texts of each, what to keep for the page and a selector."""

    problem_ids: tuple[str, ...]
    measure: Measure
    num_texts: int
    views: bool
    ballots: bool


def gather(run: Stored, name: str, wanted: Wanted, advance: Callable[[], None]) -> Gathered:
    """Read a run's problems one after the other. What is not judged yet is judged; `advance` is called for each.

    Raises TTSError where a verifier that is needed cannot be opened.
    """
    gathered, spread = Gathered(), SpreadSum(wanted.measure)
    rows: list[PoolRow] = []
    pools: list[Pool] = []
    width = max((run.num_candidates(one) for one in wanted.problem_ids), default=0)
    graded: list[int] = []
    missing: Counter[str] = Counter()  # candidates without a score of each scorer
    scorers = {one: cast("Scorer", registry.load("scorers", one)()) for one in READY_SCORERS}
    scorers |= {_apart(one): GivenScore(key=one) for one in run.given_scores}
    own_name = name_of(run.recipe.selector.scorer, run.given_scores)  # its scores are stored with the run
    if isinstance(run.recipe.selector.scorer, AskingScorer):
        gathered.asked = Asked(own_name or "")
    with Evaluators(run.recipe) as evaluators:
        for number, problem_id in enumerate(wanted.problem_ids):
            row, candidates = run.row(problem_id), run.candidates(problem_id)
            judged = judged_again(evaluators, run, row, candidates)
            scores: dict[str, Sequence[Score]] = {
                one: made.score(row.problem, candidates) for one, made in scorers.items()
            }
            if own_name is not None:
                scores[own_name] = _own_scores(gathered, problem_id, candidates, judged)
            rows.append(pool_row(problem_id, candidates, judged, scores))
            missing.update({one: sum(score.value is None for score in found) for one, found in scores.items()})
            if len(rows) == ROWS_AT_ONCE:
                pools.append(pool(rows, width=width))
                rows.clear()
            if is_graded(judged.verdicts) if candidates else is_known(row.reference):
                graded.append(number)
            _count(gathered, candidates, judged, graded=number in graded[-1:])
            gathered.drawing[problem_id] = run.drawing_spent(problem_id, candidates)
            gathered.paid[problem_id] = run.spent(problem_id, candidates)
            if candidates:
                spread.add(tuple(map(written, candidates[: wanted.num_texts])), row.problem.prompt)
            _note(gathered, row)
            gathered.digest.update(repr([problem_id, *map(written, candidates)]).encode(errors="surrogatepass"))
            if wanted.ballots and number in graded[-1:]:
                gathered.ballots.append(Ballot(candidates, judged.answers, judged.nodes, judged.scores, judged.links))
            if wanted.views:
                gathered.views[problem_id] = _with_search(
                    _view(name, candidates, judged, scores), run, problem_id, candidates, len(wanted.problem_ids)
                )
            advance()
    gathered.spread = spread.spread()
    gathered.notes += [f"{name}: {note}" for note in gathered.heard.notes(len(wanted.problem_ids))]
    # Scorers that could tell nothing of any candidate are left out, and those that miss some are told.
    num_candidates = gathered.counts["candidates"]
    telling = [
        one for one, number in missing.items() if number < num_candidates or (one == own_name and gathered.by_vote)
    ]
    drawn = joined([*pools, pool(rows, width=width)] if rows or not pools else pools)
    gathered.drawn = replace(drawn, scores={one: drawn.scores[one] for one in telling})
    gathered.graded = picked(gathered.drawn, graded)
    for one, number in missing.items():
        if number and (one in telling or one == own_name):
            how = "they abstain where it chooses" if one in telling else "nothing can be chosen by it: it has no curve"
            if one == own_name and gathered.by_vote:
                how = "the plain vote chooses where these are more than half of those with an answer"
            gathered.notes.append(
                f"{name}: no score of {one} for {plural(number, 'candidate', of=num_candidates)}: {how}"
            )
    return gathered


def name_of(scorer: Scorer | AskingScorer | None, given_scores: Sequence[str]) -> str | None:
    """Return what to call a scorer among others: one of another tool by its figure."""
    if isinstance(scorer, GivenScore):
        return _apart(scorer.key or chosen_key(given_scores))
    return None if scorer is None else registry.name_of("scorers", cast("Component", scorer).__class__)


def _own_scores(
    gathered: Gathered, problem_id: str, candidates: Sequence[Candidate], judged: Judged
) -> Sequence[Score]:
    """Return the scores of the run's own scorer, and note where it failed or the plain vote chose."""
    gathered.heard.add(judged.selection, judged.scores)
    if judged.selection.fallback and any(score.value is None for score in judged.scores):
        gathered.by_vote.add(problem_id)
    if gathered.asked is not None and not judged.scores:
        gathered.asked.failed.add(problem_id)
    return judged.scores or [Score(None, "judging failed")] * len(candidates)


def _note(gathered: Gathered, row: ProblemRow) -> None:
    """Note what a row says of its problem, beside the question."""
    gathered.told[row.problem.id] = told(row.problem.metadata)
    if row.problem.cluster is not None:
        gathered.clusters[row.problem.id] = row.problem.cluster


def _apart(figure: str) -> str:
    """Return a figure's name, apart from those of our own scorers."""
    return f"given {figure}" if figure in registry.names("scorers") else figure


def written(candidate: Candidate) -> str:
    """Return all that a candidate says, its thinking included."""
    return candidate.text if candidate.reasoning is None else f"{candidate.reasoning}\n\n{candidate.text}"


def _count(gathered: Gathered, candidates: Sequence[Candidate], judged: Judged, *, graded: bool) -> None:
    """Count what became of a problem's candidates."""
    counts = gathered.counts
    counts["graded"] += graded
    if judged.verdict.reason in (FAILED, SELECTION_FAILED):
        gathered.failures.append(judged.verdict.detail)
    for candidate, answer, verdict in zip(candidates, judged.answers, judged.verdicts, strict=True):
        ended = candidate.finish_reason
        counts["candidates"] += 1
        counts["truncated"] += ended == "length"
        counts["errors"] += ended == "error"
        counts["abandoned"] += ended == "abandoned"
        counts["unclosed_thinking"] += ended != "abandoned" and never_closes(candidate)
        counts["no_answer"] += ended == "stop" and answer is None
        counts["fallback"] += answer is not None and answer.rule in FALLBACK_RULES
        num_tokens = candidate.num_tokens or 0
        counts["candidate_tokens"] += num_tokens
        counts["cancelled_tokens"] += (ended == "cancelled") * num_tokens
        counts["truncated_tokens"] += (ended == "length") * num_tokens
        counts["abandoned_tokens"] += (ended == "abandoned") * num_tokens
        counts["uncounted"] += candidate.num_tokens is None
        if graded and verdict.status == "undecided":
            counts["undecided"] += 1
            gathered.reasons[verdict.reason] += 1


def _with_search(
    view: ArmView, run: Stored, problem_id: str, candidates: Sequence[Candidate], num_problems: int
) -> ArmView:
    tree = run.search_tree(problem_id, candidates)
    if tree is None:
        return view
    most_steps = min(MOST_STEPS, max(FEWEST_STEPS, STEPS_IN_ALL // num_problems))
    return replace(view, search=search_view(tree, run.recipe.sampler.num_candidates, most_steps))


def never_closes(candidate: Candidate) -> bool:
    """Tell whether a candidate was still thinking when it ended: nothing follows its thinking section."""
    thinks = candidate.reasoning is not None and not candidate.text.strip()
    return thinks or candidate.text.rfind("<think>") > candidate.text.rfind("</think>")


def _view(name: str, candidates: Sequence[Candidate], judged: Judged, scores: Scores) -> ArmView:
    views = []
    for place, candidate in enumerate(candidates):
        answer, found = judged.answers[place], judged.verdicts[place]
        values = {scorer: column[place].value for scorer, column in scores.items()}
        views.append(
            CandidateView(
                index=candidate.index,
                text=candidate.text,
                reasoning=candidate.reasoning,
                finish_reason=candidate.finish_reason,
                num_tokens=candidate.num_tokens,
                sampler=candidate.sampler,
                answer=answer.text if answer else None,
                rule=answer.rule if answer else None,
                group=judged.nodes[place],
                status=found.status,
                reason=found.reason,
                detail=found.detail or candidate.error or "",
                scores={scorer: value for scorer, value in values.items() if value is not None},
            )
        )
    verdict, links = judged.verdict, tuple(sorted(judged.links))
    return ArmView(name, judged.selection.index, verdict.status, verdict.reason, tuple(views), links)
