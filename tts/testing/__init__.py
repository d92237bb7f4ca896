"""What authors of components test them with."""

from tts.testing.converse import OrderMattersError, converse

__all__ = ["OrderMattersError", "converse"]
