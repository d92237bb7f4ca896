"""The heads of OverRIDE: worked numbers, an autograd twin, and who learns from whom."""

from __future__ import annotations

from zlib import crc32

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from hypothesis import given, settings  # noqa: E402  # after the skip
from hypothesis import strategies as st  # noqa: E402  # as above

from tts.plugins.esamp.fusion import fuse  # noqa: E402  # as above
from tts.plugins.override.core import OverrideCore  # noqa: E402  # as above
from tts.plugins.override.heads import INITIAL_DEVIATION, HeadSet  # noqa: E402  # as above
from tts.plugins.override.settings import OverrideSettings  # noqa: E402  # as above

CPU = torch.device("cpu")
SIZES = {"hidden_size": 6, "vocabulary": 11}


class Twin:
    """The source in torch's own words: heads as linear layers, one loss over all rows, autograd, one Adam."""

    def __init__(self, heads: HeadSet, number: int, rank: int) -> None:
        self.down = [torch.nn.Linear(SIZES["hidden_size"], rank, bias=False) for _ in range(number)]
        self.up = [torch.nn.Linear(rank, SIZES["vocabulary"], bias=False) for _ in range(number)]
        for head in range(number):
            self.down[head].weight.data.copy_(heads._template[head])
            torch.nn.init.zeros_(self.up[head].weight)
        self.adam = torch.optim.Adam([layer.weight for layer in (*self.down, *self.up)], lr=1e-3)

    def added(self, head: int, h: torch.Tensor) -> torch.Tensor:
        return self.up[head](self.down[head](h))

    def learn(self, heads, h, logits, tokens) -> float:
        rows = [row for row, head in enumerate(heads) if head >= 0]
        told = torch.stack([logits[row] + self.added(heads[row], h[row]) for row in rows])
        loss = torch.nn.functional.cross_entropy(told, tokens[rows])
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        self.adam.step()
        return loss.item()


def test_worked_numbers() -> None:
    """z = (2, 1, 0), H = (.5, 0, −.5), λ .8 → (1.6, 1, .4); the gradient at token 0 is softmax(z + H) − e₀."""
    z, added = torch.tensor([2.0, 1.0, 0.0]), torch.tensor([0.5, 0.0, -0.5])
    fused = fuse(z, z + added, 0.8)
    assert fused.tolist() == pytest.approx([1.6, 1.0, 0.4])
    assert fused.softmax(-1).tolist() == pytest.approx([0.5405, 0.2967, 0.1628], abs=1e-4)
    added.requires_grad_()
    torch.nn.functional.cross_entropy((z + added).unsqueeze(0), torch.tensor([0])).backward()
    assert added.grad is not None
    assert added.grad.tolist() == pytest.approx([-0.2144, 0.1753, 0.0391], abs=1e-4)
    assert ((z + added).softmax(-1) - torch.tensor([1.0, 0.0, 0.0])).tolist() == pytest.approx(added.grad.tolist())


def test_fresh_heads_add_nothing_and_begin_as_the_source_says() -> None:
    heads = HeadSet(OverrideSettings(), 576, 100, CPU)
    assert heads.add([0, 3, 8], torch.randn(3, 576)).abs().max() == 0
    assert heads._down.std().item() == pytest.approx(INITIAL_DEVIATION, rel=0.02)
    assert heads._down.shape == (9, 16, 576)


@settings(derandomize=True, max_examples=15, deadline=None)
@given(
    st.lists(st.lists(st.integers(-1, 2), min_size=1, max_size=5), min_size=1, max_size=12),
    st.integers(1, 4),
    st.integers(0, 2**20),
)
def test_every_step_is_autograds_with_one_adam(steps: list[list[int]], rank: int, seed: int) -> None:
    """Heads come and go, several rows share one; what has no row in a step stays."""
    generator = torch.Generator().manual_seed(seed)
    heads = HeadSet(OverrideSettings(num_heads=3, rank=rank), 6, 11, CPU)
    twin = Twin(heads, 3, rank)
    for chosen in steps:
        if max(chosen) < 0:
            continue
        h = torch.randn(len(chosen), 6, generator=generator) * 5
        logits = torch.randn(len(chosen), 11, generator=generator) * 3
        tokens = torch.randint(11, (len(chosen),), generator=generator)
        loss = heads.learn(chosen, h, logits, tokens)
        assert loss.item() == pytest.approx(twin.learn(chosen, h, logits, tokens), abs=1e-5)
        probe = torch.randn(3, 6, generator=generator)
        wanted = torch.stack([twin.added(head, probe[head]) for head in range(3)]).detach()
        assert torch.allclose(heads.add([0, 1, 2], probe), wanted, atol=1e-5)


