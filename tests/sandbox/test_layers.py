"""What a unit test can say of the layers; that they hold, the hostile programs show."""

import re
from pathlib import Path

import pytest

from tts.errors import VerifierError
from tts.sandbox import Sandbox, probe
from tts.sandbox.inside import calls

TABLES = (calls.HARMLESS, calls.CONDITIONAL, calls.HOSTILE)
HEADERS = {
    0: Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    1: Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("column", HEADERS)
def test_the_numbers_of_the_system_calls_are_the_kernels(column: int) -> None:
    if not HEADERS[column].exists():
        pytest.skip(f"no {HEADERS[column]}: install the kernel's headers")
    pairs = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", HEADERS[column].read_text())
    known = {name: int(number) for name, number in pairs}
    known.setdefault("newfstatat", known.get("fstatat", -1))
    ours = {name: numbers[column] for table in TABLES for name, numbers in table.items()}
    assert {name: known.get(name) for name, number in ours.items() if number is not None} == {
        name: number for name, number in ours.items() if number is not None
    }


def test_no_system_call_is_in_two_tables() -> None:
    names = [name for table in TABLES for name in table]
    assert len(names) == len(set(names))


def test_every_profile_is_probed_with_all_its_guards_and_advice() -> None:
    profiles = probe()
    assert [profile.name for profile in profiles] == ["full", "landlock+seccomp", "bubblewrap", "rlimits-only"]
    for profile in profiles:
        assert all(layer.holds or layer.detail for layer in profile.layers)


def test_a_weak_sandbox_must_be_allowed_and_never_is_for_root() -> None:
    with pytest.raises(VerifierError, match="allow_weak_sandbox"):
        Sandbox(profile="rlimits-only").open()


def test_workers_must_be_at_least_one() -> None:
    with pytest.raises(VerifierError, match="`workers` must be 1 or more, got 0"):
        Sandbox(workers=0)


def test_a_closed_sandbox_says_so() -> None:
    sandbox = Sandbox()
    sandbox.close()
    with pytest.raises(VerifierError, match="call `open` first"):
        _ = sandbox.profile
    assert sandbox.run("print(1)").outcome == "harness_error"
