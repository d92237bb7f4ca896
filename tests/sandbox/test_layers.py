"""What a unit test can say of the layers; that they hold, the hostile programs show."""

import pytest

from tts.errors import VerifierError
from tts.sandbox import Sandbox, probe


def test_every_profile_is_probed_with_all_its_guards_and_advice() -> None:
    profiles = probe()
    assert [profile.name for profile in profiles] == ["full", "landlock+seccomp", "rlimits-only"]
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
