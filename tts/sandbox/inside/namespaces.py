"""A root of our own: read-only views of what Python needs, one folder to write in, no network, no other processes."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import kernel
from .settings import MEGABYTE, PACKAGES, WORK

NOBODY = 65534
"""The user that programs run as where the host's is root."""

IS_ROOT = os.geteuid() == 0
"""Whether the server was started by root, and not by an ordinary user who is root in a namespace of his own."""

_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_STAGES = ("/proc", "/sys", "/mnt", "/media", "/srv")


def needed_paths() -> list[str]:
    """Return what every program must be able to read: the standard library, shared libraries, devices."""
    return [path for path in (*sys.path, *_SYSTEM, *_mapped(), *DEVICES) if os.path.exists(path)]


def enter(paths: Iterable[str], packages: Sequence[str]) -> None:
    """Move into new namespaces whose root holds only `paths` and `PACKAGES`, to be read only, and the folder `WORK`.

    The process namespace begins with the next child.
    """
    uid, gid = os.geteuid(), os.getegid()
    fresh = kernel.NEW_NS | kernel.NEW_UTS | kernel.NEW_IPC | kernel.NEW_NET | kernel.NEW_PID
    kernel.unshare(fresh if uid == 0 else fresh | kernel.NEW_USER)
    if uid:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")
    socket.sethostname("sandbox")
    kernel.mount("none", "/", flags=kernel.REC | kernel.PRIVATE)
    _build_root(_outermost(paths), packages)


def new_work_folder(size_mb: int) -> None:
    """Mount an empty folder for one program in the place of the last one."""
    if os.path.ismount(WORK):
        kernel.unmount(WORK)
    owner = f"uid={NOBODY},gid={NOBODY}," if IS_ROOT else ""
    options = f"{owner}mode=700,size={size_mb * MEGABYTE},nr_inodes=4096"
    kernel.mount("tmpfs", WORK, "tmpfs", kernel.NOSUID | kernel.NODEV, options)


def new_worker_namespaces() -> None:
    """Give the calling worker mounts, network and shared memory of its own."""
    kernel.unshare(kernel.NEW_NS | kernel.NEW_NET | kernel.NEW_IPC)


def work_folder_state() -> tuple[int, ...]:
    """Return what changes as soon as anything is done to the work folder."""
    status, room = os.stat(WORK), os.statvfs(WORK)
    return status.st_ctime_ns, status.st_mode, status.st_uid, room.f_ffree, room.f_bfree


def _build_root(paths: list[str], packages: Sequence[str]) -> None:
    sources = (*paths, *packages)
    stage = next(stage for stage in _STAGES if os.path.isdir(stage) and not any(_is_below(p, stage) for p in sources))
    kernel.mount("tmpfs", stage, "tmpfs", kernel.NOSUID | kernel.NODEV, "mode=755,size=1048576")
    for path in paths:
        _show(path, stage + path)
    os.mkdir(stage + PACKAGES)
    for package in packages:
        _show(os.path.realpath(package), f"{stage}{PACKAGES}/{os.path.basename(package)}")
    os.mkdir(stage + WORK)
    for folder in ("/tmp", "/dev/shm"):
        if not os.path.lexists(stage + folder):
            os.symlink(WORK, stage + folder)
    kernel.pivot_root(stage)
    kernel.mount("none", "/", flags=kernel.REMOUNT | kernel.BIND | kernel.RDONLY | kernel.NOSUID | kernel.NODEV)


def _show(path: str, target: str) -> None:
    if os.path.lexists(target):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(path):
        os.symlink(os.readlink(path), target)
    elif path in DEVICES:
        Path(target).touch()
        kernel.mount(path, target, flags=kernel.BIND)
    elif os.path.isdir(path):
        os.mkdir(target)
        kernel.bind_read_only(path, target)
    else:
        Path(target).touch()
        kernel.bind_read_only(path, target)


def _outermost(paths: Iterable[str]) -> list[str]:
    """Drop what lies below another path; add where the links among them lead."""
    wanted = {path for each in paths for path in (each, os.path.realpath(each))}
    folders = {path for path in wanted if os.path.isdir(path) and not os.path.islink(path)}
    return sorted(path for path in wanted if not any(path != folder and _is_below(path, folder) for folder in folders))


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _mapped() -> set[str]:
    """Return the folders of the shared libraries that this process has loaded."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    files = {line.split(maxsplit=5)[5] for line in lines if line.count("/") and ".so" in line}
    return {os.path.dirname(file) for file in files}
