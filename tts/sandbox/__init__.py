"""A sandbox for programs that nobody trusts; a library of its own, see `Sandbox`."""

from tts.sandbox.mechanisms import probe
from tts.sandbox.records import Layer, Limits, Profile, ProgramRun, Results, Returned, Value
from tts.sandbox.sandbox import Sandbox

__all__ = ["Layer", "Limits", "Profile", "ProgramRun", "Results", "Returned", "Sandbox", "Value", "probe"]
