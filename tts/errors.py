"""What can go wrong, one class per boundary. Every message says what, where, and what to do."""

from __future__ import annotations

import json
from collections.abc import Collection
from difflib import get_close_matches

from tts.version import install_extra


class TTSError(Exception):
    """Base of all errors that this package raises on purpose. `exit_code`: how the command line ends on it.

    3: the work could not go on, and a run can be resumed. (1 says of a run that came to its end that some rows are
    errors or have no answer.)
    """

    exit_code = 3


class UsageError(TTSError):
    """The command was given something it cannot work with; as it stands it will not work the next time either."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe, an override or a component's parameters are wrong; raised before anything is loaded."""


class RegistryError(RecipeError):
    """A component's name is unknown, or the plugin that provides it cannot be imported."""


class NotHereError(TTSError):
    """What is needed is not on this machine, or out of reach; a plan can be made without it all the same."""


class MissingExtraError(UsageError, NotHereError):
    """An optional dependency is not installed; the message names the install command."""

    def __init__(self, package: str, extra: str, needed_by: str) -> None:
        super().__init__(
            f"{needed_by} needs the package `{package}`, which is not installed. "
            f"Install it with: {install_extra(extra)}"
        )


class ProblemsError(UsageError):
    """A problem set cannot be read at all (a single bad row is a `RowError` record instead)."""


class ProblemsNotHereError(ProblemsError, NotHereError):
    """A data set of the hub is not in the cache, and the hub does not answer."""


class EngineError(TTSError):
    """The engine cannot load its model or cannot go on."""


class ModelNotHereError(EngineError, NotHereError):
    """The model is not on this machine, or the hub does not answer."""


class CapReachedError(TTSError):
    """The next call might cost more than the run may; with a larger cap it can be resumed."""


class CallError(TTSError):
    """What a search asked for will not come: no engine could serve it, it took too long, or it was cancelled."""


class MisuseError(TTSError):
    """A search broke a rule of `tts.protocols.Calls`; only its own problem ends."""


class EngineLoadError(EngineError):
    """The engine cannot load its model, or not on this device; nothing was drawn."""

    exit_code = 2


class ScorerError(TTSError):
    """A scorer returned something that its reader cannot use."""


class NotAskedError(ScorerError):
    """What a scorer would say of some of the candidates takes questions that nobody has asked."""


class VerifierError(TTSError):
    """A verifier cannot work at all (one answer it cannot decide is a verdict, not an error)."""


class RunFolderError(UsageError):
    """The run folder cannot be read, locked or resumed."""


class OtherSearchError(TTSError):
    """A call on record is not the one that a resumed search asks for: the run cannot go on in this folder."""

    exit_code = 3


class RunWriteError(TTSError):
    """The run folder cannot be written any more (a full disk, say); what it holds is whole and readable."""


def shown(value: object) -> str:
    """Return `value` as JSON, short enough for a message and safe to print."""
    text = json.dumps(value, ensure_ascii=False, default=repr).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 60 else f"{text[:57]}…"


def plural(number: int, noun: str, *, of: int | None = None) -> str:
    """Return `1 problem`, `2 problems`, with `of` `1 of 2 problems`; a thin space between thousands."""
    told = " of ".join(f"{one:,}".replace(",", "\u202f") for one in (number, of) if one is not None)
    return f"{told} {noun}{'' if (number if of is None else of) == 1 else 's'}"


def near(name: str, valid: Collection[str]) -> list[str]:
    """Return up to two of `valid` that `name` may be a misspelling of, the nearest first."""
    plain = name.lower().replace("-", "_")
    begun = [word for word in valid if len(plain) > 2 and word.startswith(plain)]
    within = [word for word in valid if len(plain) > 1 and plain in word]
    return begun[:2] or get_close_matches(plain, valid, n=2) or within[:2]


def nearest(
    name: str, valid: Collection[str], told: str = " Did you mean {}?", otherwise: str = "", *, most: int = 2
) -> str:
    """Return what tells the nearest of `valid`, at most `most` of them; `otherwise` where none is near."""
    found = near(name, valid)[:most]
    return told.format(" or ".join(f"`{word}`" for word in found)) if found else otherwise


def described(error: BaseException) -> str:
    """Return an error's class and what it says, also of one that cannot say it."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # its own `__str__` is what is wrong
        return f"{type(error).__name__}: it cannot say what is wrong"
