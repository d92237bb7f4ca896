"""Programs that attack the sandbox or its judge, and the verdict that each must get.

`@FOLDER@`, `@PORT@`, `@UDP@` and `@VICTIM@` stand for what the host lays out as bait: a folder with a secret and
sockets, a TCP and a UDP port, and a process. Besides, all programs are shown a package `shown_bait`, whose module the
host has locked. A program that says `escaped` has got through; what it did to an inode, the host sees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tts.programs.judging.records import Assertions, CallTest, CallTests, StdioTest, StdioTests, Tests
from tts.sandbox import Limits
from tts.sandbox.inside import calls

ESCAPED = StdioTests((StdioTest("", "escaped"),))
FOUR = StdioTests((StdioTest("", "4"),))
ABOUT_FOUR = StdioTests((StdioTest("", "4"),), tolerance=1e-6)
SQUARE = Assertions(("assert f(7) == 49", "assert f(2) == 4"), ("f",))
SQUARE_CALLS = CallTests("f", (CallTest((7,), 49), CallTest((2,), 4)))
LIMITS = Limits(
    cpu_seconds=0.5, wall_seconds=1.5, total_cpu_seconds=1, total_wall_seconds=4, memory_mb=128, processes=8
)
FORKING = replace(LIMITS, may_fork=True)


@dataclass(frozen=True)
class Hostile:
    name: str
    verdict: str
    program: str
    tests: Tests = ESCAPED
    limits: Limits = LIMITS


CALL = """
import ctypes, fcntl, os, shown_bait, struct
HERE, EMPTY_PATH = -100, 0x1000
hidden, shown, nothing, label = b"@FOLDER@/secret", os.fsencode(shown_bait.__file__), b"", b"user.t"
me, room, hint = os.getuid(), ctypes.create_string_buffer(128), ctypes.byref(ctypes.c_uint64(3))
def call(x86_64, aarch64, *arguments):
    number = x86_64 if os.uname().machine == "x86_64" else aarch64
    if number is None:
        raise OSError("the machine lacks it")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
"""


def _syscall(name: str, x86_64: int | None, aarch64: int | None, arguments: str = "0, 0, 0, 0, 0") -> Hostile:
    program = f"{CALL}\ncall({x86_64}, {aarch64}, {arguments})\nprint('escaped')"
    return Hostile(f"calls {name}", "sandbox_violation", program)


def _mark(name: str, numbers: tuple[int | None, int | None], arguments: str, file: str) -> Hostile:
    program = f"{CALL}\nfile = {file}\ncall(*{numbers}, {arguments})\nprint('escaped')"
    return Hostile(f"{name} on {file}", "runtime_error", program)


def _lock(name: str, numbers: tuple[int, int], arguments: str) -> Hostile:
    """The host has locked the file, so a real lock is refused; a pretended one is not."""
    program = f"{CALL}\nfile = os.open(shown, os.O_RDONLY)\nlock = struct.pack('hhqqi4x', 0, 0, 0, 0, 0)\ntry:\n"
    program += f"    call(*{numbers}, {arguments})\nexcept BlockingIOError:\n    print('escaped')"
    return Hostile(f"locks by {name}", "wrong_answer", program)


def _attack(name: str, verdict: str, program: str, limits: Limits = LIMITS) -> Hostile:
    return Hostile(name, verdict, program + '\nprint("escaped")\n', limits=limits)


EXHAUSTION = (
    Hostile("loops for ever", "timeout", "while True: pass"),
    Hostile("sleeps for ever", "timeout", "import time\ntime.sleep(1e6)"),
    Hostile("computes in C for ever", "timeout", "9 ** 9 ** 9"),
    Hostile("matches a regular expression for ever", "timeout", "import re\nre.match('(a+)+b', 'a' * 64)"),
    Hostile(
        "ignores every signal and loops",
        "timeout",
        """
