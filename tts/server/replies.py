"""What a client is told: the answers, the best first, what the vote was, how sure it is, and what it cost."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from tts.pipeline.outcomes import Solved
from tts.protocols import Selector
from tts.selectors.contenders import contenders, rank, vote
from tts.types import Ballot, Candidate


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers: a candidate, its answer (None: it has none), and how many candidates agree with it."""

    candidate: Candidate
    answer: str | None
    num_agreeing: int


def choices_of(selector: Selector, solved: Solved, number: int) -> list[Choice]:
    """Return the best candidates: answers that differ, each by the recipe's own selection among those that are left.

    Where there are fewer answers than asked for, the candidates follow that agree with them, those of the best first,
    and at last those without an answer, the likeliest first. One that failed is none.
    """
    judged, selection = solved.judged, solved.solution.selection
    ballot = Ballot(solved.candidates, judged.answers, judged.nodes, judged.scores, judged.links)
    entrants = {one.position: one for one in contenders(ballot)}
    linked = {(left, right) for pair in judged.links for left, right in (pair, pair[::-1])}
    places = {candidate.index: place for place, candidate in enumerate(solved.candidates)}

    def agree(one: int, other: int) -> bool:
        if one not in entrants or other not in entrants:
            return one == other
        left, right = entrants[one].node, entrants[other].node
        return left == right or (left, right) in linked

    # answers that differ
    firsts: list[int] = []
    chosen, left = selection.index, list(entrants)
    while len(firsts) < number:
        if firsts or chosen is None:
            if not left:
                break
            some = _part(ballot, left)
            # where the scorer was silent, the plain vote chose
            chosen = (
                vote(replace(some, scores=()), contenders(some)) if selection.fallback else selector.select(some)
            ).index
            if chosen is None:  # those that are left abstain
                break
        firsts.append(places[chosen])
        left = [place for place in left if not agree(place, firsts[-1])]

    # those that agree with them, those whose scorer cannot tell, those that say nothing
    def standing(place: int) -> tuple[Any, ...]:
        like = next((number for number, first in enumerate(firsts) if agree(place, first)), len(firsts))
        return (like, *rank(entrants[place])) if place in entrants else (math.inf, *_likeliest(solved, place))

    others = [
        place
        for place, candidate in enumerate(solved.candidates)
        if place not in firsts and candidate.finish_reason != "error"
    ]
    order = [*firsts, *sorted(others, key=standing)] if len(firsts) < number else firsts
    return [
        Choice(
            candidate=solved.candidates[place],
            answer=entrants[place].answer.text if place in entrants else None,
            num_agreeing=sum(agree(place, other) for other in entrants) if place in entrants else 0,
        )
        for place in order[:number]
    ]


def _part(ballot: Ballot, places: list[int]) -> Ballot:
    """Return the ballot with these candidates alone."""
    return replace(
        ballot,
        candidates=tuple(ballot.candidates[place] for place in places),
        answers=tuple(ballot.answers[place] for place in places),
        nodes=tuple(ballot.nodes[place] for place in places),
        scores=tuple(ballot.scores[place] for place in places) if ballot.scores else (),
    )


def _likeliest(solved: Solved, place: int) -> tuple[bool, float, int]:
    candidate = solved.candidates[place]
    logprob = candidate.mean_logprob
    return (candidate.finish_reason != "stop", 0.0 if logprob is None else -logprob, candidate.index)


def completion(name: str, model: str, solved: Solved, choices: list[Choice]) -> dict[str, Any]:
    """Return the whole reply. Its `tts` says what OpenAI's protocol has no words for."""
    solution, selection = solved.solution, solved.solution.selection
    spent = solution.usage.engines.values()
    num_read, num_written = sum(one.prompt_tokens for one in spent), sum(one.written_tokens for one in spent)
    return {
        "id": f"chatcmpl-{name}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": number,
                "message": {
                    "role": "assistant",
                    "content": one.candidate.text,
                    "refusal": None,
                    **({} if one.candidate.reasoning is None else {"reasoning_content": one.candidate.reasoning}),
                },
                "logprobs": None,
                "finish_reason": "stop" if one.candidate.finish_reason == "stop" else "length",
            }
            for number, one in enumerate(choices)
        ],
        "usage": {
            "prompt_tokens": num_read,
            "completion_tokens": num_written,
            "total_tokens": num_read + num_written,
        },
        "tts": {
            "answer": selection.answer,
            "agreement": choices[0].num_agreeing / len(solved.candidates),
            "weights": selection.weights,
            "num_tied": selection.num_tied,
            "num_abstained": selection.num_abstained,
            "fallback": selection.fallback,
            "choices": [
                {
                    "candidate": one.candidate.index,
                    "answer": one.answer,
                    "num_agreeing": one.num_agreeing,
                    "num_tokens": one.candidate.num_tokens,
                    "mean_logprob": one.candidate.mean_logprob,
                    "finish_reason": one.candidate.finish_reason,
                    "sampler": one.candidate.sampler,
                }
                for one in choices
            ],
            "counts": {
                name: value
                for name, value in asdict(solution.counts).items()
                if name not in ("num_passed", "num_undecided")  # nobody knows the right answer
            },
            "spent": {place: asdict(one) for place, one in solution.usage.engines.items()},
            "seconds": solution.usage.wall_seconds,
            "error": solution.error,
        },
    }


def events(whole: dict[str, Any], *, with_usage: bool) -> Iterator[bytes]:
    """Yield a reply as the events of a stream: each answer in one piece, since it exists only once all are drawn."""
    base = {name: whole[name] for name in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    usage = {"usage": None} if with_usage else {}
    for choice in whole["choices"]:
        piece = {"index": choice["index"], "delta": choice["message"], "logprobs": None, "finish_reason": None}
        yield event({**base, "choices": [piece], **usage})
        end = {**piece, "delta": {}, "finish_reason": choice["finish_reason"]}
        is_last = choice is whole["choices"][-1]
        yield event({**base, "choices": [end], **usage, **({"tts": whole["tts"]} if is_last else {})})
    if with_usage:
        yield event({**base, "choices": [], "usage": whole["usage"]})
    yield b"data: [DONE]\n\n"


def event(content: dict[str, Any]) -> bytes:
    """Return one event of a stream."""
    return f"data: {json.dumps(content)}\n\n".encode()
