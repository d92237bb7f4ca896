"""The filters of both machines, interpreted here: only so can the other machine's be tested."""

import errno
import re
import struct
from pathlib import Path

import pytest

from tts.sandbox.inside import calls, seccomp

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
TABLES = (calls.HARMLESS, calls.CHANGING, calls.CONDITIONAL, calls.ATTRIBUTES, calls.HOSTILE)
LAST_NUMBER = 600
ACTIONS = {0x7FFF0000: "allowed", 0x80000000: "killed", 0x00050000: "pretended"}
REFUSED = f"errno {errno.EPERM}"

MARKING = {
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "getxattrat": (464, 464),
    "listxattrat": (465, 465),
    "removexattrat": (466, 466),
    "file_getattr": (468, 468),
    "file_setattr": (469, 469),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "acct": (163, 89),
    "sync": (162, 81),
    "syncfs": (306, 267),
    "sync_file_range": (277, 84),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "inotify_add_watch": (254, 27),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "mincore": (27, 232),
    "cachestat": (451, 451),
    "getrusage": (98, 165),
    "futex_waitv": (449, 449),
    "futex_wake": (454, 454),
    "futex_wait": (455, 455),
    "readahead": (187, 213),
    "preadv2": (327, 286),
    "pwritev2": (328, 287),
    "process_madvise": (440, 440),
    "remap_file_pages": (216, 234),
    "vmsplice": (278, 75),
    "openat2": (437, 437),
    "open_tree_attr": (467, 467),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "name_to_handle_at": (303, 264),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "mq_open": (240, 180),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "io_setup": (206, 0),
    "landlock_restrict_self": (446, 446),
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "sched_setaffinity": (203, 122),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
}
"""Calls by which a file or a process could be marked, watched or reached: no program may make one."""


