"""The embedded engine: any causal language model of the `transformers` library, on a CPU or a GPU."""

from tts.engines.transformers.engine import TransformersEngine

__all__ = ["TransformersEngine"]