import signal
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True: pass
""",
    ),
    Hostile(
        "swallows every exception and loops",
        "timeout",
        "while True:\n    try:\n        x = [0] * 10**9\n    except BaseException:\n        pass",
    ),
    Hostile("fills a list", "memory_limit", "x = []\nwhile True: x.append(' ' * 10**6)"),
    Hostile("asks for ten gigabytes", "memory_limit", "bytearray(10**10)"),
    Hostile("maps memory", "runtime_error", "import mmap\nkeep = [mmap.mmap(-1, 10**8) for _ in range(100)]"),
    Hostile(
        "makes anonymous files",
        "runtime_error",
        "import os\nos.write(os.memfd_create('x'), b'x')",
    ),
    Hostile("forks without leave", "runtime_error", "import os\nos.fork()"),
    Hostile("forks for ever", "runtime_error", "import os\nwhile True: os.fork()", limits=FORKING),
    Hostile(
        "forks for ever and never gives up",
        "timeout",
        "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
        limits=FORKING,
    ),
    Hostile(
        "starts threads for ever",
        "runtime_error",
        "import threading\nfor _ in range(99): threading.Thread(target=threading.Event().wait, daemon=True).start()",
    ),
    Hostile("floods stdout", "output_limit", "while True: print('x' * 1000)"),
    Hostile("floods stderr", "output_limit", "import sys\nwhile True: print('x' * 1000, file=sys.stderr)"),
    Hostile("writes a large file", "runtime_error", "f = open('f', 'wb')\nwhile True: f.write(bytes(10**6))"),
    Hostile(
        "fills its folder",
        "runtime_error",
        "for i in range(99):\n    with open(f'f{i}', 'wb') as f: f.write(bytes(10**7))",
    ),
    Hostile("makes many files", "runtime_error", "for i in range(10**5): open(f'f{i}', 'w').close()"),
    Hostile(
        "opens many files",
        "runtime_error",
        "keep = [open(0, closefd=False) for _ in range(9)]\nimport os\nwhile True: os.dup(0)",
    ),
    Hostile("recurses without end", "runtime_error", "def f(): f()\nf()"),
    Hostile(
        "crashes the interpreter",
        "runtime_error",
        "import ctypes\nctypes.string_at(0)",
    ),
    Hostile(
        "sleeps in calls that are each within their limit",
        "timeout",
        "import time\ndef f(x):\n    time.sleep(0.4)\n    return x",
        CallTests("f", tuple(CallTest((n,), n) for n in range(20))),
        replace(LIMITS, total_wall_seconds=1.5),
    ),
    Hostile(
        "computes in calls that are each within their limit",
        "timeout",
        "from time import process_time as now\ndef f(x):\n    end = now() + 0.3\n"
        "    while now() < end: pass\n    return x",
        CallTests("f", tuple(CallTest((n,), n) for n in range(20))),
        replace(LIMITS, total_wall_seconds=20),
    ),
    Hostile(
        "exits with a huge stack",
        "runtime_error",
        "import sys\nsys.setrecursionlimit(10**9)\n"
        "class A:\n    def __getattr__(self, name): return getattr(self, name)\nA().x",
        limits=replace(LIMITS, cpu_seconds=8, total_cpu_seconds=16, wall_seconds=30, total_wall_seconds=60),
    ),
)

FILES = (
    _attack("writes outside", "runtime_error", "open('@FOLDER@/written', 'w').write('x')"),
    _attack("reads a secret", "runtime_error", "open('@FOLDER@/secret').read()"),
    _attack("reads the users", "runtime_error", "open('/etc/passwd').read()"),
    _attack("lists home folders", "runtime_error", "import os\nos.listdir('/home') and os.listdir('/root/.ssh')"),
    _attack("writes through a link", "runtime_error", "import os\nos.symlink('@FOLDER@', 'x')\nopen('x/written', 'w')"),
    _attack("reads by way of /proc", "runtime_error", "open('/proc/self/root/@FOLDER@/secret').read()"),
    _attack("reads its memory by way of /proc", "runtime_error", "open('/proc/self/mem', 'rb')"),
    _attack("climbs out of the root", "runtime_error", "open('../' * 40 + '@FOLDER@/secret').read()"),
    _attack("changes the standard library", "runtime_error", "import os\nopen(os.__file__, 'a').write('#')"),
    _attack("makes a device", "runtime_error", "import os\nos.mknod('d', 0o60666, os.makedev(8, 0))"),
    _attack("becomes root", "runtime_error", "import os\nos.setuid(0)"),
    _attack("changes its root", "sandbox_violation", "import os\nos.chroot('.')"),
    _attack("starts a shell", "wrong_answer", "import os\nos.system('touch @FOLDER@/written') and exit()"),
    _attack("starts a program", "runtime_error", "import subprocess\nsubprocess.run(['/bin/true'])"),
    _attack("becomes another program", "runtime_error", "import os, sys\nos.execv(sys.executable, ['python'])"),
    *(_syscall(name, *numbers) for name, numbers in calls.HOSTILE.items()),
    _syscall("unshare for a user namespace", 272, 97, "0x10000000"),
    _syscall("clone into a new namespace", 56, 220, "0x10000011, 0, 0, 0, 0"),
)

BY_PATH = (
    ("chmod", (90, None), "file, 0o640"),
    ("fchmodat", (268, 53), "HERE, file, 0o640"),
    ("fchmodat2", (452, 452), "HERE, file, 0o640, 0"),
    ("chown", (92, None), "file, me, -1"),
    ("lchown", (94, None), "file, me, -1"),
    ("fchownat", (260, 54), "HERE, file, me, -1, 0"),
    ("utime", (132, None), "file, 0"),
    ("utimes", (235, None), "file, 0"),
    ("futimesat", (261, None), "HERE, file, 0"),
    ("utimensat", (280, 88), "HERE, file, 0, 0"),
    ("truncate", (76, 45), "file, 3"),
    ("setxattr", (188, 5), "file, label, file, 1, 0"),
    ("lsetxattr", (189, 6), "file, label, file, 1, 0"),
    ("setxattrat", (463, 463), "HERE, file, 0, label, room, 16"),
    ("file_setattr", (469, 469), "HERE, file, room, 24, 0"),
    ("linkat", (265, 37), "HERE, file, HERE, file + b'2', 0"),
    ("symlinkat", (266, 36), "file, HERE, file + b'3'"),
    ("mkdirat", (258, 34), "HERE, file + b'4', 0o777"),
    ("mknodat", (259, 33), "HERE, file + b'5', 0o10666, 0"),
    ("renameat", (264, 38), "HERE, file, HERE, file + b'6'"),
    ("renameat2", (316, 276), "HERE, file, HERE, file + b'7', 0"),
    ("unlinkat", (263, 35), "HERE, file, 0"),
    ("openat to write", (257, 56), "HERE, file, os.O_WRONLY, 0"),
    ("openat to read, emptying it", (257, 56), "HERE, file, os.O_TRUNC, 0"),
    ("openat2", (437, 437), "HERE, file, ctypes.byref((ctypes.c_uint64 * 3)(1, 0, 0)), 24"),
    ("name_to_handle_at", (303, 264), "HERE, file, room, room, 0"),
    ("open_tree_attr", (467, 467), "HERE, file, 0, 0, 0"),
    ("inotify_add_watch", (254, 27), "0, file, 2"),
)
BY_DESCRIPTOR = (
    ("fchmod", (91, 52), "file, 0o640"),
    ("fchmodat2 without a path", (452, 452), "file, nothing, 0o640, EMPTY_PATH"),
    ("fchown", (93, 55), "file, me, -1"),
    ("futimens", (280, 88), "file, 0, 0, 0"),
    ("utimensat without a path", (280, 88), "file, nothing, 0, EMPTY_PATH"),
    ("ftruncate", (77, 46), "file, 3"),
    ("fallocate", (285, 47), "file, 0, 0, 4096"),
    ("fsetxattr", (190, 7), "file, label, label, 1, 0"),
    ("linkat without a path", (265, 37), "file, nothing, HERE, shown + b'8', EMPTY_PATH"),
    ("FS_IOC_SETFLAGS", (16, 29), "file, 0x40086602, room"),
    ("FS_IOC_FSSETXATTR", (16, 29), "file, 0x401C5820, room"),
    ("F_SET_RW_HINT", (72, 25), "file, 1036, hint"),
    ("F_SET_FILE_RW_HINT", (72, 25), "file, 1038, hint"),
    ("F_SETLEASE", (72, 25), "file, 1024, 0"),
    ("F_NOTIFY", (72, 25), "os.open(os.path.dirname(shown), 0), 1026, 2"),
    ("F_SETSIG", (72, 25), "file, 10, 10"),
    ("cachestat", (451, 451), "file, room, room, 0"),
    ("readahead", (187, 213), "file, 0, 4096"),
    ("preadv2 without waiting", (327, 286), "file, room, 0, 0, 0, 8"),
)
MARKS = (
    *(_mark(*each, file) for each in BY_PATH for file in ("hidden", "shown")),
    *(_mark(*each, f"os.open(shown, {flags})") for each in BY_DESCRIPTOR for flags in ("os.O_RDONLY", "os.O_PATH")),
    _lock("flock", (73, 32), "file, fcntl.LOCK_EX | fcntl.LOCK_NB"),
    _lock("F_SETLK", (72, 25), "file, 6, lock"),
    _lock("F_OFD_SETLK", (72, 25), "file, 37, lock"),
    _attack(
        "asks for the page cache",
        "runtime_error",
        f"{CALL}\nimport mmap\nwith open(shown, 'rb') as f: pages = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)\n"
        "libc = ctypes.CDLL(None)\nlibc.mmap.restype = ctypes.c_void_p\n"
        "address = libc.mmap(None, ctypes.c_size_t(4096), 1, 2, os.open(shown, 0), ctypes.c_long(0))\n"
        "call(27, 232, ctypes.c_void_p(address), 4096, room)",
    ),
    _attack(
        "waits at a page of a shown file",
        "wrong_answer",
        f"{CALL}\nlibc = ctypes.CDLL(None)\nlibc.mmap.restype = ctypes.c_void_p\n"
        "page = libc.mmap(None, ctypes.c_size_t(4096), 1, 1, os.open(shown, 0), ctypes.c_long(0))\n"
        "word = ctypes.c_uint32.from_address(page)\nresults = set()\nfor operation in (0, 9 | 256):\n"
        "    try:\n        call(202, 98, ctypes.c_void_p(page), operation, word, "
        "ctypes.byref((ctypes.c_long * 2)(0, 1000)), 0, -1)\n"
        "    except OSError as error:\n        results.add(error.errno)\nif results == {11}: raise SystemExit",
    ),
    _attack("counts what it reads from the disk", "runtime_error", f"{CALL}\ncall(98, 165, 0, room)"),
    _attack(
        "finds such a count",
        "wrong_answer",
        "import resource\nfor who in (resource.RUSAGE_SELF, resource.RUSAGE_THREAD, resource.RUSAGE_CHILDREN):\n"
        "    found = resource.getrusage(who)\n    open('/dev/zero', 'rb').read(10)\n"
        "    if any(found[2:]): break\nelse: raise SystemExit",
    ),
    _attack(
        "finds a device that it may change",
        "wrong_answer",
        "import os\nflags = [os.statvfs('/dev/' + name).f_flag for name in ('null', 'zero', 'full', 'random')]\n"
        "if os.getpid() != 1 or all(each & os.ST_RDONLY for each in flags): raise SystemExit",
    ),
)

SECRETS = (
    Hostile(
        "finds no descriptor but its own",
        "passed",
        """