def decide(program: bytes, architecture: int, number: int, *arguments: int) -> str:
    """Return what the kernel would make of a call: classic BPF, as far as these filters use it."""
    data = struct.pack("<IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    code = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    accumulator, at = 0, 0
    while True:
        operation, if_true, if_false, value = code[at]
        at += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif operation == 0x06:
            return ACTIONS.get(value, f"errno {value & 0xFFFF}")
        else:
            holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[operation]
            at += if_true if holds else if_false


class Filter:
    """A machine's filter, asked by the names of calls."""

    def __init__(self, machine: str, may_fork: bool = False, only_pid: int = 0, own_root: bool = True) -> None:
        self.column, self.architecture = MACHINES[machine]
        self.program = seccomp.program(self.column, may_fork, only_pid, own_root)

    def number(self, name: str) -> int | None:
        numbers = {name: numbers for table in (*TABLES, MARKING) for name, numbers in table.items()}
        return numbers[name][self.column]

    def __call__(self, name: str, *arguments: int) -> str:
        number = self.number(name)
        assert number is not None
        return decide(self.program, self.architecture, number, *arguments)


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("own_root", [True, False])
@pytest.mark.parametrize("may_fork", [True, False])
def test_what_marks_watches_or_reaches_is_refused(machine: str, may_fork: bool, own_root: bool) -> None:
    chosen = Filter(machine, may_fork, own_root=own_root)
    answers = {name: chosen(name) for name in MARKING if chosen.number(name) is not None}
    assert set(answers.values()) == {REFUSED}, answers


def test_what_changes_a_file_by_its_name_passes_with_a_root_of_ones_own_only(machine: str) -> None:
    own, hosts = Filter(machine), Filter(machine, only_pid=7, own_root=False)
    names = [name for name in calls.CHANGING if own.number(name) is not None]
    assert {own(name) for name in names} == {"allowed"}
    assert {hosts(name) for name in names} == {REFUSED}


@pytest.mark.parametrize("own_root", [True, False])
def test_every_number_gets_the_action_of_its_table_and_all_others_are_refused(machine: str, own_root: bool) -> None:
    chosen = Filter(machine, own_root=own_root)
    tables = ((calls.HARMLESS, "allowed"), (calls.CHANGING, "allowed" if own_root else REFUSED))
    expected = dict.fromkeys(range(LAST_NUMBER), REFUSED)
    unsupported = f"errno {errno.ENOTSUP}"
    for table, action in (*tables, (calls.ATTRIBUTES, unsupported), (calls.HOSTILE, "killed")):
        expected |= {numbers[chosen.column]: action for numbers in table.values() if numbers[chosen.column] is not None}
    for numbers in calls.CONDITIONAL.values():
        expected.pop(numbers[chosen.column], None)
    assert {number: decide(chosen.program, chosen.architecture, number) for number in expected} == expected


def test_calls_of_another_machine_and_of_x32_kill(machine: str) -> None:
    chosen = Filter(machine)
    [other] = {architecture for _, architecture in MACHINES.values()} - {chosen.architecture}
    assert decide(chosen.program, other, 0) == "killed"
    assert decide(chosen.program, chosen.architecture, 0x40000000 | 1) == "killed"


@pytest.mark.parametrize("own_root", [True, False])
def test_locks_are_pretended_and_their_other_kin_refused(machine: str, own_root: bool) -> None:
    chosen = Filter(machine, own_root=own_root)
    answers = {command: chosen("fcntl", 3, command) for command in (*range(64), *range(1020, 1100), 2**31)}
    pretended = {command for command, action in answers.items() if action == "pretended"}
    allowed = {command for command, action in answers.items() if action == "allowed"}
    assert (pretended, allowed) == ({6, 7, 37, 38}, {0, 1, 2, 3, 4, 5, 36, 1030, 1031, 1032, 1033, 1034})
    assert chosen("flock", 3, 2) == "pretended"
    assert {action for command, action in answers.items() if command not in pretended | allowed} == {REFUSED}


def test_programs_that_fork_are_told_that_there_are_no_locks(machine: str) -> None:
    chosen = Filter(machine, may_fork=True)
    assert {chosen("flock", 3, 2), chosen("fcntl", 3, 6), chosen("fcntl", 3, 38)} == {f"errno {errno.ENOLCK}"}
    assert chosen("fcntl", 3, 5) == "allowed"


def test_advice_about_the_page_cache_is_pretended(machine: str) -> None:
    chosen = Filter(machine)
    answers = {advice: chosen("madvise", 0, 4096, advice) for advice in range(120)}
    assert {advice for advice, action in answers.items() if action == "pretended"} == {3, 20, 21}
    assert {advice for advice, action in answers.items() if action == "allowed"} == {0, 1, 2, 4, 8, *range(10, 20)}
    assert chosen("fadvise64", 3, 0, 0, 4) == "pretended"


@pytest.mark.parametrize("may_fork", [True, False])
def test_nobody_waits_where_others_could_count_or_wake_him(machine: str, may_fork: bool) -> None:
    chosen = Filter(machine, may_fork)
    answers = {operation: chosen("futex", 0, operation) for operation in range(512)}
    private = {action for operation, action in answers.items() if operation & 128}
    assert private == {"allowed"}
    again = f"errno {errno.EAGAIN}"
    assert [operation for operation, action in answers.items() if action == again] == [0, 9, 11, 256, 265, 267]
    assert answers[1] == answers[10] == "allowed"


def test_pairs_of_sockets_are_local_streams(machine: str) -> None:
    chosen = Filter(machine, may_fork=True)
    assert {chosen("socketpair", 1, kind) for kind in (1, 1 | 0x800, 1 | 0x80000, 1 | 0x80800)} == {"allowed"}
    assert {chosen("socketpair", 1, kind) for kind in (2, 2 | 0x80000, 3, 5)} == {REFUSED}
    assert chosen("socketpair", 2, 1) == REFUSED
    assert {chosen("getsockopt", 3, 1, option) for option in (3, 4, 38, 39)} == {"allowed"}
    assert {chosen("getsockopt", 3, 1, option) for option in (17, 57, 71, 77)} == {REFUSED}


def test_pipes_and_sockets_whose_numbers_count_those_of_all_are_for_programs_that_fork(machine: str) -> None:
    names = [name for name in ("pipe", "pipe2", "socketpair", "sendmsg") if Filter(machine).number(name) is not None]
    assert {Filter(machine)(name, 1, 1) for name in names} == {REFUSED}
    assert {Filter(machine, may_fork=True)(name, 1, 1) for name in names} == {"allowed"}


def test_without_a_process_namespace_only_the_program_itself_is_signalled_or_asked(machine: str) -> None:
    chosen = Filter(machine, only_pid=7, own_root=False)
    assert {chosen(name, 7) for name in ("kill", "tgkill", "tkill", "getpgid", "getsid")} == {"allowed"}
    assert {chosen(name, pid) for name in ("kill", "tgkill", "tkill") for pid in (0, 1, 8, 2**32 - 1)} == {REFUSED}
    assert {chosen(name, 8) for name in ("getpgid", "getsid")} == {REFUSED}
    clocks = {pid: chosen("clock_gettime", (~pid << 3 | 2) % 2**32) for pid in (0, 1, 7, 8, 12345)}
    assert [pid for pid, action in clocks.items() if action == "allowed"] == [0]
    assert {chosen("clock_gettime", clock) for clock in range(12)} == {"allowed"}


@pytest.mark.parametrize(("may_fork", "fork"), [(True, "allowed"), (False, REFUSED)])
def test_threads_may_be_started_and_processes_with_leave(machine: str, may_fork: bool, fork: str) -> None:
    chosen = Filter(machine, may_fork)
    assert chosen("clone", 0x3D0F00) == "allowed"
    assert chosen("clone", 0x1200011) == fork
    assert {chosen("clone", flag | 17) for flag in (0x20000, 0x10000000, 0x20000000, 0x40000000)} == {"killed"}
    assert chosen("clone3") == f"errno {errno.ENOSYS}"


def test_the_numbers_are_the_kernels(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip(f"no {HEADERS[machine]}: install the kernel's headers")
    pairs = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", HEADERS[machine].read_text())
    known = {name: int(number) for name, number in pairs}
    known.setdefault("newfstatat", known.get("fstatat", -1))
    column = MACHINES[machine][0]
    ours = {name: numbers[column] for table in TABLES for name, numbers in table.items() if numbers[column] is not None}
    assert {name: known.get(name) for name in ours} == ours
    ours = {name: numbers[column] for name, numbers in MARKING.items() if name in known}
    assert {name: known[name] for name in ours if ours[name] is not None} == {
        name: number for name, number in ours.items() if number is not None
    }


def test_no_call_is_in_two_tables() -> None:
    names = [name for table in TABLES for name in table]
    assert len(names) == len(set(names))
