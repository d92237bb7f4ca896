"""What `tts doctor` shows of the sandbox on this machine."""

from __future__ import annotations

from collections.abc import Iterator

from tts.errors import VerifierError
from tts.sandbox import Sandbox


def sandbox_health() -> Iterator[str]:
    """Start a sandbox and yield a line for the profile that holds, then one for each layer that was tried.

    Where none holds: one line that says why, and what to do.
    """
    try:
        with Sandbox(workers=1, packages=()) as sandbox:
            profile = sandbox.profile
    except VerifierError as error:
        yield f"none: {error}"
        return
    yield f"profile {profile.name}"
    for layer in profile.layers:
        said = "; ".join(filter(None, ("seen to hold" if layer.holds else "does not hold", layer.detail)))
        yield f"{layer.name:<12} {said}" + (f": {layer.advice}" if layer.advice and not layer.holds else "")