import os
found = 0
for fd in range(3, 300):
    try:
        os.fstat(fd)
        found += 1
    except OSError:
        pass
print(4 + found)
""",
        FOUR,
    ),
    Hostile(
        "finds nothing in its environment but numbers of threads",
        "passed",
        "import os\nprint(4 + sum(not name.endswith('_NUM_THREADS') for name in os.environ))",
        FOUR,
    ),
    Hostile(
        "looks for the expected output in its memory",
        "wrong_answer",
        """
import gc, sys
wanted = "the-expected" + "-output"
for thing in gc.get_objects():
    for part in (thing.values() if isinstance(thing, dict) else thing if isinstance(thing, (list, tuple)) else ()):
        if isinstance(part, (str, bytes)) and wanted in str(part) and part is not wanted:
            print(wanted)
""",
        StdioTests((StdioTest("", "the-expected-output"),)),
    ),
    Hostile(
        "looks for the expected value in all frames",
        "wrong_answer",
        """
import sys
def f(x):
    frame = sys._getframe().f_back
    while frame:
        for value in list(frame.f_locals.values()) + list(frame.f_globals.values()):
            if f"assert f({x}) " + "==" in repr(value)[:10**6]:
                return x * x
        frame = frame.f_back
""",
        SQUARE,
    ),
)

NETWORK = (
    _attack("connects by TCP", "runtime_error", "import socket\nsocket.create_connection(('127.0.0.1', @PORT@), 1)"),
    _attack("sends by UDP", "runtime_error", "import socket\nsocket.socket(2, 2).sendto(b'x', ('127.0.0.1', @UDP@))"),
    _attack("connects to a socket file", "runtime_error", "import socket\nsocket.socket(1).connect('@FOLDER@/socket')"),
    _attack("connects to a hidden socket", "runtime_error", "import socket\nsocket.socket(1).connect('\\0@FOLDER@')"),
    _attack(
        "sends a datagram through one of a pair",
        "runtime_error",
        "import _socket\n_socket.socketpair(1, 2)[0].sendto(b'x', '@FOLDER@/datagrams')",
        limits=FORKING,
    ),
    _attack("makes pipes, whose numbers count those of all", "runtime_error", "import os\nos.pipe()"),
    _attack("makes sockets by number", "runtime_error", f"{CALL}\ncall(53, 199, 1, 1, 0, room)"),
    _attack(
        "sends words by what wakes an event loop",
        "runtime_error",
        "import socket\none, other = socket.socketpair()\none.send(b'word')",
    ),
    _attack(
        "asks for the number of a socket, which counts all",
        "runtime_error",
        "import _socket\n_socket.socketpair()[0].getsockopt(1, 57, 8)",
        limits=FORKING,
    ),
    _attack("asks for a name", "runtime_error", "import socket\nsocket.getaddrinfo('example.org', 80)"),
    _attack("listens", "runtime_error", "import socket\nsocket.create_server(('', 0))"),
    _attack("sends raw packets", "runtime_error", "import socket\nsocket.socket(socket.AF_PACKET, socket.SOCK_RAW)"),
)

PROCESSES = (
    _attack("kills everything", "runtime_error", "import os\nos.kill(-1, 9)"),
    _attack("kills a process of the host", "runtime_error", "import os\nos.kill(@VICTIM@, 9)"),
    _attack("stops a process of the host", "runtime_error", "import os, signal\nos.kill(@VICTIM@, signal.SIGSTOP)"),
    _attack(
        "has a signal sent by a descriptor",
        "runtime_error",
        "import fcntl, os\nr, w = os.pipe()\nfcntl.fcntl(r, fcntl.F_SETOWN, @VICTIM@)",
    ),
    _attack(
        "asks how long a process of the host has worked",
        "runtime_error",
        "import time\ntime.clock_gettime((~@VICTIM@ << 3) | 2)",
    ),
    _attack("asks for the group of a process of the host", "runtime_error", "import os\nos.getpgid(@VICTIM@)"),
    _attack("raises its priority", "runtime_error", "import os\nos.nice(-5)"),
    _attack(
        "becomes a real-time process",
        "runtime_error",
        "import os\nos.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))",
    ),
    _attack(
        "raises its limits", "runtime_error", "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (10**6, 10**6))"
    ),
    Hostile(
        "leaves a daemon behind",
        "wrong_answer",
        """
