"""What can go wrong, one class per boundary. Every message says what, where, and what to do."""


class TTSError(Exception):
    """Base of all errors that this package raises on purpose."""


class RecipeError(TTSError):
    """A recipe, an override or a component's parameters are wrong; raised before anything is loaded."""


class RegistryError(RecipeError):
    """A component's name is unknown, or the plugin that provides it cannot be imported."""


class MissingExtraError(TTSError):
    """An optional dependency is not installed; the message names the install command."""

    def __init__(self, package: str, extra: str, needed_by: str) -> None:
        super().__init__(
            f"{needed_by} needs the package `{package}`, which is not installed. "
            f"Install it with: pip install 'tts-toolkit[{extra}]'"
        )


class ProblemsError(TTSError):
    """A problem set cannot be read at all (a single bad row is a `RowError` record instead)."""


class EngineError(TTSError):
    """The engine cannot load its model or cannot go on."""


class ScorerError(TTSError):
    """A scorer returned something that its reader cannot use."""


class VerifierError(TTSError):
    """A verifier cannot work at all (one answer it cannot decide is a verdict, not an error)."""


class RunFolderError(TTSError):
    """The run folder cannot be read, written, locked or resumed."""
