"""The canary's program: it tries all that a program must not be able to do. Run in a sandbox, never imported.

It is told of a folder beside the sandbox, a file that every program is shown, a port, and a process. It says `broken`,
a guard and what has succeeded; what only the host can see (a file that was marked), the host sees. System calls are
made by number, since no library makes most of them. Files that it has not been told of are only looked at.
"""

import _socket
import ctypes
import fcntl
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator

folder, shown, port, pid = sys.stdin.read().split("\n")
hidden = folder + "/secret"
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
column = os.uname().machine == "aarch64"

HERE, EMPTY_PATH = -100, 0x1000
BLANK = ctypes.byref((ctypes.c_uint64 * 16)())
NAME, NOTHING = ctypes.c_char_p(b"user.t"), ctypes.c_char_p(b"")


def attempt(guard: str, what: str, action: Callable[[], object]) -> None:
    """Say so where the action succeeds."""
    try:
        action()
    except (OSError, MemoryError):
        return
    print("broken", guard, what, "succeeded")


def make(numbers: tuple[int, int | None], *arguments: object) -> None:
    """Make a system call; None where the machine lacks it. Raises OSError where it is refused."""
    number = numbers[column]
    if number is None:
        raise OSError("no such call")
    prepared = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    if libc.syscall(ctypes.c_long(number), *prepared) < 0:
        raise OSError(ctypes.get_errno(), "")


Attempt = tuple[str, tuple[int, int | None], tuple[object, ...]]


def by_path(path: str) -> Iterator[Attempt]:
    """Yield what changes or watches the file of this name."""
    name, me = ctypes.c_char_p(os.fsencode(path)), os.getuid()
    yield "chmod", (90, None), (name, 0o640)
    yield "fchmodat", (268, 53), (HERE, name, 0o640)
    yield "fchmodat2", (452, 452), (HERE, name, 0o640, 0)
    yield "chown", (92, None), (name, me, -1)
    yield "lchown", (94, None), (name, me, -1)
    yield "fchownat", (260, 54), (HERE, name, me, -1, 0)
    yield "utime", (132, None), (name, 0)
    yield "utimes", (235, None), (name, 0)
    yield "futimesat", (261, None), (HERE, name, 0)
    yield "utimensat", (280, 88), (HERE, name, 0, 0)
    yield "truncate", (76, 45), (name, 3)
    yield "setxattr", (188, 5), (name, NAME, name, 1, 0)
    yield "lsetxattr", (189, 6), (name, NAME, name, 1, 0)
    yield "setxattrat", (463, 463), (HERE, name, 0, NAME, BLANK, 16)
    yield "removexattrat", (466, 466), (HERE, name, 0, NAME)
    yield "file_setattr", (469, 469), (HERE, name, BLANK, 24, 0)
    yield "link", (86, None), (name, ctypes.c_char_p(os.fsencode(path + "2")))
    yield "linkat", (265, 37), (HERE, name, HERE, ctypes.c_char_p(os.fsencode(path + "3")), 0)
    yield "symlinkat", (266, 36), (name, HERE, ctypes.c_char_p(os.fsencode(path + "4")))
    yield "mkdirat", (258, 34), (HERE, ctypes.c_char_p(os.fsencode(path + "5")), 0o777)
    yield "mknodat", (259, 33), (HERE, ctypes.c_char_p(os.fsencode(path + "6")), 0o10666, 0)
    yield "rename", (82, None), (name, ctypes.c_char_p(os.fsencode(path + "7")))
    yield "renameat", (264, 38), (HERE, name, HERE, ctypes.c_char_p(os.fsencode(path + "8")))
    yield "unlink", (87, None), (name,)
    yield "unlinkat", (263, 35), (HERE, name, 0)
    yield "name_to_handle_at", (303, 264), (HERE, name, BLANK, BLANK, 0)
    yield "open_tree_attr", (467, 467), (HERE, name, 0, 0, 0)
    yield "inotify_add_watch", (254, 27), (0, name, 2)
    yield "quotactl", (179, 60), (0, name, 0, 0)
    for flags in (os.O_RDONLY | os.O_TRUNC, os.O_WRONLY, os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_APPEND):
        yield f"open with {flags:o}", (257, 56), (HERE, name, flags, 0)
    yield "creat", (85, None), (name, 0o666)
    yield "openat2", (437, 437), (HERE, name, ctypes.byref((ctypes.c_uint64 * 3)(1, 0, 0)), 24)


def by_descriptor(file: int) -> Iterator[Attempt]:
    """Yield what changes or watches the file behind a descriptor that only reads, or not even that."""
    me, copy = os.getuid(), ctypes.c_char_p(os.fsencode(shown + "9"))
    yield "fchmod", (91, 52), (file, 0o640)
    yield "fchmodat2", (452, 452), (file, NOTHING, 0o640, EMPTY_PATH)
    yield "fchown", (93, 55), (file, me, -1)
    yield "futimens", (280, 88), (file, 0, 0, 0)
    yield "utimensat", (280, 88), (file, NOTHING, 0, EMPTY_PATH)
    yield "ftruncate", (77, 46), (file, 3)
    yield "fallocate", (285, 47), (file, 0, 0, 4096)
    yield "fsetxattr", (190, 7), (file, NAME, NAME, 1, 0)
    yield "linkat", (265, 37), (file, NOTHING, HERE, copy, EMPTY_PATH)
    yield "FS_IOC_SETFLAGS", (16, 29), (file, 0x40086602, BLANK)
    yield "FS_IOC_FSSETXATTR", (16, 29), (file, 0x401C5820, BLANK)
    yield "F_SET_RW_HINT", (72, 25), (file, 1036, ctypes.byref(ctypes.c_uint64(3)))
    yield "F_SET_FILE_RW_HINT", (72, 25), (file, 1038, ctypes.byref(ctypes.c_uint64(3)))
    yield "F_SETOWN", (72, 25), (file, 8, os.getpid())
    yield "cachestat", (451, 451), (file, BLANK, ctypes.byref((ctypes.c_uint64 * 16)()), 0)
    yield "readahead", (187, 213), (file, 0, 4096)
    yield "sync_file_range", (277, 84), (file, 0, 0, 0)
    yield "preadv2 without waiting", (327, 286), (file, BLANK, 0, 0, 0, 8)