import os, time
if not os.fork():
    os.setsid()
    if not os.fork():
        while True: time.sleep(1)
    os._exit(0)
print("done")
""",
        limits=FORKING,
    ),
    Hostile(
        "leaves a child that keeps writing",
        "wrong_answer",
        "import os\nif not os.fork():\n    while True: os.write(1, b'')\nprint('done')",
        limits=FORKING,
    ),
    Hostile("kills itself", "runtime_error", "import os, sys\nos.kill(os.getpid(), 9)\nsys.exit(1)"),
)

FRAMES = """
import os, struct
def send(data): os.write(3, struct.pack(">I", len(data)) + data)
"""

STOPS = """
def text(word): return b"s" + struct.pack(">I", len(word)) + word
NAMES = b"t\\0\\0\\0\\2" + text(b"StopIteration") + text(b"Exception")
def f(x): send(b"t\\0\\0\\0\\3" + text(b"raise") + NAMES + b"t\\0\\0\\0\\0")
"""
OWN = "class Own(StopIteration): pass\n"
EVERY = Assertions(("assert all(map(lambda x: f(x) == 1, range(5)))",), ("f",))

FORGING = (
    Hostile(
        "returns an object that equals everything",
        "not_plain_data",
        "class E:\n    def __eq__(self, other): return True\n    __hash__ = object.__hash__\ndef f(x): return E()",
        SQUARE,
    ),
    Hostile(
        "returns an object that equals everything, to a caller",
        "not_plain_data",
        "class E:\n    def __eq__(self, other): return True\n    __hash__ = object.__hash__\ndef f(x): return E()",
        SQUARE_CALLS,
    ),
    Hostile(
        "returns an int that lies",
        "wrong_answer",
        "class I(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\ndef f(x): return I(5)",
        SQUARE,
    ),
    Hostile(
        "returns a str that lies",
        "wrong_answer",
        "class S(str):\n    def __eq__(self, other): return True\n    __hash__ = str.__hash__\ndef f(x): return S('5')",
        SQUARE,
    ),
    Hostile(
        "returns a list that lies",
        "wrong_answer",
        "class L(list):\n    def __eq__(self, other): return True\ndef f(x): return L([5])",
        Assertions(("assert f(7) == [1]", "assert f(2) == [2]"), ("f",)),
    ),
    Hostile(
        "returns a class that equals everything",
        "not_plain_data",
        "class M(type):\n    def __eq__(self, other): return True\n    __hash__ = type.__hash__\n"
        "class E(metaclass=M): pass\ndef f(x): return E",
        SQUARE,
    ),
    Hostile(
        "changes the built-ins",
        "wrong_answer",
        "import builtins\nbuiltins.AssertionError = ValueError\nbuiltins.abs = lambda x: 0\ndef f(x): return 5",
        SQUARE,
    ),
    Hostile(
        "traces the caller",
        "wrong_answer",
        "import sys\ndef t(frame, event, arg):\n    frame.f_trace_lines = False\n    return t\n"
        "sys.settrace(t)\ndef f(x): return 5",
        SQUARE,
    ),
    Hostile("exits while it is loaded", "runtime_error", "import sys\nsys.exit(0)", SQUARE),
    Hostile("exits while it is called", "runtime_error", "import os\ndef f(x): os._exit(0)", SQUARE),
    Hostile("exits while it is called, to a caller", "runtime_error", "import os\ndef f(x): os._exit(0)", SQUARE_CALLS),
    Hostile("raises what nobody catches", "runtime_error", "class B(BaseException): pass\ndef f(x): raise B", SQUARE),
    Hostile(
        "claims success at exit",
        "wrong_answer",
        "import atexit\natexit.register(print, 'passed')\ndef f(x): return 5",
        SQUARE,
    ),
    Hostile(
        "raises an error that cannot be shown",
        "runtime_error",
        "class E(Exception):\n    def __str__(self): raise ValueError\ndef f(x): raise E",
        SQUARE,
    ),
    Hostile("defines no such function", "runtime_error", "def g(x): return x * x", SQUARE),
    Hostile("is no program", "runtime_error", "def f(x) return x * x", SQUARE),
    Hostile("returns one answer to all", "wrong_answer", "def f(x): return 49", SQUARE),
    Hostile("loops when it is called", "timeout", "def f(x):\n    while True: pass", SQUARE),
    Hostile(
        "returns an endless generator",
        "timeout",
        "def f(x):\n    while True: yield 1",
        Assertions(("assert list(f(1)) == [1]",), ("f",)),
    ),
    Hostile(
        "dies where the test catches everything",
        "runtime_error",
        "import os\ndef f(x): os._exit(0)",
        Assertions(("try:\n    f(1)\nexcept:\n    pass",), ("f",)),
    ),
    Hostile(
        "ends the test's loop early",
        "runtime_error",
        "def f(x): raise StopIteration",
        EVERY,
    ),
    Hostile(
        "has the test loop for ever",
        "timeout",
        "def f(x): return 10**18",
        Assertions(("assert sum(1 for _ in range(f(7))) == 3",), ("f",)),
    ),
    Hostile(
        "has a test loop that catches everything",
        "timeout",
        "def f(x): return 10**18",
        Assertions(("try:\n    for _ in range(f(7)): pass\nexcept:\n    pass",), ("f",)),
    ),
    Hostile("returns NaN", "wrong_answer", "def f(x): return float('nan')", SQUARE),
    Hostile("returns NaN to a caller", "wrong_answer", "def f(x): return float('nan')", SQUARE_CALLS),
    Hostile(
        "returns infinity where a tolerance is given",
        "wrong_answer",
        "def f(x): return float('inf')",
        replace(SQUARE_CALLS, tolerance=1e9),
    ),
)

PROTOCOL = (
    Hostile(
        "answers before it is asked",
        "wrong_answer",
        FRAMES + "ready = b't\\0\\0\\0\\1s\\0\\0\\0\\5ready'\nsend(ready)\n"
        "send(b't\\0\\0\\0\\3s\\0\\0\\0\\6returni\\1\\4N')\ndef f(x): return 5",
        SQUARE,
    ),
    Hostile(
        "says that it is ready and ends",
        "runtime_error",
        FRAMES + "send(b't\\0\\0\\0\\1s\\0\\0\\0\\5ready')\nos._exit(0)",
        SQUARE,
    ),
    Hostile(
        "announces a huge frame",
        "not_plain_data",
        "import os\ndef f(x):\n    os.write(3, b'\\xff' * 4)\n    return x * x",
        SQUARE,
    ),
    Hostile("sends garbage", "not_plain_data", FRAMES + "def f(x): send(b'\\x80\\x04garbage')", SQUARE),
    Hostile(
        "sends a pickle",
        "not_plain_data",
        FRAMES + "import pickle\nclass P:\n    def __reduce__(self): return (print, ('escaped',))\n"
        "def f(x): send(pickle.dumps(P()))",
        SQUARE,
    ),
    Hostile("sends an empty frame", "not_plain_data", FRAMES + "def f(x): send(b'')", SQUARE),
    Hostile(
        "sends half a frame and waits",
        "timeout",
        "import os, time\ndef f(x):\n    os.write(3, b'\\0\\0\\0\\x09t')\n    time.sleep(1e6)",
        SQUARE,
    ),
    Hostile(
        "sends a request of its own",
        "wrong_answer",
        FRAMES + "def f(x):\n    send(b't\\0\\0\\0\\3s\\0\\0\\0\\x09attributei\\1\\0s\\0\\0\\0\\x0b__globals__')\n"
        "    os.read(3, 10**6)\n    return 5",
        SQUARE,
    ),
    Hostile(
        "sends descriptors over the wire",
        "runtime_error",
        "import array, socket\nsent = [(1, 1, array.array('i', [0]))]\n"
        "def f(x): return socket.socket(fileno=3).sendmsg([b'x'], sent)",
        SQUARE,
    ),
    Hostile("closes the wire", "runtime_error", "import os\ndef f(x):\n    os.close(3)\n    return x * x", SQUARE),
    Hostile(
        "asks for a test's function by number",
        "wrong_answer",
        FRAMES + "request = b't\\0\\0\\0\\3s\\0\\0\\0\\4calli\\1\\0t\\0\\0\\0\\2t\\0\\0\\0\\0d\\0\\0\\0\\0'\n"
        "def f(x):\n    send(request)\n"
        "    os.read(3, 10**6)\n    return 5",
        SQUARE,
    ),
)

DECODING = (
    Hostile(
        "nests a thousand deep",
        "not_plain_data",
        "def f(x):\n    y = []\n    for _ in range(1000): y = [y]\n    return y",
        SQUARE,
    ),
    Hostile("nests without end", "not_plain_data", "def f(x):\n    y = []\n    y.append(y)\n    return y", SQUARE),
    Hostile(
        "sends a frame that nests too deep",
        "not_plain_data",
        FRAMES + "def f(x): send(b't\\0\\0\\0\\3s\\0\\0\\0\\6return' + b'l\\0\\0\\0\\1' * 1000 + b'NN')",
        SQUARE,
    ),
    Hostile(
        "returns keys of one hash",
        "not_plain_data",
        FRAMES
        + """
