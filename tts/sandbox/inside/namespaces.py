"""A root of our own: read-only views of what Python needs, one folder to write in, no network, no other processes."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import kernel
from .settings import MEGABYTE, PACKAGES, WORK

NOBODY = 65534
"""The user that programs run as where the host's is root."""

_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_FRESH = kernel.NEW_NS | kernel.NEW_UTS | kernel.NEW_IPC | kernel.NEW_NET | kernel.NEW_PID
_CAP_SETID = 0b11 << 6  # CAP_SETGID, CAP_SETUID
_STAGES = ("/proc", "/sys", "/mnt", "/media", "/srv")


def needed_paths() -> list[str]:
    """Return what every program must be able to read: the standard library, shared libraries, devices."""
    return [path for path in (*sys.path, *_SYSTEM, *_mapped(), *DEVICES) if os.path.exists(path)]


def enter(paths: Iterable[str], packages: Sequence[str]) -> None:
    """Move into new namespaces whose root holds only `paths` and `PACKAGES`, to be read only, and the folder `WORK`.

    The process namespace begins with the next child.
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid:
        kernel.unshare(_FRESH | kernel.NEW_USER)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")
    else:
        try:
            kernel.unshare(_FRESH)
        except PermissionError:
            _unshare_with_nobody()
    socket.sethostname("sandbox")
    kernel.mount("none", "/", flags=kernel.REC | kernel.PRIVATE)
    _build_root(_outermost(paths), packages)


def _unshare_with_nobody() -> None:
    """Move root without the right to mount (as in a container) into a user namespace that has NOBODY in it, too.

    Only a process outside may write such a map, so a child stays there and does. Root alone would not do: no limit
    of processes binds it, and programs need another user to be.
    """
    proc = os.open("/proc/self", os.O_PATH | os.O_DIRECTORY)
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if not pid:
        status = errno.EPIPE
        try:
            ours.close()
            if theirs.recv(1):
                for name in ("uid_map", "gid_map"):
                    os.write(os.open(name, os.O_WRONLY, dir_fd=proc), f"0 0 1\n{NOBODY} {NOBODY} 1\n".encode())
                status = 0
        except OSError as error:
            status = error.errno or status
        finally:
            os._exit(status)
    with ours, theirs:
        kernel.unshare(_FRESH | kernel.NEW_USER)
        ours.send(b"u")
    number = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(proc)
    if number:
        raise OSError(number, f"map of users: {os.strerror(number)}")


def can_become_nobody(proc: int) -> bool:
    """Say whether this process, whose /proc is given, is root and NOBODY a user that it may become."""
    if os.geteuid():
        return False
    users, groups, status = (
        open(os.open(f"self/{name}", os.O_RDONLY, dir_fd=proc), encoding="ascii").read()  # noqa: SIM115 - read at once
        for name in ("uid_map", "setgroups", "status")
    )
    ranges = [tuple(map(int, line.split())) for line in users.splitlines()]
    rights = int(status.partition("CapEff:")[2].split()[0], 16)
    is_mapped = any(first <= NOBODY < first + count for first, _, count in ranges)
    return is_mapped and groups.strip() == "allow" and rights & _CAP_SETID == _CAP_SETID


def new_work_folder(size_mb: int, for_nobody: bool) -> None:
    """Mount an empty folder for one program in the place of the last one."""
    if os.path.ismount(WORK):
        kernel.unmount(WORK)
    owner = f"uid={NOBODY},gid={NOBODY}," if for_nobody else ""
    options = f"{owner}mode=700,size={size_mb * MEGABYTE},nr_inodes=4096"
    kernel.mount("tmpfs", WORK, "tmpfs", kernel.NOSUID | kernel.NODEV | kernel.NOATIME, options)


def new_worker_namespaces() -> None:
    """Give the calling worker mounts, network and shared memory of its own."""
    kernel.unshare(kernel.NEW_NS | kernel.NEW_NET | kernel.NEW_IPC)


def _build_root(paths: list[str], packages: Sequence[str]) -> None:
    sources = (*paths, *packages)
    points = kernel.mount_points()  # while /proc can be seen
    stage = next(stage for stage in _STAGES if os.path.isdir(stage) and not any(_is_below(p, stage) for p in sources))
    kernel.mount("tmpfs", stage, "tmpfs", kernel.NOSUID | kernel.NODEV, "mode=755,size=1048576")
    for path in paths:
        _show(path, stage + path, points)
    os.mkdir(stage + PACKAGES)
    for package in packages:
        _show(os.path.realpath(package), f"{stage}{PACKAGES}/{os.path.basename(package)}", points)
    os.mkdir(stage + WORK)
    for folder in ("/tmp", "/dev/shm"):
        if not os.path.lexists(stage + folder):
            os.symlink(WORK, stage + folder)
    kernel.pivot_root(stage)
    kernel.mount("none", "/", flags=kernel.REMOUNT | kernel.BIND | kernel.RDONLY | kernel.NOSUID | kernel.NODEV)


def _show(path: str, target: str, points: Sequence[str]) -> None:
    if os.path.lexists(target):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(path):
        os.symlink(os.readlink(path), target)
    elif path in DEVICES:
        Path(target).touch()
        kernel.bind_device(path, target)
    elif os.path.isdir(path):
        os.mkdir(target)
        kernel.bind_read_only(path, target, points)
    else:
        Path(target).touch()
        kernel.bind_read_only(path, target, points)


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
