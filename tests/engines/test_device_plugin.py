"""What runs beside vLLM's second runner: it does what the first runner's does, and never waits for the device."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from no_host_waits import HostWait, NoHostWaits, pinned  # noqa: E402  # after the skip

from tts.engines.vllm.device_plugin import DevicePlugin  # noqa: E402  # as above
from tts.engines.vllm.options import WorkerOptions  # noqa: E402  # as above
from tts.engines.vllm.worker_plugin import Step, WorkerPlugin  # noqa: E402  # as above
from tts.plugins.esamp.core import StepRow  # noqa: E402  # as above
from tts.plugins.esamp.settings import ESampSettings  # noqa: E402  # as above

END, OTHER_END, VOCABULARY, D, MAX_ROWS = 7, 30, 40, 16, 8
HEAD = torch.randn(VOCABULARY, D, generator=torch.Generator().manual_seed(5))


class Params(SimpleNamespace):
    """A request's parameters, as far as they are looked at."""

    def clone(self) -> Params:
        return Params(**vars(self))


def params(seed: int = 1, **given: Any) -> Params:
    values = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0}
    return Params(
        **values | {name: given.pop(name) for name in values if name in given}, seed=seed, extra_args=given,
        all_stop_token_ids={END, OTHER_END}, eos_token_id=END, stop_token_ids=[OTHER_END], ignore_eos=False,
        min_tokens=0, allowed_token_ids=None, structured_outputs=None, thinking_token_budget=None,
    )  # fmt: skip


def plugins(esamp: dict[str, Any] | None, **options: Any) -> tuple[WorkerPlugin, DevicePlugin]:
    settings = {"width": 8, "num_slots": 8, "kl_every": 3, "train_every": 1, "learning_rate": 4e-3}
    given = WorkerOptions(None if esamp is None else ESampSettings(**settings | esamp), **options)
    keys = {"hidden_size": D, "max_rows": MAX_ROWS, "device": torch.device("cpu"), "head": HEAD}
    project = lambda hidden: hidden @ HEAD.T  # noqa: E731  # a head
    return WorkerPlugin(given, project, **keys), DevicePlugin(
        given, project, max_tokens=100, dtype=torch.float32, **keys
    )


@dataclass
class Request:
    """One in a runner: its index, and where it is."""

    name: str
    index: int
    prompt: int
    position: int
    end: int
    ghost: bool = False
    again: bool = False
    asked: Any = None


