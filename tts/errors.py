"""What can go wrong, one class per boundary. Every message says what, where, and what to do."""


class TTSError(Exception):
    """Base of all errors that this package raises on purpose. `exit_code`: how the command line ends on it."""

    exit_code = 1


class UsageError(TTSError):
    """The command was given something it cannot work with; nothing was started."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe, an override or a component's parameters are wrong; raised before anything is loaded."""


class RegistryError(RecipeError):
    """A component's name is unknown, or the plugin that provides it cannot be imported."""


class MissingExtraError(UsageError):
    """An optional dependency is not installed; the message names the install command."""

    def __init__(self, package: str, extra: str, needed_by: str) -> None:
        super().__init__(
            f"{needed_by} needs the package `{package}`, which is not installed. "
            f"Install it with: pip install 'tts-toolkit[{extra}]'"
        )


class ProblemsError(UsageError):
    """A problem set cannot be read at all (a single bad row is a `RowError` record instead)."""


class EngineError(TTSError):
    """The engine cannot load its model or cannot go on."""


class ScorerError(TTSError):
    """A scorer returned something that its reader cannot use."""


class VerifierError(TTSError):
    """A verifier cannot work at all (one answer it cannot decide is a verdict, not an error)."""


class RunFolderError(UsageError):
    """The run folder cannot be read, locked or resumed."""


class RunWriteError(TTSError):
    """The run folder cannot be written any more (a full disk, say); what it holds is whole and readable."""
