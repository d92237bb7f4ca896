"""A sandbox for programs that nobody trusts; a library of its own, see `Sandbox`."""

from tts.verifiers.code.sandbox.mechanisms import probe
from tts.verifiers.code.sandbox.records import Called, Checked, Layer, Limits, Profile, Returned, Run, Value
from tts.verifiers.code.sandbox.sandbox import Sandbox

__all__ = ["Called", "Checked", "Layer", "Limits", "Profile", "Returned", "Run", "Sandbox", "Value", "probe"]
