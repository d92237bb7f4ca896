"""Tasks: the words around a problem, and the verifier that knows its answers."""

from __future__ import annotations

from typing import cast, get_args

from tts.components import registry
from tts.protocols import Task
from tts.types import Kind


def every_task(own: Task) -> dict[str, Task]:
    """Return the task for each kind of problem: `own` for its kind, the built-in ones for the others."""
    defaults = {kind: cast("Task", registry.load("tasks", kind)()) for kind in get_args(Kind)}
    return {**defaults, own.kind: own}