keys = b"".join(b"i\\x0a" + (k * (2**61 - 1)).to_bytes(10, "big") for k in range(50000))
def f(x): send(b"t\\0\\0\\0\\3s\\0\\0\\0\\6returnS" + struct.pack(">I", 50000) + keys + b"N")
""",
        SQUARE,
    ),
    Hostile("returns a number of many digits", "wrong_answer", "def f(x): return 10**50000", SQUARE),
    Hostile("returns a number of many digits to a caller", "wrong_answer", "def f(x): return 10**50000", SQUARE_CALLS),
    Hostile(
        "returns much to each of many callers",
        "output_limit",
        "def f(x): return 'x' * 10**6",
        CallTests("f", tuple(CallTest((n,), "x" * 10**6) for n in range(100))),
        replace(LIMITS, total_cpu_seconds=20, total_wall_seconds=60),
    ),
    Hostile(
        "claims a length without end",
        "wrong_answer",
        "class L:\n    def __len__(self): return 2**62\n    def __iter__(self): return iter(())\ndef f(x): return L()",
        Assertions(("assert list(f(7)) == []",), ("f",)),
    ),
    Hostile("returns too much", "output_limit", "import os\ndef f(x): os.write(3, (10**8).to_bytes(4, 'big'))", SQUARE),
    Hostile("raises a StopIteration of its own", "runtime_error", OWN + "def f(x): raise Own", EVERY),
    Hostile("tells of a StopIteration that ends loops", "runtime_error", FRAMES + STOPS, EVERY),
    Hostile(
        "returns a list with a false length",
        "not_plain_data",
        FRAMES + "def f(x): send(b't\\0\\0\\0\\3s\\0\\0\\0\\6returnl\\xff\\xff\\xff\\xffN')",
        SQUARE,
    ),
    Hostile("returns text that is no text", "wrong_answer", "def f(x): return '\\ud800'", SQUARE),
    Hostile("writes bytes that are no text", "wrong_answer", "import os\nos.write(1, b'\\xff\\xfe4')", FOUR),
)

COMPARISON = (
    Hostile("adds an invisible character", "wrong_answer", "print('4\\u200b')", FOUR),
    Hostile("adds a zero byte", "wrong_answer", "print('4\\0')", FOUR),
    Hostile("pads with a space that is none", "wrong_answer", "print('4\\u00a0')", FOUR),
    Hostile("writes the number in another way", "wrong_answer", "print('4e0')", FOUR),
    Hostile("writes NaN", "wrong_answer", "print('nan')", ABOUT_FOUR),
    Hostile("writes infinity", "wrong_answer", "print('inf')", ABOUT_FOUR),
    Hostile("writes a number with underscores", "wrong_answer", "print('0_4')", ABOUT_FOUR),
    Hostile("writes digits of another script", "wrong_answer", "print('\\u0664')", ABOUT_FOUR),
    Hostile("writes a number without end", "wrong_answer", "print('4' * 10**5)", ABOUT_FOUR),
    Hostile("writes two answers", "wrong_answer", "print('4 5')", ABOUT_FOUR),
    Hostile("is right, and fails", "runtime_error", "print(4)\nraise SystemExit(3)", FOUR),
    Hostile("is right, and never ends", "timeout", "print(4, flush=True)\nwhile True: pass", FOUR),
    Hostile("is right, and says too much", "output_limit", "print(4)\nprint(' ' * 2**21)", FOUR),
    Hostile("writes by other means", "passed", "import os\nos.write(1, b'4')", FOUR),
)

ALL = (*EXHAUSTION, *FILES, *MARKS, *SECRETS, *NETWORK, *PROCESSES, *FORGING, *PROTOCOL, *DECODING, *COMPARISON)
