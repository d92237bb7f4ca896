"""A search as those see it who watch: a step a call, each behind the step that it goes on from.

How it works. A line of calls.jsonl says which call it goes on from, or is about (`after`). Where it does not say so,
as in older folders, the candidates do: each names the calls that wrote it, in order; a reward is then about the call
before it in the same branch. A step lives on in a candidate when it, or a step behind it, wrote a part of that
candidate. Steps come in the order of their keys, thus of their places in the search, and never of their arrival.

`outline` is what terminals and pages draw: rewards, and looks at the answers, are told with the step that they are
about; steps that live on come before others where there are too many.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from tts.runs.files import StoredFile
from tts.runs.ledger import POLICY, added, charge_of
from tts.types import Candidate, Spent

Kind = Literal["generate", "rewards", "classes"]
Fate = Literal["kept", "dropped", "given up", "failed"]

URGENCY: dict[Fate, int] = {"kept": 0, "failed": 1, "given up": 2, "dropped": 3}
NUMBERED = re.compile(r"(c?)(\d{1,15})")


@dataclass(frozen=True, slots=True)
class Reply:
    """What an engine said, as far as it is looked at."""

    num_prompt_tokens: int = 0
    num_tokens: int | None = 0
    num_cached_tokens: int = 0
    text: str = ""
    finish_reason: str = ""
    values: tuple[float, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class CallSeen:
    """What a line of calls.jsonl is read for by those who watch."""

    problem_id: str
    key: str = ""
    engine: str = POLICY
    told: bool = True
    after: str = ""
    put: str = ""
    completion: Reply | None = None
    rewards: Reply | None = None
    nodes: tuple[int | None, ...] = ()
    error: str | None = None
    end: bool = False
    retry: bool = False

    @property
    def spent(self) -> dict[str, Spent]:
        """What it was charged, by engine."""
        reply = self.completion or self.rewards
        return {} if reply is None else {self.engine: charge_of(reply, told=self.told)}


@dataclass(frozen=True, slots=True)
class Step:
    """One call. `after` is the key of the step that it goes on from, or is about; "": none.

    `put` begins what the sampler put between that one and this, `text` is what was written, `finish_reason` why it
    ended. `values` are the rewards of all steps so far, `nodes` the answers so far (None: no answer). `told` False: it
    was given up before its reply came. `candidates` are those in which it lives on.
    """

    key: str
    kind: Kind
    engine: str = POLICY
    after: str = ""
    put: str = ""
    text: str = ""
    finish_reason: str = ""
    prompt_tokens: int = 0
    tokens: int = 0
    told: bool = True
    error: str | None = None
    values: tuple[float, ...] = ()
    nodes: tuple[int | None, ...] = ()
    candidates: tuple[int, ...] = ()

    @property
    def fate(self) -> Fate:
        """What became of it. What is not of the other three is `dropped`: nothing of it is in a candidate."""
        if not self.told:
            return "given up"
        if self.error is not None:
            return "failed"
        return "kept" if self.candidates else "dropped"


@dataclass(frozen=True, slots=True)
class SearchTree:
    """One problem's search. `steps` come by key, and a step behind the one that it goes on from.

    `spent` is the problem's ledger, with the `num_asked_anew` calls in it that were drawn again after an error.
    """

    steps: tuple[Step, ...] = ()
    over: bool = False
    error: str | None = None
    num_candidates: int = 0
    num_asked_anew: int = 0
    spent: dict[str, Spent] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """A step as it is drawn. `depth` grows where a step has several behind it, and each of them `heads` a path.

    A single step behind another goes on at its depth.

    `reward` is what a reward model said of it, `answers` how many candidates agreed after it, the largest party first.
    """

    depth: int
    heads: bool
    step: Step
    reward: float | None = None
    answers: str = ""


@dataclass(frozen=True, slots=True)
class Outline:
    """The rows of a tree, and how many more there are."""

    rows: tuple[Row, ...]
    num_left_out: int = 0


def read_calls(file: StoredFile, offsets: Iterable[int]) -> list[CallSeen]:
    """Return the lines that begin at these places. Raises RunFolderError where one is none."""
    return [file.read(offset, CallSeen) for offset in offsets]


def search_tree(lines: Sequence[CallSeen], candidates: Sequence[Candidate]) -> SearchTree:
    """Return the search that these lines of one problem, in the order of the file, and its candidates tell of.

    Of two lines of one key the later counts, and both are in `spent`.
    """
    over, error = False, None
    calls: dict[str, CallSeen] = {}
    for line in lines:
        if line.end or line.retry:
            over, error = line.end, line.error
        else:
            calls[line.key] = line
    before = {key: one for each in candidates for one, key in zip(each.calls, each.calls[1:], strict=False)}

    # A step stands behind one that came earlier: so there are no circles, whatever the file says.
    arrived = {key: number for number, key in enumerate(calls)}
    after: dict[str, str] = {}
    for key, call in calls.items():
        one = call.after or before.get(key) or (_neighbour(key) if call.rewards is not None else "")
        after[key] = one if arrived.get(one, len(calls)) < arrived[key] else ""

    lives: dict[str, set[int]] = {key: set() for key in calls}
    for each in candidates:
        for key in each.calls:
            lives.get(key, set()).add(each.index)
    for key in reversed(calls):
        if after[key]:
            lives[after[key]] |= lives[key]

    drawn = sum(not (line.end or line.retry) for line in lines)
    return SearchTree(
        steps=tuple(
            replace(_step(calls[key]), after=after[key], candidates=tuple(sorted(lives[key])))
            for key in sorted(calls, key=_place)
        ),
        over=over,
        error=error,
        num_candidates=len(candidates),
        num_asked_anew=drawn - len(calls),
        spent=added(line.spent for line in lines),
    )


def outline(tree: SearchTree, most: int) -> Outline:
    """Return at most `most` rows: those that live on first, then what went wrong, then others, each with its path."""
    rewards: dict[str, float] = {}
    answers: dict[str, str] = {}
    rows: dict[str, Step] = {}
    for step in tree.steps:
        told = step.after and step.fate in ("kept", "dropped")
        if told and step.kind == "rewards" and step.values:
            rewards[step.after] = step.values[-1]
        elif told and step.kind == "classes":
            answers[step.after] = parties(step.nodes)
        else:
            rows[step.key] = step

    chosen: set[str] = set()
    for step in sorted(rows.values(), key=lambda step: URGENCY[step.fate]):
        if len(chosen) >= most:
            break
        path, one = set[str](), rows.get(step.key)
        while one is not None and one.key not in chosen:
            path.add(one.key)
            one = rows.get(one.after) if one.after else None
        if len(chosen) + len(path) <= most:
            chosen |= path
    behind: dict[str | None, list[Step]] = {}
    for step in rows.values():
        if step.key in chosen:
            behind.setdefault(step.after if step.after and step.after in chosen else None, []).append(step)
    found: list[Row] = []
    waiting = [(0, True, step) for step in reversed(behind.get(None, []))]
    while waiting:
        depth, heads, step = waiting.pop()
        found.append(Row(depth, heads, step, rewards.get(step.key), answers.get(step.key, "")))
        children = behind.get(step.key, [])
        several = len(children) > 1
        waiting += [(depth + several, several, child) for child in reversed(children)]
    return Outline(tuple(found), len(rows) - len(found))


def parties(nodes: Sequence[int | None]) -> str:
    """Return how many answers agree, such as `5 + 2 + 1, 1 without`."""
    sizes = Counter(node for node in nodes if node is not None)
    missing = len(nodes) - sizes.total()
    agree = " + ".join(str(size) for size in sorted(sizes.values(), reverse=True)) or "0"
    return f"{agree}, {missing} without" if missing else agree


def ranges(numbers: Sequence[int]) -> str:
    """Return rising numbers as people write them: `0–3, 7`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("–".join(map(str, run)) for run in runs)


def _step(call: CallSeen) -> Step:
    reply = call.completion or call.rewards or Reply()
    return Step(
        key=call.key,
        kind="generate" if call.completion else "rewards" if call.rewards else "classes",
        engine=call.engine,
        put=call.put,
        text=reply.text,
        finish_reason=reply.finish_reason,
        prompt_tokens=reply.num_prompt_tokens,
        tokens=reply.num_tokens or 0,
        told=call.told,
        error=call.error if reply.error is None else reply.error,
        values=reply.values,
        nodes=call.nodes,
    )


def _neighbour(key: str) -> str:
    """Return the key before it in the same branch; "" where it is the first."""
    branch, slash, last = key.rpartition("/")
    found = NUMBERED.fullmatch(last)
    return f"{branch}{slash}{int(found[2]) - 1}" if found and not found[1] and int(found[2]) else ""


def _place(key: str) -> list[tuple[int, int, str]]:
    """Return what sorts keys by place: numbers as such, then classes, then names."""
    return [
        (2, 0, part) if (found := NUMBERED.fullmatch(part)) is None else (bool(found[1]), int(found[2]), "")
        for part in key.split("/")
    ]
