"""The layout for devices that run ahead of the host, against exactly the rows there are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402  # after the skip

from tts.plugins.esamp.controls import control_of  # noqa: E402  # as above
from tts.plugins.esamp.core import ESampCore, StepRow  # noqa: E402  # after the skip
from tts.plugins.esamp.device_core import DeviceCore, DeviceRows  # noqa: E402  # as above
from tts.plugins.esamp.graphs import covering, sizes_to_capture  # noqa: E402  # as above
from tts.plugins.esamp.grid import DistillerGrid, GridSize, cells_for  # noqa: E402  # as above
from tts.plugins.esamp.settings import ESampSettings  # noqa: E402  # as above

D, W, PROMPT, STOP = 16, 8, 50, 7
NOBODY = 200


def settings_of(**given: Any) -> ESampSettings:
    return ESampSettings(**{"width": W, "num_slots": 4, "learning_rate": 4e-3, "train_every": 1, **given})


def cores_of(half: bool = False, **given: Any) -> tuple[ESampCore, DeviceCore]:
    """Exact rows, and the device's layout."""
    settings, head = settings_of(**given), torch.randn(11, D, generator=torch.Generator().manual_seed(3))
    device = DeviceCore(
        settings, D, num_members=NOBODY, max_rows=32, device=torch.device("cpu"), head=head, half=half
    )  # fmt: skip
    return ESampCore(settings, D, 32, head=head, all_slots=False), device


def step(device: DeviceCore, rows: DeviceRows, h_first: torch.Tensor, h_last: torch.Tensor) -> torch.Tensor:
    """The mixed rows of a step, after which the distillers have learnt from it."""
    mixed, predicted = device.predict(device.size, rows, h_first, h_last)
    device.train(predicted)
    return mixed


@dataclass
class Request:
    """One that decodes from PROMPT on; after `end` it has one row more, a ghost."""

    name: str
    group: str
    size: int
    member: int
    beta: float
    end: int
    position: int = PROMPT
    again: bool = False
    seat: Any = None


@dataclass
class Traffic:
    """Groups of four come and go, rows pause, ended requests have a ghost row, some rows are drawn twice."""

    seed: int
    live: list[Request] = field(default_factory=list)
    number: int = 0

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)

    def chance(self, share: float) -> bool:
        return torch.rand(1, generator=self.generator).item() < share

    def fill(self, exact: ESampCore, device: DeviceCore, num_groups: int) -> None:
        while len({request.group for request in self.live}) < num_groups:
            group = f"g{self.number // 4}"
            for k in range(4):
                end = PROMPT + 8 + int(torch.randint(20, (1,), generator=self.generator))
                request = Request(f"r{self.number}", group, 4, self.number % NOBODY, 0.0 if k == 3 else 0.25, end)
                exact.join(request.name, group, group_size=4, beta=request.beta, seed=self.number)
                request.seat = device.join(request.name, request.member, group, 4, beta=request.beta)
                self.live.append(request)
                self.number += 1

    def rows(self) -> list[Request]:
        return [request for request in self.live if not self.chance(0.1)]


def on_device(rows: list[Request], *, ghosts_masked: bool = True, doubled_seen: bool = True) -> DeviceRows:
    """The rows as the device knows them."""
    ended = [ghosts_masked and request.position >= request.end for request in rows]
    return DeviceRows(
        member=torch.tensor([request.member for request in rows]),
        position=torch.tensor([request.position for request in rows]),
        live=~torch.tensor(ended),
        new=torch.tensor([not (doubled_seen and request.again) for request in rows]),
        slot=torch.tensor([request.seat.slot for request in rows]),
        cell=torch.tensor([request.seat.cell for request in rows]),
        beta=torch.tensor([request.beta for request in rows]),
        first=torch.full((len(rows),), PROMPT),
        seed=torch.tensor([int(request.name[1:]) for request in rows]),
    )


@torch.inference_mode()
def compare(exact: ESampCore, device: DeviceCore, seed: int = 0, num_groups: int = 4, **masks: bool) -> float:
    """The largest relative distance of a guided row between the two, over 70 steps."""
    traffic, far = Traffic(seed), 0.0
    for _ in range(70):
        traffic.fill(exact, device, num_groups)
        rows = traffic.rows()
        if not rows:
            continue
        h_first = torch.randn(len(rows), D, generator=traffic.generator)
        h_last = torch.tanh(h_first.roll(1, 1) * 2) * 3 + 1
        mixed = step(device, on_device(rows, **masks), h_first, h_last)
        fresh = [i for i, request in enumerate(rows) if request.position < request.end and not request.again]
        if fresh:
            named = [StepRow(rows[i].name, rows[i].position, PROMPT) for i in fresh]
            expected = exact.step(named, h_first[fresh], h_last[fresh])
            far = max(far, ((mixed[fresh] - expected).norm(dim=1) / expected.norm(dim=1)).max().item())
        for i, request in enumerate(rows):
            ghost = request.position >= request.end
            if (ghost and masks.get("ghosts_masked", True)) or request.beta == 0:
                assert torch.equal(mixed[i], h_last[i])
            elif not ghost:
                assert not torch.equal(mixed[i], h_last[i])
            if ghost:
                traffic.live.remove(request)
                exact.leave(request.name)
                device.leave(request.name)
            elif not request.again and traffic.chance(0.1):
                request.again = True  # preempted: what was drawn is thrown away, and drawn once more
            else:
                request.again = False
                request.position += 1
    return far


