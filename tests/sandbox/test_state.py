"""What one program does, the next cannot see: pairs of programs, of which one leaves something and the other looks."""

import os
import sys
import time
from collections.abc import Iterator

import pytest

from tts.sandbox import Limits, Sandbox
from tts.sandbox.records import ProfileName

LIMITS = Limits(cpu_seconds=5, wall_seconds=20)
NOBODY = 65534
PROFILES: tuple[ProfileName, ...] = ("full", "landlock+seccomp")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")

PREPARED = """
import ctypes, fcntl, os, struct
from importlib.util import find_spec
folder = os.path.dirname(find_spec("tts_left_behind").origin)
shown, link = folder + "/shown.txt", folder + "/link"
libc = ctypes.CDLL(None)
def quietly(action, *arguments):
    try:
        return action(*arguments)
    except (OSError, ValueError):
        return None
"""

CHANNELS = {
    "times that are set": ("quietly(os.utime, shown, (5, 5))", "s = os.stat(shown); print(s.st_mtime, s.st_ctime)"),
    "the folder's times": ("quietly(os.utime, folder, (5, 5))", "s = os.stat(folder); print(s.st_mtime, s.st_ctime)"),
    "rights": ("quietly(os.chmod, shown, 0o640)", "print(os.stat(shown).st_mode)"),
    "links": ("quietly(os.link, shown, shown + '2')", "print(os.stat(shown).st_nlink)"),
    "its size": ("quietly(os.truncate, shown, 3)", "print(os.stat(shown).st_size)"),
    "attributes": ("quietly(os.setxattr, shown, 'user.t', b'1')", "print(quietly(os.listxattr, shown))"),
    "a hint": (
        "quietly(fcntl.fcntl, os.open(shown, 0), 1036, struct.pack('Q', 4))",
        "print(quietly(fcntl.fcntl, os.open(shown, 0), 1035, bytes(8)))",
    ),
    "the page cache": (
        "quietly(os.posix_fadvise, os.open(shown, 0), 0, 0, 4)",
        "import mmap\nlibc.mmap.restype = ctypes.c_void_p\npages = (ctypes.c_ubyte * 99)()\n"
        "at = libc.mmap(None, ctypes.c_size_t(65536), 1, 1, os.open(shown, 0), ctypes.c_long(0))\n"
        "print(libc.mincore(ctypes.c_void_p(at), ctypes.c_size_t(65536), pages), sum(pages))",
    ),
    "a file in its folder": (
        "quietly(open, 'left', 'w')",
        "print(os.path.exists('left'))",
    ),
    "a file in /tmp": ("quietly(open, '/tmp/tts-left', 'w')", "print(os.path.exists('/tmp/tts-left'))"),
    "a file in /dev/shm": ("quietly(open, '/dev/shm/tts-left', 'w')", "print(os.path.exists('/dev/shm/tts-left'))"),
    "a file beside what is shown": ("quietly(open, folder + '/left', 'w')", "print(quietly(os.listdir, folder))"),
    "shared memory": ("libc.shmget(4711, 4096, 0o1666)", "print(libc.shmget(4711, 4096, 0o666))"),
    "a queue": ("libc.mq_open(b'/left', 0o102, 0o666, None)", "print(libc.mq_open(b'/left', 0))"),
}
"""By what is left: how it is left, and how the next program looks for it."""

READING = {
    "a file's": ("open(shown).read()", "print(os.stat(shown).st_atime)"),
    "a folder's": ("os.listdir(folder)", "print(os.stat(folder).st_atime)"),
    "a link's": ("os.readlink(link)", "print(os.lstat(link).st_atime)"),
    "a link's, followed": ("os.stat(link)", "print(os.lstat(link).st_atime)"),
}
"""The time of the last reading."""


Seen = dict[str, list[bytes]]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A package that all programs see, the user's own (root's programs are nobody's), not read since it was changed."""
    home = tmp_path_factory.mktemp("shown")
    folder = home / "tts_left_behind"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "shown.txt").write_text("x" * 65536)
    (folder / "link").symlink_to("shown.txt")
    for path in (*folder.iterdir(), folder):
        if os.getuid() == 0:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        os.utime(path, (1e9, 1.1e9), follow_symlinks=False)
    sys.path.append(str(home))
    yield folder.name
    sys.path.remove(str(home))


@pytest.fixture(scope="module", params=PROFILES)
def seen(request: pytest.FixtureRequest, package: str) -> Seen:
    """What is seen before something is left, after that, and in a new sandbox."""
    found: Seen = {channel: [] for channel in (*CHANNELS, *READING)}
    for sandbox_number in range(2):
        with Sandbox(workers=1, packages=(package,), profile=request.param) as sandbox:
            for channel, (leave, look) in (CHANNELS | READING).items():
                for program in (look,) if sandbox_number else (look, leave, look):
                    run = sandbox.run(PREPARED + program, limits=LIMITS)
                    assert run.outcome == "ok", run
                    if program is look:
                        found[channel].append(run.stdout)
    found["profile"] = [request.param.encode()]
    return found


@pytest.mark.parametrize("channel", CHANNELS)
def test_nothing_is_left(channel: str, seen: Seen) -> None:
    assert len(set(seen[channel])) == 1, seen[channel]


@pytest.mark.parametrize("channel", READING)
def test_with_a_root_of_ones_own_reading_leaves_no_trace(channel: str, seen: Seen) -> None:
    assert len(set(seen[channel])) == 1 or seen["profile"] != [b"full"], seen[channel]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_program_sees_its_own_start_and_not_the_end_of_the_one_before(profile: ProfileName) -> None:
    look = "import os, time\nplaces = [0, 1, 2] + ['.'] * (os.getpid() == 1)\n"
    look += "for s in map(os.stat, places): print(time.time() - min(s.st_ctime, s.st_mtime, s.st_atime))"
    with Sandbox(workers=1, packages=(), profile=profile) as sandbox:
        for leave in ("os.listdir('.')", "open('left', 'w').close()", "print()"):
            program = f"import os\nif os.getpid() == 1: {leave}"
            assert sandbox.run(program, limits=LIMITS).outcome == "ok"
            time.sleep(0.5)
            run = sandbox.run(look, limits=LIMITS)
            ages = [float(line) for line in run.stdout.split()]
            assert len(ages) == (4 if profile == "full" else 3)
            assert all(age < 0.4 for age in ages), ages


@pytest.mark.parametrize("profile", PROFILES)
def test_locks_keep_nobody_out_but_are_granted(profile: ProfileName, package: str) -> None:
    """Within one process they would not either; and none reaches another program's."""
    program = "f = open(shown)\nfcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\nfcntl.lockf(f, fcntl.LOCK_SH)\nprint(4)"
    with Sandbox(workers=1, packages=(package,), profile=profile) as sandbox:
        assert sandbox.run(PREPARED + program, limits=LIMITS).stdout == b"4\n"
