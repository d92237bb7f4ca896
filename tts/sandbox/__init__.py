"""A sandbox for programs that nobody trusts; a library of its own, see `Sandbox`."""

from tts.sandbox.mechanisms import probe
from tts.sandbox.records import Called, Checked, Layer, Limits, Profile, ProgramRun, Returned, Value
from tts.sandbox.sandbox import Sandbox

__all__ = ["Called", "Checked", "Layer", "Limits", "Profile", "ProgramRun", "Returned", "Sandbox", "Value", "probe"]