def on_the_quiet(file: int, directory: int) -> Iterator[Attempt]:
    """Yield what succeeds only where nobody else has the file open to write."""
    yield "F_SETLEASE", (72, 25), (file, 1024, fcntl.F_RDLCK)
    yield "F_SETDELEG", (72, 25), (file, 1040, BLANK)
    yield "F_NOTIFY", (72, 25), (directory, 1026, 2)
    yield "fanotify_init", (300, 262), (0, 0)
    yield "sync", (162, 81), ()


def locks(file: int) -> Iterator[Attempt]:
    """Yield locks on a file that the host has locked."""
    whole = ctypes.byref(ctypes.create_string_buffer(struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0)))
    yield "flock", (73, 32), (file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    yield "F_SETLK", (72, 25), (file, 6, whole)
    yield "F_OFD_SETLK", (72, 25), (file, 37, whole)


def make_all(attempts: Iterator[Attempt], on: str) -> None:
    """Try them one after the other; `on` says on what."""
    for what, numbers, arguments in attempts:
        attempt("inodes", f"{what} on {on}", lambda: make(numbers, *arguments))  # noqa: B023 - called at once


def mark_files() -> None:
    """Try to leave a mark on the files, or to see one that another has left."""
    make_all(by_path(hidden), "a file outside")
    make_all(by_path(shown), "a shown file")
    file, unread = os.open(shown, os.O_RDONLY), os.open(shown, os.O_PATH)
    make_all(by_descriptor(file), "a file that is open to read")
    make_all(by_descriptor(unread), "a file that is open by its path")
    quiet, directory = os.open(shown + ".quiet", os.O_RDONLY), os.open(os.path.dirname(shown), os.O_RDONLY)
    make_all(on_the_quiet(quiet, directory), "a shown file")
    os.read(file, 1)
    page = libc.mmap(None, ctypes.c_size_t(4096), 1, 1, file, ctypes.c_long(0))
    pages = ctypes.byref((ctypes.c_ubyte * 8)())
    attempt("inodes", "mincore", lambda: make((27, 232), page, 4096, pages))
    for what, numbers, arguments in locks(file):
        try:
            make(numbers, *arguments)
        except BlockingIOError:  # the kernel has asked the inode
            print("broken", "inodes", what, "was made")
        except OSError:
            continue
    time = ctypes.byref((ctypes.c_long * 2)(0, 1))
    try:
        make((202, 98), page, 0, int.from_bytes(os.pread(file, 4, 0), sys.byteorder), time)
    except TimeoutError:  # others could count who waits there, and wake him
        print("broken", "inodes", "a wait at a page of a shown file was made")
    except OSError:
        pass
    attempt("inodes", "counting what is read from the disk", lambda: make((98, 165), 0, BLANK))
    for name in ("null", "zero", "full", "random", "urandom"):
        if os.getpid() == 1 and not os.statvfs("/dev/" + name).f_flag & os.ST_RDONLY:
            print("broken", "inodes", f"/dev/{name} can be changed")


def reach_out() -> None:
    """Try to send something to the host."""

    def send_by_a_pair(address: str) -> None:
        ours, _ = _socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        ours.sendto(b"x", address)

    attempt("network", "TCP", lambda: socket.create_connection(("127.0.0.1", int(port)), 1))
    attempt("network", "a socket file", lambda: socket.socket(socket.AF_UNIX).connect(folder + "/socket"))
    attempt("network", "a datagram to a socket file", lambda: send_by_a_pair(folder + "/datagrams"))


def execute() -> None:
    """Start another program. Raises OSError where it does not come to its end."""
    if not os.access("/bin/true", os.X_OK):
        raise PermissionError("there is no other program")
    child = os.posix_spawn("/bin/true", ["true"], {})
    if os.waitpid(child, 0)[1]:
        raise PermissionError("it did not start")


def fork() -> None:
    """Start more processes than are allowed."""
    for _ in range(8):
        if not os.fork():
            threading.Event().wait(20)
            os._exit(0)


attempt("signals", "kill", lambda: os.kill(int(pid), 0))  # before a thread has that number
thread = threading.Thread(target=__import__, args=("colorsys",))
thread.start()
thread.join()
for late in ("_lsprof", "sched", "colorsys"):
    __import__(late)
attempt("files", "reading", lambda: print("secret", open(hidden).read()))  # noqa: SIM115 - nothing is to come of it
attempt("files", "writing", lambda: open(folder + "/written", "w"))  # noqa: SIM115 - as above
attempt("state", "looking up a path outside", lambda: os.lstat(hidden))
mark_files()
reach_out()
attempt("programs", "starting a program", execute)
attempt("memory", "allocating", lambda: bytearray(2**29))
attempt("processes", "forking", fork)
for place in (".", "/tmp", "/dev/shm"):  # the next program looks for it
    try:
        open(f"{place}/{os.path.basename(folder)}-left", "w").close()
    except OSError:
        continue
print("end")
