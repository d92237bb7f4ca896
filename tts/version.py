"""The version, in one place (read by the build, `tts --version` and every run folder)."""

__version__ = "0.1.0"
