"""How our behaviour gets in front of an object of vLLM's, whose class is only known while it runs."""

from __future__ import annotations

from typing import Any

Base: Any = object
"""Stands for vLLM's class that a mix-in is put in front of."""


def put_in_front(instance: Any, *mixins: type, **attributes: Any) -> None:
    """Let `instance` behave as if its class had been derived from the mix-ins and itself, with these attributes."""
    cls = type(instance)
    instance.__class__ = type(f"TTS{cls.__name__}", (*mixins, cls), {"__module__": cls.__module__})
    for name, value in attributes.items():
        setattr(instance, name, value)