def totals(core: Any) -> dict[str, Any]:
    statistics = core.statistics()
    unlike = ("predict_ms", "train_ms", "wait_ms", "memory_bytes")
    return {name: value for name, value in statistics.to_dict().items() if name not in unlike and value is not None}


@pytest.mark.parametrize("start", ["mean", "paper"])
@pytest.mark.parametrize("train_every", [1, 4])
@pytest.mark.parametrize("scope", ["prompt", "shared"])
def test_the_device_knows_its_rows(start: str, train_every: int, scope: str) -> None:
    """Neither ghosts nor rows that are drawn twice are learnt from, and figures are those of exactly the others."""
    exact, device = cores_of(start=start, train_every=train_every, scope=scope)
    assert compare(exact, device) < 1e-5
    ours, theirs = totals(device), totals(exact)
    assert ours.pop("steps") >= theirs.pop("steps")  # of these, some had nothing but rows that were drawn before
    assert ours == pytest.approx(theirs, rel=1e-4)
    assert ours["rows_trained"] > 400


@pytest.mark.parametrize("seed", range(1, 6))
def test_it_does_so_whatever_comes_and_goes(seed: int) -> None:
    exact, device = cores_of(train_every=3)
    assert compare(exact, device, seed, num_groups=1 + seed % 4) < 1e-5


@pytest.mark.parametrize("mask", ["ghosts_masked", "doubled_seen"])
def test_a_row_that_must_not_be_learnt_from_would_be_seen(mask: str) -> None:
    exact, device = cores_of()
    assert compare(exact, device, **{mask: False}) > 1e-4


@pytest.mark.parametrize("control", ["noise", "subtract", "vocabulary", "untrained", "mean"])
def test_every_control_is_there(control: str) -> None:
    exact, device = cores_of(control=control)
    assert compare(exact, device) < 1e-4


def test_bfloat16_operands_and_moments_change_little() -> None:
    exact, device = cores_of(half=True)
    assert 1e-6 < compare(exact, device) < 0.02
    ours, theirs = totals(device), totals(exact)
    assert ours["last_loss"] == pytest.approx(theirs["last_loss"], rel=0.02)


def test_a_group_depends_on_itself_alone() -> None:
    """Neither on its slot nor on its neighbours, up to rounding."""
    found = []
    for before in (0, 3):
        _, device = cores_of()
        for i in range(before):
            device.join(f"before{i}", i, f"before{i}")
        seat = device.join("a", 10, "a")
        assert seat.slot == before
        request = Request("r1", "a", 1, 10, 0.25, 10**6, seat=seat)
        generator, rows = torch.Generator().manual_seed(1), []
        for _ in range(20):
            h_first, h_last = (torch.randn(1, D, generator=generator) for _ in range(2))
            rows.append(step(device, on_device([request]), h_first, h_last))
        found.append(torch.cat(rows))
    torch.testing.assert_close(*found)


def test_requests_without_a_slot_go_unguided_and_are_counted() -> None:
    exact, device = cores_of(num_slots=1)
    seats = [device.join(name, number, name) for number, name in enumerate("ab")]
    rows = on_device([Request(f"r{i}", name, 1, i, 0.25, 99, seat=seats[i]) for i, name in enumerate("ab")])
    h_first, h_last = torch.randn(2, 2, D).unbind()
    mixed = step(device, rows, h_first, h_last)
    assert [torch.equal(*pair) for pair in zip(mixed, h_last, strict=True)] == [False, True]
    assert device.statistics().rows_without_slot == 1
    assert exact.statistics().rows_without_slot == 0


def test_a_step_works_on_no_more_than_is_in_use() -> None:
    _, device = cores_of(num_slots=8)
    assert device.size == (1, 16)
    for group in range(3):
        for k in range(16):
            device.join(f"{group}.{k}", 16 * group + k, f"g{group}")
    assert device.size == (4, 16)
    for k in range(16):
        device.leave(f"2.{k}")
    assert device.size == (2, 16)
    for k in range(16):
        device.leave(f"1.{k}")
    device.join("one more", 60, "g0")
    assert device.size == (1, 64)


def test_what_is_forgotten_leaves_nothing() -> None:
    exact, device = cores_of()
    compare(*cores_of()[:1], device)
    device.forget()
    assert totals(device) == totals(exact)
    assert compare(exact, device) < 1e-5
    assert totals(device)["rows_trained"] == totals(exact)["rows_trained"]


def test_the_grid_asks_the_device_nothing() -> None:
    """A fake tensor has no numbers: whatever needs one, as a host that waits for its device does, raises."""
    with FakeTensorMode(), torch.no_grad():
        settings = settings_of(num_slots=2)
        grid = DistillerGrid(settings, control_of(settings, None), D, 16, half=False, device=torch.device("cpu"))
        predicted = grid.predict(torch.zeros(2, 16, D), torch.zeros(2, 16, D), torch.zeros(2, 16))
        learnt = grid.train(predicted)
        grid.reset(1)
        with pytest.raises(Exception, match="_local_scalar_dense"):
            learnt.losses.sum().item()


def test_sizes_worth_a_graph_are_few_and_cover_every_step() -> None:
    sizes = sizes_to_capture(8, cells_for(256), 256)
    assert len(sizes) == 11
    assert max(sizes) == (8, 256)
    for slots in range(1, 9):
        for cells in (1, 16, 17, 256):
            found = covering(GridSize(slots, cells), sizes)
            assert found in sizes
            assert (found.slots >= slots, found.cells >= cells) == (True, True)
    assert covering(GridSize(3, 20), sizes) == (4, 64)
    assert cells_for(300) == [16, 64, 256, 300]
