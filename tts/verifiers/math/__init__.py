"""Answers that are mathematics."""

from tts.verifiers.math.verifier import MathVerifier

__all__ = ["MathVerifier"]
