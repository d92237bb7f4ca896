from __future__ import annotations

from tts.programs.health import sandbox_health
from tts.sandbox import Sandbox


def test_the_profile_and_every_layer_are_told_or_why_there_is_none() -> None:
    first, *layers = sandbox_health()
    if first.startswith("none: "):
        assert layers == []
        return
    with Sandbox(workers=1, packages=()) as sandbox:
        assert first == f"profile {sandbox.profile.name}"
        names = [layer.name for layer in sandbox.profile.layers]
    assert [line.split()[0] for line in layers] == names
    assert all("hold" in line for line in layers)
