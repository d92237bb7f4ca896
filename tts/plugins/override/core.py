"""What an engine calls: requests join and leave, every decoding step is fused, and its tokens are learned from.

How it works. A request `join`s under its problem's key and is numbered there, from 0, as it comes. Its problem holds
one set of heads for as long as it lives (`scope: shared`: all problems hold the one there is). In each step

- `fuse` lowers the logits of sample r by β times what head r − 1 adds, which is learned from sample r − 1 at the same
  time, at another text. So sample 0 is plain, and so is every first step of fresh heads, to the last bit.
- `learn` takes the tokens drawn, and lets head r take a step towards sample r's, for every r below `num_heads`.

The first token is fused and learned from like any other. A problem depends on its own rows alone (`scope: prompt`).
No number is read from the device in a step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from tts.plugins.esamp.fusion import fuse
from tts.plugins.esamp.groups import Group, Groups
from tts.plugins.override.heads import HeadSet
from tts.plugins.override.settings import OverrideSettings


class Member(NamedTuple):
    """A request that takes part, its number among its problem's, and its β."""

    group: Group
    problem: str
    number: int
    beta: float


@dataclass(frozen=True, slots=True)
class StepRows:
    """The rows of one set of heads in a step: their places among all rows, their numbers, and what was computed."""

    slot: int
    places: list[int]
    numbers: list[int]
    h: torch.Tensor  # [K, d]
    logits: torch.Tensor  # [K, vocabulary], the model's own


class OverrideCore:
    """OverRIDE for one model on one device. A request that never joined is left alone.

    `max_rows` is the most rows that a problem may have in one step.
    """

    def __init__(
        self, settings: OverrideSettings, hidden_size: int, vocabulary: int, max_rows: int, device: torch.device | str
    ) -> None:
        self._settings, self._num_heads = settings, settings.num_heads
        self._sets = [
            HeadSet(settings, hidden_size, vocabulary, torch.device(device)) for _ in range(settings.num_sets)
        ]
        self._groups = Groups(
            settings.num_sets,
            max_rows,
            started=self._started,
            ended=lambda _: None,
            shared=settings.scope == "shared",
        )
        self._members: dict[str, Member] = {}
        self._numbered: Counter[str] = Counter()  # how many of a problem came, while any of them is here or expected
        self._left: Counter[str] = Counter()
        self._sizes: dict[str, int] = {}
        with torch.inference_mode(False):  # as the heads' own
            self._loss = torch.zeros((), device=device)
        self.forget()

    def forget(self) -> None:
        """Forget every request so far, and all that was learned and counted: these were an engine's own."""
        for request_id in list(self._members):
            self.leave(request_id)
        for heads in self._sets:
            heads.reset()
        self._step: list[StepRows] = []
        self._num_steps = self._num_guided = self._num_trained = self._num_without_slot = self._num_started = 0
        self._loss.zero_()

    def has_room(self, problem: str) -> bool:
        """Tell whether one more request of `problem` would get heads now."""
        return self._groups.has_room(problem)

    def join(self, request_id: str, problem: str, *, group_size: int | None = None, beta: float | None = None) -> bool:
        """Let a request take part until it leaves; False where there is no set of heads for it: then it is plain.

        The problem ends, and its heads are free for another, when the last of `group_size` requests has left; without a
        size, whenever nobody is left. Joining twice changes nothing.
        """
        if request_id in self._members:
            return True
        group = self._groups.join(request_id, problem, group_size)
        if group is None:
            self._num_without_slot += 1
            return False
        number = self._numbered[problem]
        self._numbered[problem] += 1
        self._sizes[problem] = group_size or 0
        self._members[request_id] = Member(group, problem, number, self._settings.beta if beta is None else beta)
        return True

    def leave(self, request_id: str) -> None:
        """Let go of a request that is finished or cancelled; unknown ones are ignored."""
        member = self._members.pop(request_id, None)
        if member is None:
            return
        problem = member.problem
        self._groups.leave(request_id, member.group)
        self._left[problem] += 1
        if self._left[problem] == self._numbered[problem] >= self._sizes[problem]:
            del self._left[problem], self._numbered[problem], self._sizes[problem]

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not type-checked
    def fuse(self, request_ids: Sequence[str | None], h: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Return what is drawn from instead of `logits` `[num_rows, vocabulary]`, bit for bit these in plain rows.

        `request_ids` and `h` `[num_rows, d]`, what the model's head got, say whose rows they are; None: nobody's.
        """
        places: dict[int, list[int]] = {}
        for place, request_id in enumerate(request_ids):
            member = None if request_id is None else self._members.get(request_id)
            if member is not None and member.number <= self._num_heads:
                places.setdefault(member.group.slot, []).append(place)
        self._step = []
        fused = logits
        for slot, chosen in sorted(places.items()):
            rows = torch.tensor(chosen, device=logits.device)
            members = [self._members[request_ids[place] or ""] for place in chosen]
            own, states = logits[rows].float(), h[rows].float()
            self._step.append(StepRows(slot, chosen, [member.number for member in members], states, own))
            before = [member.number - 1 for member in members]
            beta = torch.tensor([member.beta if member.number else 0.0 for member in members], device=logits.device)
            moved = fuse(own, own + self._sets[slot].add(before, states), beta.unsqueeze(1))
            fused = fused.index_copy(0, rows, moved.to(logits.dtype))
            self._num_guided += sum(member.number > 0 and member.beta > 0 for member in members)
        self._num_steps += bool(places)
        return fused

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not type-checked
    def learn(self, tokens: torch.Tensor) -> None:
        """Learn from the tokens `[num_rows]` that were drawn in the step that was fused last."""
        for step in self._step:
            heads = [number if number < self._num_heads else -1 for number in step.numbers]
            if max(heads) >= 0:
                drawn = tokens[torch.tensor(step.places, device=tokens.device)].long()
                loss = self._sets[step.slot].learn(heads, step.h, step.logits, drawn)
                num_rows = sum(head >= 0 for head in heads)
                self._loss += loss * num_rows
                self._num_trained += num_rows
        self._step = []

    def statistics(self) -> dict[str, float | None]:
        """Return the totals since the start; the loss is the mean over all rows, in nats. Waits for the device."""
        return {
            "steps": self._num_steps,
            "rows_guided": self._num_guided,
            "rows_trained": self._num_trained,
            "requests_without_slot": self._num_without_slot,
            "groups": self._num_started,
            "mean_loss": self._loss.item() / self._num_trained if self._num_trained else None,
            "memory_bytes": sum(heads.memory_bytes for heads in self._sets),
        }

    def warnings(self) -> list[str]:
        """Return what is wrong with the run so far, one sentence each."""
        found = []
        if self._settings.beta > 0 and not self._num_guided:
            found.append(
                f"OverRIDE guided no token although `beta` is {self._settings.beta}: this run equals plain sampling. "
                "It needs two candidates of a problem at least"
            )
        if self._num_without_slot:
            found.append(
                f"OverRIDE left {self._num_without_slot} requests plain because all heads were taken. Raise "
                "`num_slots`, or keep fewer problems in flight"
            )
        return found

    def _started(self, group: Group) -> None:
        self._sets[group.slot].reset()
        self._num_started += 1