class Traffic:
    """Requests come, are preempted, end by a token of theirs, and have a row more; two in three are in one group."""

    def __init__(self, seed: int, both: tuple[WorkerPlugin, DevicePlugin], values: list[dict[str, Any]]) -> None:
        self.random, self.first, self.second, self.values = random.Random(seed), *both, values
        self.live: list[Request] = []
        self.number = 0
        self.ended: dict[str, int] = {}

    def fill(self) -> None:
        """Let requests come until the runner is full."""
        while len(self.live) < MAX_ROWS - 1:
            name, number = f"r{self.number}", self.number
            self.number += 1
            values = {"tts_id": name, "esamp_group": f"g{number // 3}", "esamp_group_size": 3}
            asked = params(number, **values, **self.values[number % len(self.values)])
            prompt = self.random.randrange(3, 9)
            request = Request(name, self.free_index(), prompt, prompt - 1, prompt + self.random.randrange(3, 20))
            assert vars(self.first.admit(name, asked)) == vars(self.second.admit(name, asked))
            self.second.seat(name, request.index, prompt)
            request.asked = asked
            self.live.append(request)

    def free_index(self) -> int:
        return self.random.choice([i for i in range(MAX_ROWS) if i not in {one.index for one in self.live}])

    def step(self) -> None:
        """Draw a token each; both plugins must say the same of all rows that anybody reads."""
        self.fill()
        rows = [one for one in self.live if self.random.random() < 0.9]
        reading = [one for one in self.live if one not in rows][:1]  # in the middle of its prompt
        h_first, h_last = torch.stack([states_of(one) for one in rows + reading]).unbind(1)
        real = [i for i, one in enumerate(rows) if not one.ghost and not one.again]
        # The first runner, in step.
        self.first.begin(Step(real, [StepRow(rows[i].name, rows[i].position, rows[i].prompt) for i in real]))
        mixed = h_last.clone()
        if self.first.guides:
            mixed[real] = self.first.mix(h_first[real], h_last[real])
        raw = mixed @ HEAD.T
        self.first.measure(raw)
        expected = self.first.shape(raw.clone())
        # The second one, from what the device has.
        tokens = [END if one.ghost else 11 for one in rows] + [11] * len(reading)
        index, position, token = (
            torch.tensor(numbers) for numbers in (
                [one.index for one in rows + reading], [one.position for one in rows] + [1] * len(reading), tokens
            )
        )  # fmt: skip
        draws = torch.tensor([True] * len(rows) + [False] * len(reading))
        has_first = any(one.position == one.prompt - 1 for one in rows)
        with pinned(), NoHostWaits():
            self.second.skip()
            found = h_last
            if self.second.takes_part:
                self.second.begin(index, position, token, draws, has_first_tokens=has_first)
                if self.second.guides:
                    found = self.second.mix(h_first, h_last)
            logits = found @ HEAD.T
            self.second.measure(logits)
            shaped = self.second.shape(logits)
        torch.testing.assert_close(found[real], mixed[real], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(shaped[real], expected[real], rtol=1e-3, atol=1e-3)
        for place in range(len(rows), len(rows + reading)):
            assert torch.equal(found[place], h_last[place])
        self.go_on(rows)

    def go_on(self, rows: list[Request]) -> None:
        for one in rows:
            if one.ghost:
                self.live.remove(one)
                self.second.vacate(one.index)
                for plugin in (self.first, self.second):
                    plugin.release([one.name])
            elif not one.again and self.random.random() < 0.08:
                one.again = True  # preempted; it comes back at another index
                self.second.vacate(one.index)
                one.index = self.free_index()
                self.second.admit(one.name, one.asked)
                self.second.seat(one.name, one.index, one.prompt)
            else:
                one.again = False
                one.position += 1
                if one.position >= one.end:
                    one.ghost = True
                    self.ended[one.name] = one.position - one.prompt + 1

    def run(self, num_steps: int = 25) -> None:
        for _ in range(num_steps):
            self.step()
            if self.ended and self.random.random() < 0.5:
                self.compare_figures()

    def compare_figures(self) -> None:
        first, second = (plugin.request_figures(self.ended) for plugin in (self.first, self.second))
        assert second.keys() == first.keys()
        for name, figures in first.items():
            assert second[name] == pytest.approx(figures, rel=1e-3), name
        self.ended.clear()


def states_of(request: Request) -> torch.Tensor:
    """h¹ and h^L of the token that a request reads, `[2, D]`."""
    seed = 1000 * int(request.name[1:]) + request.position
    return torch.randn(2, D, generator=torch.Generator().manual_seed(seed)) * torch.tensor([[1.0], [2.0]]) + 0.5


VALUES: dict[str, list[dict[str, Any]]] = {
    "plain": [{}],
    "sigma": [{}, {"top_n_sigma": 1.0}, {"temperature": 0.0, "top_n_sigma": 0.5}],
    "first token": [{}, {"first_token_temperature": 3.0, "first_token_top_k": 4}, {"high_temperature": 4.0}],
    "greedy but the first": [{"temperature": 0.0, "first_token_temperature": 3.0}, {"temperature": 0.7}],
    "filters": [{"min_p": 0.2}, {"top_k": 5, "top_p": 0.8}, {"top_p": 0.5, "temperature": 2.0}, {"temperature": 0.0}],
    "floors": [
        {}, {"floor_threshold": 3.2, "floor_window": 3, "floor_top_k": 5}, {"floor_threshold": 3.0, "floor_window": 2}
    ],
    "strengths": [{"esamp_beta": 0.0}, {"esamp_beta": 1.0}, {}],
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize(
    "esamp",
    [None, {}, {"filter": "reference"}, {"keep_entropy": True}],
    ids=["without", "fused", "reference", "entropy"],
)
@torch.inference_mode()
def test_it_does_what_the_first_runners_does_and_never_waits(name: str, esamp: dict[str, Any] | None) -> None:
    both = plugins(esamp, self_certainty=True)
    Traffic(len(name), both, VALUES[name]).run()
    if esamp is not None:
        ours, theirs = both[1].report(), both[0].report()
        counted = ("rows_guided", "groups", "rows_without_slot", "rows_trained")
        assert {key: ours["figures"][key] for key in counted} == {key: theirs["figures"][key] for key in counted}
        for key in ("mean_kl", "mean_beta", "mean_entropy", "mean_reference_entropy"):
            assert ours["figures"][key] == pytest.approx(theirs["figures"][key], rel=0.05)


@torch.inference_mode()
def test_confidence_of_all_is_measured_as_the_first_runners_does() -> None:
    Traffic(1, plugins({}, self_certainty=True, confidence_window=4), VALUES["plain"]).run()


@torch.inference_mode()
def test_what_vllm_sent_to_warm_up_leaves_nothing_behind() -> None:
    both, fresh = plugins({}, self_certainty=True), plugins({}, self_certainty=True)
    Traffic(1, both, VALUES["plain"]).run(10)
    for plugin in both:
        plugin.forget()
    Traffic(2, both, VALUES["plain"]).run(15)
    Traffic(2, fresh, VALUES["plain"]).run(15)
    for one, other in zip(both, fresh, strict=True):
        unlike = {"predict_ms": 0, "train_ms": 0}
        assert one.report()["figures"] | unlike == pytest.approx(other.report()["figures"] | unlike, nan_ok=True)


def test_a_request_with_wrong_values_runs_unguided_and_is_reported() -> None:
    _, plugin = plugins({})
    plugin.admit("a", params(esamp_group=7))
    plugin.seat("a", 0, 3)
    assert "1 requests ran without what they asked" in plugin.report()["warnings"][-1]


PLANTED: dict[str, Callable[[torch.Tensor], Any]] = {
    "item": lambda there: there.sum().item(),
    "bool": lambda there: bool((there > 0).any()),
    "tolist": lambda there: there.tolist(),
    "cpu": lambda there: there.cpu(),
    "numpy": lambda there: there.numpy(),
    "nonzero": lambda there: there.nonzero(),
    "mask": lambda there: there[there > 0],
    "set by a mask": lambda there: there.__setitem__(there > 0, 1),
    "unique": lambda there: there.unique(),
    "one_hot": lambda there: torch.nn.functional.one_hot(there, 10),
    "repeat_interleave": lambda there: there.repeat_interleave(there),
    "list": lambda there: there[[0, 1]],
    "numbers on the device": lambda there: torch.tensor([1, 2], device=there.device),
    "to": lambda there: torch.tensor([1, 2]).to(there.device),
    "the host's index": lambda there: there[torch.tensor([0, 1])],
    "copy": lambda there: there.copy_(torch.tensor([1, 2, 3])),
    "copy to the host": lambda there: torch.tensor([1, 2, 3]).copy_(there),
    "equal": lambda there: torch.equal(there, there + 1),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_wait_is_found(name: str) -> None:
    there = torch.tensor([1, 2, 3])
    with pytest.raises(HostWait, match=r"test_device_plugin\.py"), NoHostWaits():
        PLANTED[name](there)


def test_what_does_not_wait_is_let_through() -> None:
    there, place = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2, 0])
    with NoHostWaits() as waits:
        there[place] = there.index_select(0, place) * 2
        there.index_add_(0, place, torch.where(there[:2] > 1, there[:2], 0.0))
        assert torch.tensor([1, 2]).tolist() == [1, 2]
    assert not waits.places
