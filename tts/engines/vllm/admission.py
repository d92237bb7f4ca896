"""What a request asks of what runs inside vLLM, read when it comes, and what vLLM is told in turn."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

from tts.engines.filters import at_token
from tts.engines.vllm.request_values import RequestValues, values_of
from tts.types import Decoding, FirstToken

GREEDY = 1e-5
"""Temperatures below are greedy to vLLM."""

NOTHING = Decoding(max_tokens=0)
"""A decoding that leaves the logits as they are, at temperature 1."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request on its way: the name under which its figures are asked for, what it asks for, by what temperature vLLM
    divides its logits, the tokens that end it, one that may be made to (-1: there is none), and its seed."""

    name: str
    values: RequestValues
    decoding: Decoding
    vllm_temperature: float
    end_ids: tuple[int, ...]
    end_id: int
    seed: int

    def now(self, num_generated: int) -> Decoding:
        """Return how the token after so many others is decoded."""
        return at_token(self.decoding, num_generated)

    def kept(self, num_generated: int) -> Decoding:
        """Return the filters that vLLM does not have, or not for this token."""
        now = self.now(num_generated)
        ours = replace(NOTHING, top_n_sigma=now.top_n_sigma, first_token=now.first_token)
        is_greedy = now.first_token is None and now.temperature < GREEDY <= self.vllm_temperature
        return replace(ours, top_k=1) if is_greedy else ours

    def relative_temperature(self, num_generated: int) -> float:
        """Return by what the logits are divided before vLLM divides them by its temperature."""
        now = self.now(num_generated)
        wanted = now.temperature if now.first_token is None else now.first_token.temperature
        return wanted / self.vllm_temperature if min(wanted, self.vllm_temperature) >= GREEDY else 1.0

    @property
    def judged_at(self) -> float:
        """The temperature at which entropies are told: its own, 1 where it is greedy."""
        return self.decoding.temperature if self.decoding.temperature >= GREEDY else 1.0

    def group(self, request_id: str) -> str:
        """Return the key of its group: its own, or what vLLM's `n` completions of one request have in common."""
        return self.values.esamp_group or parent_of(request_id)


class Admissions:
    """The requests that are on their way, by vLLM's ids.

    `drafts`: several tokens of a request are drawn in one step. `on_reference`: filters judge the reference, so vLLM
    is not told of them.
    """

    def __init__(self, *, on_reference: bool, drafts: bool) -> None:
        self.requests: dict[str, Admitted] = {}
        self.refusals: list[str] = []
        self._on_reference, self._drafts = on_reference, drafts
        self._serves, self._num_unguided = False, 0  # vLLM's warm-up comes first

    def admit(self, request_id: str, params: Any) -> tuple[Admitted, Any]:
        """Take a request in; return it, and vLLM's parameters without what is applied here.

        Nothing is raised because of a request: an exception would end the engine and every request in it. Wrong values
        are refused before they come here (`validation`); one that gets past that is noted, and its request unguided.
        """
        try:
            values = values_of(params)
            if values.floor is not None and (self._drafts or not params.all_stop_token_ids):
                raise ValueError("`floor_threshold` must be left out where tokens are drafted, or none ends a request")
        except ValueError as error:
            self.refusals.append(str(error))
            values = RequestValues(esamp_beta=0.0)
        decoding = decoding_of(params, values)
        # What vLLM is told: not the filters that judge the reference, and nothing that it would take for greedy.
        changes: dict[str, float] = {}
        if self._on_reference:
            changes |= {"top_p": 1.0, "top_k": 0, "min_p": 0.0}
        if decoding.first_token is not None and decoding.temperature < GREEDY:
            changes["temperature"] = 1.0  # vLLM draws nothing at random in a greedy request
        if changes:
            params = params.clone()
            for key, value in changes.items():
                setattr(params, key, value)
        # Its name: the one that it asked for, unless another request has that.
        others = {admitted.name for other, admitted in self.requests.items() if other != request_id}
        name = values.tts_id if values.tts_id and values.tts_id not in others else request_id
        seed = crc32(name.encode()) if params.seed is None else params.seed
        end_id = min(params.all_stop_token_ids, default=-1)
        admitted = Admitted(name, values, decoding, params.temperature, ends_of(params), end_id, seed)
        self.requests[request_id] = admitted
        return admitted, params

    def forget(self) -> None:
        """Forget every request so far: these were vLLM's own, and now it serves."""
        self.requests.clear()
        self.refusals.clear()
        self._serves = True

    def tell_unguided(self, group: str, num_distillers: int) -> None:
        """Say on standard error that a request runs unguided, for the first, second, fourth, eighth … of them."""
        if not self._serves:
            return
        self._num_unguided += 1
        if self._num_unguided.bit_count() == 1:
            print(
                f"tts: esamp: a request of group {group!r} runs unguided, since all {num_distillers} "
                f"distillers are taken, or its own has no room ({self._num_unguided} requests so far). "
                "Raise `num_slots`, or keep fewer groups in flight",
                file=sys.stderr,
                flush=True,
            )

    def warnings(self) -> list[str]:
        """Return what must be told of requests that did not get what they asked for."""
        if not self.refusals:
            return []
        return [
            f"{len(self.refusals)} requests ran without what they asked of ESamp or of a floor, because their "
            f"values were wrong ({self.refusals[0]}). "
            "Start the server with `--logits-processors`, as `tts serve-args` prints it, to have them refused"
        ]


def ends_of(params: Any) -> tuple[int, ...]:
    """Return the tokens by which vLLM ends a request. (Its `all_stop_token_ids` holds one that it ignores, too.)"""
    eos = getattr(params, "eos_token_id", None)
    return tuple(dict.fromkeys([*([] if eos is None else [eos]), *(getattr(params, "stop_token_ids", None) or ())]))


def decoding_of(params: Any, values: RequestValues) -> Decoding:
    """Return how a request is decoded, from vLLM's parameters and the values of ours."""
    start = values.first_token_temperature
    return Decoding(
        max_tokens=0,  # vLLM's business
        temperature=params.temperature if values.high_temperature is None else values.high_temperature,
        top_p=params.top_p,
        top_k=max(0, params.top_k),
        min_p=params.min_p,
        top_n_sigma=values.top_n_sigma,
        first_token=None if start is None else FirstToken(start, values.first_token_top_k),
        floor=values.floor,
    )


def parent_of(request_id: str) -> str:
    """Return what the completions of one request have in common: vLLM calls child i of a request `i_request`."""
    index, _, parent = request_id.partition("_")
    return parent if parent and index.isdigit() else request_id
