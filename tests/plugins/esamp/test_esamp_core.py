"""What engines rely on: who is guided and by how much, what stays untouched, and that layouts and neighbours agree."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from torch._subclasses import FakeTensorMode  # noqa: E402  # after the skip

from tts.plugins.esamp.core import MAX_DEPARTED, ESampCore, StepRow  # noqa: E402  # as above
from tts.plugins.esamp.fusion import kl_divergence  # noqa: E402  # as above
from tts.plugins.esamp.reference import ReferenceDistiller  # noqa: E402  # as above
from tts.plugins.esamp.settings import ESampSettings  # noqa: E402  # as above
from tts.plugins.esamp.sharpness import Measured  # noqa: E402  # as above

D, W, RATE, PROMPT = 16, 8, 4e-3, 3
BOTH_LAYOUTS = pytest.mark.parametrize("all_slots", [False, True], ids=["exact rows", "all slots"])


def core_of(*, max_rows: int = 8, all_slots: bool | None = None, head: Any = None, **settings: Any) -> ESampCore:
    chosen = ESampSettings(**{"width": W, "learning_rate": RATE, "train_every": 1, "num_slots": 4} | settings)
    return ESampCore(chosen, D, max_rows, all_slots=all_slots, head=head)


def hidden(request_id: str, position: int, dtype: Any = None) -> tuple[torch.Tensor, torch.Tensor]:
    """h¹ and h^L [d] of one row; they depend on nothing but the request and the position."""
    generator = torch.Generator().manual_seed(random.Random(f"{request_id} {position}").randrange(2**40))
    h_first = torch.randn(D, generator=generator)
    mixing = torch.randn(D, D, generator=torch.Generator().manual_seed(1))
    return h_first.to(dtype), (3 * torch.tanh(h_first @ mixing) + 1).to(dtype)


def step(core: ESampCore, rows: list[StepRow], dtype: Any = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    """(mixed, h^L), both [num_rows, d]."""
    firsts, lasts = zip(*(hidden(row.request_id, row.position, dtype) for row in rows), strict=True)
    h_last = torch.stack(lasts)
    before = h_last.clone()
    mixed = core.step(rows, torch.stack(firsts), h_last)
    assert torch.equal(h_last, before)  # never written to
    return mixed, h_last


def decode(core: ESampCore, request_ids: list[str], positions: range, dtype: Any = torch.float32) -> torch.Tensor:
    """[num_steps, num_requests, d]"""
    steps = [step(core, [StepRow(request_id, at, PROMPT) for request_id in request_ids], dtype)[0] for at in positions]
    return torch.stack(steps)


@dataclass
class Request:
    """A made-up completion of some tokens, whose prompt is read in chunks of two."""

    name: str
    group: str
    beta: float
    num_tokens: int
    position: int = 1

    def row(self) -> StepRow:
        return StepRow(self.name, self.position, PROMPT)

    @property
    def guided(self) -> bool:
        return self.position >= PROMPT


@dataclass
class Traffic:
    """Groups of five requests of various lengths, at most six requests and three groups in flight."""

    num_groups: int = 12
    waiting: list[Request] = field(default_factory=list)
    flying: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        choice = random.Random(0)
        self.waiting = [
            Request(f"{group}.{i}", group, choice.choice([0.25, 0.25, 1.0, 0.0]), choice.randrange(4, 20))
            for group in map(str, range(self.num_groups))
            for i in range(5)
        ]

    def steps(self, core: ESampCore) -> Iterator[list[Request]]:
        """Yield the requests of each step, and let the core know who comes and goes."""
        while self.waiting or self.flying:
            while self.waiting and len(self.flying) < 6 and core.has_room(self.waiting[0].group):
                request = self.waiting.pop(0)
                assert core.join(request.name, request.group, group_size=5, beta=request.beta)
                self.flying.append(request)
            yield self.flying
            for request in self.flying:
                request.position += 1 if request.guided else 2
            for request in self.flying:
                if request.position - PROMPT >= request.num_tokens:
                    core.leave(request.name)
            self.flying = [r for r in self.flying if r.position - PROMPT < r.num_tokens]


@BOTH_LAYOUTS
@pytest.mark.parametrize("train_every", [1, 3])
@pytest.mark.parametrize("start", ["mean", "paper"])
@torch.inference_mode()
def test_the_core_does_what_autograd_and_plain_loops_do(all_slots: bool, train_every: int, start: Any) -> None:
    """Twelve groups in three slots, requests that come and go, prompts in chunks, several β: over 500 guided rows."""
    core = core_of(num_slots=3, all_slots=all_slots, train_every=train_every, start=start)
    references, num_guided = dict[str, ReferenceDistiller](), 0
    for requests in Traffic().steps(core):
        mixed, h_last = step(core, [request.row() for request in requests])
        for group in dict.fromkeys(request.group for request in requests if request.guided):
            mine = [i for i, request in enumerate(requests) if request.guided and request.group == group]
            beta = torch.tensor([[requests[i].beta] for i in mine])
            with torch.inference_mode(False), torch.enable_grad():
                how = {"input_norm": True, "from_mean": start == "mean", "train_every": train_every}
                new = ReferenceDistiller(D, W, learning_rate=RATE, **how)
                rows = [hidden(requests[i].name, requests[i].position) for i in mine]
                h_first, last = (torch.stack(part) for part in zip(*rows, strict=True))
                expected = references.setdefault(group, new).step(h_first, last, beta)
            torch.testing.assert_close(mixed[mine].double(), expected, rtol=1e-4, atol=1e-4)
            num_guided += sum(requests[i].beta > 0 for i in mine)
        untouched = [i for i, request in enumerate(requests) if not request.guided or request.beta == 0]
        assert torch.equal(mixed[untouched], h_last[untouched])
    statistics = core.statistics()
    assert (len(references), statistics.groups, statistics.rows_guided) == (12, 12, num_guided)
    assert num_guided > 500


@BOTH_LAYOUTS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_at_beta_0_every_row_is_trained_on_and_none_is_touched(dtype: Any, all_slots: bool) -> None:
    core, guided = core_of(beta=0.0, all_slots=all_slots), core_of(beta=1.0, all_slots=all_slots)
    for i in range(3):
        core.join(f"r{i}", "ab"[i % 2])
        guided.join(f"r{i}", "ab"[i % 2])
    for position in range(PROMPT, PROMPT + 12):
        rows = [StepRow(f"r{i}", position, PROMPT) for i in range(3)]
        mixed, h_last = step(core, rows, dtype)
        assert mixed.dtype == dtype
        assert torch.equal(mixed.view(torch.uint8), h_last.view(torch.uint8))
        assert not any(map(torch.equal, step(guided, rows, dtype)[0], h_last))
    statistics, expected = core.statistics(), guided.statistics()
    assert (statistics.rows_guided, statistics.rows_trained) == (0, 36)
    assert (statistics.first_loss, statistics.last_loss) == (expected.first_loss, expected.last_loss)


def test_rows_of_others_and_of_the_prompt_are_left_alone() -> None:
    core = core_of()
    core.join("mine", "a")
    rows = [StepRow("mine", 1, PROMPT), StepRow("other", 9, PROMPT), StepRow("mine", PROMPT - 1, PROMPT)]
    mixed, h_last = step(core, rows)
    assert torch.equal(mixed, h_last)
    assert (core.statistics().steps, core.statistics().rows_trained) == (0, 0)
    mixed, h_last = step(core, [*rows, StepRow("mine", PROMPT, PROMPT)])
    assert [torch.equal(*pair) for pair in zip(mixed, h_last, strict=True)] == [True, True, True, False]


def test_the_first_token_is_guided_only_where_that_is_wanted() -> None:
    core = core_of(guide_first_token=True)
    core.join("mine", "a")
    mixed, h_last = step(core, [StepRow("mine", PROMPT - 2, PROMPT), StepRow("mine", PROMPT - 1, PROMPT)])
    assert [torch.equal(*pair) for pair in zip(mixed, h_last, strict=True)] == [True, False]


@BOTH_LAYOUTS
def test_a_group_does_not_notice_other_groups_nor_its_slot(all_slots: bool) -> None:
    alone, crowded = core_of(all_slots=all_slots), core_of(all_slots=all_slots)
    for i in range(9):
        crowded.join(f"x{i}", f"x{i % 3}")
    for core in (alone, crowded):
        core.join("a", "mine")
        core.join("b", "mine")
    expected = decode(alone, ["a", "b"], range(PROMPT, 30))
    others = [f"x{i}" for i in range(9)]
    assert torch.equal(decode(crowded, ["x0", "a", *others[1:], "b"], range(PROMPT, 30))[:, [1, 10]], expected)


@BOTH_LAYOUTS
def test_a_slot_used_before_gives_the_same_as_a_new_one(all_slots: bool) -> None:
    core = core_of(num_slots=1, all_slots=all_slots)
    outcomes = []
    for key in ("first", "second"):
        assert core.join("a", key)
        assert not core.join("late", "third")
        outcomes.append(decode(core, ["a"], range(PROMPT, 30)))
        core.leave("a")
        core.leave("late")
    assert torch.equal(*outcomes)


@torch.inference_mode()
@pytest.mark.parametrize("rows_per_group", [1, 4])
def test_a_group_depends_on_itself_alone_at_real_sizes_too(rows_per_group: int) -> None:
    """BLAS adds up in another order for a batch of one than for a batch of many, where matrices are large."""
    d, width, generator = 576, 48, torch.Generator().manual_seed(0)
    alone, crowded = (
        ESampCore(ESampSettings(width=width, learning_rate=RATE, train_every=2, num_slots=4), d, 4) for _ in range(2)
    )
    requests = [(f"{group}{i}", group) for group in "abcd" for i in range(rows_per_group)]
    for request_id, group in requests:
        crowded.join(request_id, group)
    for request_id, group in requests[:rows_per_group]:
        alone.join(request_id, group)
    rows = [StepRow(request_id, PROMPT, PROMPT) for request_id, _ in requests]
    for _ in range(9):
        h_first, h_last = (torch.randn(len(rows), d, generator=generator) for _ in range(2))
        together = crowded.step(rows, h_first, h_last)[:rows_per_group]
        mine = slice(0, rows_per_group)
        assert torch.equal(together, alone.step(rows[mine], h_first[mine], h_last[mine]))


def test_one_run_repeats_another_bit_for_bit() -> None:
    def run() -> list[torch.Tensor]:
        core = core_of(control="noise")
        return [step(core, [r.row() for r in requests])[0] for requests in Traffic(4).steps(core)]

    assert all(map(torch.equal, run(), run()))


@pytest.mark.parametrize("control", ["none", "noise", "subtract", "vocabulary", "untrained", "mean"])
def test_both_layouts_agree_for_every_control(control: str) -> None:
    head = torch.randn(11, D, generator=torch.Generator().manual_seed(3))
    cores = [core_of(control=control, head=head, all_slots=all_slots) for all_slots in (False, True)]
    for core in cores:
        for i in range(6):
            core.join(f"r{i}", "abc"[i % 3], seed=i)
    ours, theirs = (decode(core, [f"r{i}" for i in range(6)], range(PROMPT, 25)) for core in cores)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert cores[0].statistics().rows_trained == (0 if control in ("untrained", "mean") else 22 * 6)


def test_members_of_a_group_learn_from_each_other_and_groups_do_not() -> None:
    """After 200 steps of other members, new rows are less of a surprise in their group than in a new one."""
    core = core_of(learning_rate=2e-2, max_rows=16)
    before = [f"before{i}" for i in range(8)]
    for request_id in before:
        core.join(request_id, "a")
    decode(core, before, range(PROMPT, PROMPT + 200))
    new = [f"{group}{i}" for i in range(8) for group in "ab"]
    for request_id in new:
        core.join(request_id, request_id[0])
    decode(core, new, range(PROMPT, PROMPT + 1))
    here, there = (
        sum(core.request_statistics(name)["esamp_novelty"] for name in new if name.startswith(group)) for group in "ab"
    )
    assert here < 0.9 * there


@BOTH_LAYOUTS
def test_training_after_every_third_step_goes_by_each_groups_own_steps(all_slots: bool) -> None:
    core, alone = (core_of(train_every=3, all_slots=all_slots) for _ in range(2))
    core.join("early", "a")
    decode(core, ["early"], range(PROMPT, PROMPT + 2))
    for running in (core, alone):
        running.join("late", "b")
    late = decode(core, ["early", "late"], range(PROMPT + 2, PROMPT + 8))[:, 1]
    assert torch.equal(late, decode(alone, ["late"], range(PROMPT + 2, PROMPT + 8))[:, 0])
    # early trains after its steps 3 and 6 of 8, late after its steps 3 and 6; each on three rows.
    assert (core.statistics().rows_trained, alone.statistics().rows_trained) == (12, 6)


@BOTH_LAYOUTS
def test_what_a_group_left_untrained_is_not_learned_by_the_next_in_its_slot(all_slots: bool) -> None:
    used, new = (core_of(train_every=3, num_slots=1, all_slots=all_slots) for _ in range(2))
    used.join("before", "a")
    decode(used, ["before"], range(PROMPT, PROMPT + 5))
    used.leave("before")
    for core in (used, new):
        core.join("after", "b")
    ours, theirs = (decode(core, ["after"], range(PROMPT, PROMPT + 9)) for core in (used, new))
    assert torch.equal(ours, theirs)
    assert (used.statistics().rows_trained, new.statistics().rows_trained) == (12, 9)


def test_rows_without_a_slot_stay_as_they_are_and_are_counted_and_reported() -> None:
    core = core_of(num_slots=1)
    assert core.join("a", "first")
    assert not core.join("b", "second")
    assert not core.join("b", "second")
    mixed, h_last = step(core, [StepRow("a", PROMPT, PROMPT), StepRow("b", PROMPT, PROMPT), StepRow("b", 0, PROMPT)])
    assert [torch.equal(*pair) for pair in zip(mixed, h_last, strict=True)] == [False, True, True]
    assert core.statistics().rows_without_slot == 1
    assert "left 1 rows unguided" in core.statistics().warnings(ESampSettings())[0]


def test_novelty_is_the_relative_distance_of_the_prediction() -> None:
    core = core_of(beta=1.0)
    core.join("a", "first")
    core.join("b", "second")
    rows = [StepRow("a", PROMPT, PROMPT), StepRow("b", PROMPT, PROMPT)]
    mixed, h_last = step(core, rows)  # at β = 1 it moves by the error
    expected = ((mixed - h_last).norm(dim=-1) / h_last.norm(dim=-1)).tolist()
    found = [core.request_statistics(name)["esamp_novelty"] for name in "ab"]
    assert found == pytest.approx(expected, rel=1e-5)
    assert core.statistics().mean_novelty == pytest.approx(sum(expected) / 2, rel=1e-5)


def test_kl_goes_to_the_requests_that_were_guided() -> None:
    core = core_of()
    core.join("a", "first")
    core.join("b", "first", beta=0.0)
    rows = [StepRow("b", PROMPT, PROMPT), StepRow("other", 5, PROMPT), StepRow("a", PROMPT, PROMPT)]
    mixed, h_last = step(core, rows)
    kl = kl_divergence(mixed, h_last)
    core.record(Measured(kl, kl + 1, kl + 2))
    assert kl[2].item() > 0
    assert core.request_statistics("a")["esamp_kl"] == pytest.approx(kl[2].item())
    assert "esamp_kl" not in core.request_statistics("b")
    statistics = core.statistics()
    measured = (statistics.mean_kl, statistics.mean_entropy, statistics.mean_reference_entropy)
    assert measured == pytest.approx([kl[2].item() + more for more in range(3)])


def test_a_request_that_left_can_be_asked_about_once() -> None:
    core = core_of()
    core.join("a", "first")
    decode(core, ["a"], range(PROMPT, PROMPT + 5))
    core.leave("a")
    core.leave("unknown")
    assert core.request_statistics("a")["esamp_guided_tokens"] == 5
    assert core.request_statistics("a") == {}


def test_requests_that_nobody_asks_about_are_forgotten_in_time() -> None:
    core = core_of()
    for i in range(MAX_DEPARTED + 10):
        core.join(f"r{i}", f"g{i}")
        core.leave(f"r{i}")
    assert core.request_statistics("r9") == {}
    assert core.request_statistics("r10") == {"esamp_guided_tokens": 0}


def test_a_run_in_which_nothing_was_handed_over_says_so() -> None:
    core = core_of()
    core.join("a", "first")
    assert "guided no token" in core.statistics().warnings(ESampSettings())[0]


def test_statistics_cover_groups_that_ended_and_groups_that_go_on() -> None:
    core = core_of(num_slots=2)
    for key in ("a", "b", "c"):
        core.join(key, key)
        decode(core, [key], range(PROMPT, PROMPT + 150))
        if key != "c":
            core.leave(key)
    statistics = core.statistics()
    assert (statistics.groups, statistics.steps, statistics.rows_guided) == (3, 450, 450)
    assert statistics.last_loss < statistics.first_loss
    assert statistics.loss_over_mean < 1
    assert statistics.warnings(ESampSettings()) == []
    assert statistics.predict_ms > 0
    assert statistics.train_ms > 0
    assert core.statistics() == statistics


@BOTH_LAYOUTS
def test_a_distiller_that_knows_less_than_the_mean_after_64_tokens_is_noticed(all_slots: bool) -> None:
    """And one that is exactly as good is not. 64 decoding steps are counted, not 64 trainings."""
    core, equal = (
        core_of(all_slots=all_slots, train_every=4, **given)
        for given in ({"start": "paper", "learning_rate": 1e-30}, {"control": "mean"})
    )
    for running in (core, equal):
        running.join("a", "a")
        decode(running, ["a"], range(PROMPT, PROMPT + 64))
        assert running.statistics().loss_over_mean is None
        decode(running, ["a"], range(PROMPT + 64, PROMPT + 67))
    assert equal.statistics().loss_over_mean == 1
    assert core.statistics().loss_over_mean > 1
    (warning,) = core.statistics().warnings(ESampSettings())
    assert "times that of the mean of earlier hidden states, after 64 tokens" in warning


@pytest.mark.parametrize("control", ["none", "vocabulary"])
def test_a_step_on_all_slots_never_asks_the_device_anything(control: str) -> None:
    """Fake tensors have no numbers, so a step that waited for one would raise, as reading the statistics does."""
    with FakeTensorMode():
        core = core_of(all_slots=True, control=control, head=torch.zeros(11, D))
        core.join("a", "a")
        core.join("b", "b", beta=0.0)
        rows = [StepRow("a", PROMPT, PROMPT), StepRow("b", PROMPT, PROMPT), StepRow("other", 9, PROMPT)]
        for _ in range(3):
            core.step(rows, torch.zeros(3, D), torch.zeros(3, D))
        core.leave("b")
        core.join("c", "c")
        with pytest.raises(Exception, match="_local_scalar_dense"):
            core.statistics()


@pytest.mark.gpu
@pytest.mark.parametrize("train_every", [1, 3])
@pytest.mark.parametrize("control", ["none", "noise", "vocabulary", "untrained"])
def test_on_cuda_the_graphs_do_what_the_cpu_does(control: str, train_every: int) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    head = torch.randn(11, D, generator=torch.Generator().manual_seed(3))
    settings = ESampSettings(width=W, learning_rate=RATE, num_slots=4, control=control, train_every=train_every)
    cpu = ESampCore(settings, D, 8, head=head)
    cuda = ESampCore(settings, D, 8, head=head.cuda(), device="cuda")
    for ours, theirs in zip(Traffic(5).steps(cpu), Traffic(5).steps(cuda), strict=True):
        rows = [request.row() for request in ours]
        assert rows == [request.row() for request in theirs]
        firsts, lasts = zip(*(hidden(row.request_id, row.position) for row in rows), strict=True)
        h_first, h_last = torch.stack(firsts), torch.stack(lasts)
        mixed = cuda.step(rows, h_first.cuda(), h_last.cuda())
        torch.testing.assert_close(mixed.cpu(), cpu.step(rows, h_first, h_last), rtol=1e-3, atol=1e-3)
    assert cuda.statistics().rows_trained == cpu.statistics().rows_trained