def core_of(**keys) -> OverrideCore:
    return OverrideCore(OverrideSettings(rank=2, **keys), 6, 11, max_rows=8, device="cpu")


def played(core: OverrideCore, names: list[str], seed: int, steps: int = 5) -> list[torch.Tensor]:
    """The fused logits of steps whose states, logits and tokens depend on seed, step and name alone."""
    fused = []
    for step in range(steps):
        parts = []
        for name in names:
            generator = torch.Generator().manual_seed(crc32(f"{seed} {step} {name}".encode()))
            parts.append((torch.randn(6, generator=generator) * 5, torch.randn(11, generator=generator)))
        h, logits = (torch.stack(column) for column in zip(*parts, strict=True))
        fused.append(core.fuse(names, h, logits))
        core.learn(fused[-1].argmax(-1))
    return fused


def joined(core: OverrideCore, problem: str, number: int, **keys) -> list[str]:
    names = [f"{problem}{index}" for index in range(number)]
    for name in names:
        assert core.join(name, problem, group_size=number, **keys)
    return names


def test_the_first_sample_and_the_first_step_are_plain_and_later_ones_are_not() -> None:
    core, plain = core_of(), core_of(beta=0.0)
    names = joined(core, "a", 3)
    joined(plain, "a", 3)
    for step, (fused, logits) in enumerate(zip(played(core, names, 1), played(plain, names, 1), strict=True)):
        assert torch.equal(fused[0], logits[0])
        assert torch.equal(fused, logits) == (step == 0)


def test_at_beta_0_nothing_changes_bit_for_bit_but_the_heads_learn() -> None:
    core = core_of()
    names = joined(core, "a", 3, beta=0.0)
    others = core_of(num_heads=1)
    for name in names:
        others.join(name, "b" + name)  # each its problem's first
    assert all(map(torch.equal, played(core, names, 2), played(others, names, 2)))
    assert core.statistics()["rows_trained"] == 15


def test_samples_behind_the_last_head_are_plain() -> None:
    core, plain = core_of(num_heads=2), core_of(beta=0.0)
    names = joined(core, "a", 5)
    joined(plain, "a", 5)
    moved = [
        (fused != logits).any(-1) for fused, logits in zip(played(core, names, 3), played(plain, names, 3), strict=True)
    ]
    assert torch.stack(moved).any(0).tolist() == [False, True, True, False, False]


def test_a_problem_depends_on_itself_alone_and_on_those_before_where_heads_are_shared() -> None:
    alone = played(core := core_of(), joined(core, "a", 3), 4)
    for scope, same in (("prompt", True), ("shared", False)):
        core = core_of(scope=scope)
        played(core, first := joined(core, "b", 3), 5)
        for name in first:
            core.leave(name)
        again = played(core, joined(core, "a", 3), 4)
        assert all(map(torch.equal, alone, again)) == same


def test_problems_side_by_side_do_not_mix() -> None:
    alone = played(core := core_of(), joined(core, "a", 3), 4)
    core = core_of()
    beside = played(core, joined(core, "a", 3) + joined(core, "b", 2), 4)
    assert all(torch.equal(fused[:3], wanted) for fused, wanted in zip(beside, alone, strict=True))


def test_a_set_of_heads_is_free_again_when_its_problem_is_over_and_without_one_a_request_is_plain() -> None:
    core = core_of(num_slots=1)
    names = joined(core, "a", 2)
    assert not core.join("b0", "b", group_size=1)
    assert "left 1 requests plain" in core.warnings()[-1]
    for name in names:
        core.leave(name)
    assert core.join("c0", "c", group_size=1)
    assert core.statistics()["groups"] == 2


def test_a_run_of_single_candidates_says_that_it_was_plain() -> None:
    core = core_of()
    played(core, joined(core, "a", 1), 6)
    assert "guided no token" in core.warnings()[0]
