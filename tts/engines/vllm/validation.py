"""Refuses wrong values of a request before they reach the engine: a server then answers with HTTP 400, and lives on."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tts.engines.vllm.request_values import values_of

INTERFACES = (
    "vllm.v1.sample.logits_processor",
    "vllm.v1.worker.gpu.sample.logits_processor",
)
"""Where vLLM keeps what a logits processor must derive from, for either of its runners; older ones lack the second."""


def _interfaces() -> tuple[type, ...]:
    found = []
    for module in INTERFACES:
        try:
            found.append(import_module(module).LogitsProcessor)
        except (ImportError, AttributeError):
            continue
    return tuple(found)


class CheckedValues(*_interfaces()):  # type: ignore[misc]  # the bases depend on vLLM's version
    """A logits processor that leaves the logits alone: it is there for `validate_params`, vLLM's place for checks."""

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """Raise ValueError with one line that names the key, the value and what is allowed."""
        values_of(sampling_params)

    def __init__(self, *_: Any) -> None:
        """Take what either runner gives, and keep nothing."""

    def add_request(self, req_idx: int, sampling_params: Any) -> bool:  # noqa: ARG002  # vLLM's signature
        """Tell the second runner that no logits are changed."""
        return False

    def is_argmax_invariant(self) -> bool:
        """Tell the first runner that greedy requests need not pass here."""
        return True

    def update_state(self, batch_update: Any) -> None:
        """Nothing is kept."""

    def apply(self, logits: Any, *_: Any) -> Any:
        """Return the logits as they are."""
        return logits
