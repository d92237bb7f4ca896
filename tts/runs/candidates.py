"""The one maker of candidates: from what an engine wrote, or another tool stored, to thinking and answer."""

from __future__ import annotations

from tts.runs.records import finite
from tts.types import Candidate, Completion


def candidate_of(
    completion: Completion, index: int, seed: int, sampler: str, thinking_tags: tuple[str, str] | None
) -> Candidate:
    """Return candidate `index` of the completion's problem: text and thinking apart, without the stop string.

    `seed` and `sampler` are the request's; `thinking_tags` None: the thinking is split off already. A figure that is
    infinite or not a number becomes None, since JSON has no word for it.
    """
    text, reasoning = completion.text.removesuffix(completion.stop or ""), completion.reasoning
    if thinking_tags is not None:
        reasoning, text = split_thinking(text, thinking_tags, opened=completion.opened)
    return Candidate(
        problem_id=completion.problem_id,
        index=index,
        text=text,
        reasoning=reasoning,
        finish_reason=completion.finish_reason,
        num_prompt_tokens=completion.num_prompt_tokens,
        num_tokens=completion.num_tokens,
        cumulative_logprob=finite(completion.cumulative_logprob),
        mean_logprob=finite(completion.mean_logprob),
        self_certainty=finite(completion.self_certainty),
        seed=seed if completion.seed is None else completion.seed,
        sampler=sampler if completion.sampler is None else completion.sampler,
        token_logprobs=completion.token_logprobs if completion.error is None else None,
        error=completion.error,
        engine_stats=completion.engine_stats,
    )


def split_thinking(text: str, tags: tuple[str, str], *, opened: bool) -> tuple[str | None, str]:
    """Return (reasoning, answer); reasoning is None where there is no thinking section.

    `opened` says that the prompt already ended with the opening tag, so that `text` starts inside the section. A
    section that is never closed runs to the end: the answer is then empty. A first closing tag without an opening one
    closes a section that began with the text; later ones are part of the answer. Several sections are joined by a
    blank line. Without any section the text is returned as it is; else white space around the parts is stripped.
    """
    opening, closing = tags
    first_close = text.find(closing)
    inside = opened or (first_close >= 0 and opening not in text[:first_close])
    thoughts: list[str] = []
    answer: list[str] = []
    while True:
        part, tag, text = text.partition(closing if inside else opening)
        (thoughts if inside else answer).append(part)
        if not tag:
            break
        inside = not inside
    if not thoughts and not inside:
        return None, answer[0]
    return "\n\n".join(part.strip() for part in thoughts), "".join(answer).strip()
