"""The ways to build a sandbox, best first; each is tried, and the first that is seen to hold is taken."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tts.errors import VerifierError
from tts.sandbox import canary
from tts.sandbox.inside.settings import Setup
from tts.sandbox.records import PROMISED, Layer, Profile, ProfileName
from tts.sandbox.worker import ForkServer, WorkerLostError

ADVICE = {
    "namespaces": "allow user namespaces; in a container, run as an ordinary user with "
    "--security-opt seccomp=unconfined",
    "landlock": "use Linux 5.13 or later with `landlock` among its `lsm=`",
    "seccomp": "use a Linux kernel with seccomp filters, on x86_64 or aarch64",
}
"""How to get a mechanism of which it is not known why it is missing."""


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

    def setup(self, needs: Needs) -> Setup:
        """Return what the fork server must know."""
        paths, search = _package_paths((*needs.packages, *needs.preload))
        preload = tuple(name for name in needs.preload if importlib.util.find_spec(name))
        mechanisms = (self.namespaces, self.landlock, self.seccomp, self.drop_user)
        return Setup(*mechanisms, paths, search, preload, needs.files_mb, needs.cpus())

    def layers(self, refused: Sequence[str] = ()) -> Iterator[Layer]:
        """Yield the mechanisms, those not in force with what is known of why from the ways that were `refused`."""
        for name, advice in ADVICE.items():
            if getattr(self, name):
                yield Layer(name, True, "in force")
            else:
                why = dict.fromkeys(complaint for complaint in refused if complaint.startswith(f"{name}: "))
                yield Layer(name, False, "; ".join(("not used", *why)), "" if why else advice)
        yield Layer("rlimits", True, "in force")


WAYS = (
    Way("full", namespaces=True, landlock=True, seccomp=True),
    Way("full", namespaces=True, seccomp=True),
    Way("landlock+seccomp", landlock=True, seccomp=True),
    Way("landlock+seccomp", landlock=True, seccomp=True, drop_user=False),
    Way("rlimits-only"),
)
"""Best first. Root's second chance for Landlock keeps the user: where only root can read the interpreter."""


def start(needs: Needs, allow_weak: bool, only: ProfileName | None) -> tuple[ForkServer, Profile]:
    """Return a server of the best profile that holds, and what was seen of it; with `only`, of no other than that.

    Raises VerifierError where none holds.
    """
    complaints: dict[str, None] = {}
    refused: list[str] = []
    for way in WAYS:
        if only not in (None, way.profile):
            continue
        if way.profile == "rlimits-only" and (not allow_weak or os.geteuid() == 0):
            why = "never for root" if allow_weak else "only with allow_weak_sandbox: true"
            complaints[f"{way.profile}: {why}"] = None
            continue
        try:
            server, profile = _launch_and_examine(way, needs, refused)
        except VerifierError as error:
            refused.append(str(error))
            complaints[f"{way.profile}: {error}"] = None
            continue
        if profile.holds:
            return server, profile
        server.close()
        complaints[f"{way.profile}: {_broken(profile)}"] = None
    tried = "\n".join(f"  {complaint}" for complaint in complaints)
    raise VerifierError(f"no sandbox holds on this machine, so programs cannot be run. Tried:\n{tried}")


def _broken(profile: Profile) -> str:
    """Say which promised guards of a profile were seen broken, and how; those broken in one way together."""
    names: dict[str, list[str]] = {}
    for layer in profile.layers:
        if layer.name in PROMISED[profile.name] and not layer.holds:
            names.setdefault(layer.detail, []).append(layer.name)
    return "; ".join(f"{', '.join(broken)}: {detail}" for detail, broken in names.items())


def probe(needs: Needs | None = None) -> tuple[Profile, ...]:
    """Try every profile on its own, best first, and return what was seen; nothing stays open.

    A profile of which no server could be started has one layer, which says why.
    """
    found: dict[ProfileName, Profile] = {}
    refused: list[str] = []
    for way in WAYS:
        if way.profile in found and found[way.profile].holds:
            continue
        try:
            server, found[way.profile] = _launch_and_examine(way, needs or Needs(), refused)
        except VerifierError as error:
            refused.append(str(error))
            found.setdefault(way.profile, Profile(way.profile, (Layer("start", False, str(error)),)))
        else:
            server.close()
    return tuple(found.values())


def _launch_and_examine(way: Way, needs: Needs, refused: Sequence[str]) -> tuple[ForkServer, Profile]:
    """Start a fork server, and return it with what a canary saw in its sandbox.

    Raises VerifierError where the mechanisms are not to be had, or the canary cannot be tried.
    """
    with canary.laid_out() as bait:
        setup = way.setup(needs)
        setup = replace(setup, packages=(*setup.packages, str(bait.package)))
        server = ForkServer(setup, needs.python or sys.executable)
        try:
            worker = server.worker()
            try:
                seen = canary.probe(worker, server.pid, bait, way.namespaces)
            finally:
                worker.close()
        except WorkerLostError as error:
            server.close()
            raise VerifierError(str(error)) from error
        except BaseException:
            server.close()
            raise
    return server, Profile(way.profile, (*seen, *way.layers(refused)))


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
