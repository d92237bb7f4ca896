"""Test-time scaling: draw many candidates from a language model, choose one, check it, and count the cost."""

from tts.version import __version__

__all__ = ["__version__"]
