"""The system calls that programs need, and those that only attacks make: name → number on x86_64, on aarch64.

Where a machine lacks a call its number is None. Everything that is not listed is refused with EPERM.
"""

from __future__ import annotations

from typing import TypeAlias

Numbers: TypeAlias = "dict[str, tuple[int | None, int | None]]"

READ_WRITE: Numbers = {
    "close": (3, 57),
    "close_range": (436, 436),
    "copy_file_range": (326, 285),
    "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24),
    "fallocate": (285, 47),
    "fdatasync": (75, 83),
    "fsync": (74, 82),
    "ftruncate": (77, 46),
    "lseek": (8, 62),
    "pread64": (17, 67),
    "preadv": (295, 69),
    "pwrite64": (18, 68),
    "pwritev": (296, 70),
    "read": (0, 63),
    "readv": (19, 65),
    "sendfile": (40, 71),
    "splice": (275, 76),
    "tee": (276, 77),
    "write": (1, 64),
    "writev": (20, 66),
}

FILES: Numbers = {
    "access": (21, None),
    "chdir": (80, 49),
    "creat": (85, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "fchdir": (81, 50),
    "fstat": (5, 80),
    "fstatfs": (138, 44),
    "getcwd": (79, 17),
    "getdents": (78, None),
    "getdents64": (217, 61),
    "link": (86, None),
    "linkat": (265, 37),
    "lstat": (6, None),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "newfstatat": (262, 79),
    "open": (2, None),
    "openat": (257, 56),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "rmdir": (84, None),
    "stat": (4, None),
    "statfs": (137, 43),
    "statx": (332, 291),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "umask": (95, 166),
    "unlink": (87, None),
    "unlinkat": (263, 35),
}

WAITING: Numbers = {
    "clock_nanosleep": (230, 115),
    "epoll_create": (213, None),
    "epoll_create1": (291, 20),
    "epoll_ctl": (233, 21),
    "epoll_pwait": (281, 22),
    "epoll_pwait2": (441, 441),
    "epoll_wait": (232, None),
    "eventfd": (284, None),
    "eventfd2": (290, 19),
    "nanosleep": (35, 101),
    "pause": (34, None),
    "poll": (7, None),
    "ppoll": (271, 73),
    "pselect6": (270, 72),
    "restart_syscall": (219, 128),
    "select": (23, None),
    "timerfd_create": (283, 85),
    "timerfd_gettime": (287, 87),
    "timerfd_settime": (286, 86),
    "wait4": (61, 260),
    "waitid": (247, 95),
}

MEMORY: Numbers = {
    "brk": (12, 214),
    "mlock": (149, 228),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "msync": (26, 227),
    "munlock": (150, 229),
    "munmap": (11, 215),
}

SIGNALS: Numbers = {
    "alarm": (37, None),
    "getitimer": (36, 102),
    "rt_sigaction": (13, 134),
    "rt_sigpending": (127, 136),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "rt_sigsuspend": (130, 133),
    "rt_sigtimedwait": (128, 137),
    "setitimer": (38, 103),
    "sigaltstack": (131, 132),
    "timer_create": (222, 107),
    "timer_delete": (226, 111),
    "timer_getoverrun": (225, 109),
    "timer_gettime": (224, 108),
    "timer_settime": (223, 110),
}

ASKING: Numbers = {
    "clock_getres": (229, 114),
    "getcpu": (309, 168),
    "getegid": (108, 177),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getgroups": (115, 158),
    "getpgrp": (111, None),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "getrandom": (318, 278),
    "getresgid": (120, 150),
    "getresuid": (118, 148),
    "getrlimit": (97, 163),
    "gettid": (186, 178),
    "gettimeofday": (96, 169),
    "getuid": (102, 174),
    "sched_get_priority_max": (146, 125),
    "sched_get_priority_min": (147, 126),
    "sched_getaffinity": (204, 123),
    "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120),
    "sysinfo": (99, 179),
    "time": (201, None),
    "times": (100, 153),
    "uname": (63, 160),
}

PROCESS: Numbers = {
    "arch_prctl": (158, None),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "get_robust_list": (274, 100),
    "membarrier": (324, 283),
    "rseq": (334, 293),
    "sched_yield": (24, 124),
    "set_robust_list": (273, 99),
    "set_tid_address": (218, 96),
    "setpgid": (109, 154),
    "setrlimit": (160, 164),
    "setsid": (112, 157),
}

SOCKET_PAIRS: Numbers = {
    "getpeername": (52, 205),
    "getsockname": (51, 204),
    "recvfrom": (45, 207),
    "recvmsg": (47, 212),
    "sendto": (44, 206),
    "shutdown": (48, 210),
}

CHANGING: Numbers = {
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "futimesat": (261, None),
    "truncate": (76, 45),
    "utime": (132, None),
    "utimensat": (280, 88),
    "utimes": (235, None),
}
"""Change a file by its name, or through a descriptor that only reads. No rule of Landlock is asked (of `truncate` not
before its third version), so they are allowed only where every file that can be named is the program's own or on a
mount that is read-only.
"""

CONDITIONAL: Numbers = {
    "clock_gettime": (228, 113),
    "clone": (56, 220),
    "clone3": (435, 435),
    "fadvise64": (221, 223),
    "fcntl": (72, 25),
    "flock": (73, 32),
    "fork": (57, None),
    "futex": (202, 98),
    "getpgid": (121, 155),
    "getsid": (124, 156),
    "getsockopt": (55, 209),
    "ioctl": (16, 29),
    "kill": (62, 129),
    "madvise": (28, 233),
    "pipe": (22, None),
    "pipe2": (293, 59),
    "prctl": (157, 167),
    "prlimit64": (302, 261),
    "sendmsg": (46, 211),
    "socketpair": (53, 199),
    "tgkill": (234, 131),
    "tkill": (200, 130),
    "vfork": (58, None),
}
"""What becomes of them depends on their arguments and on the program; see `seccomp`."""

HOSTILE: Numbers = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "delete_module": (176, 106),
    "finit_module": (313, 273),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setns": (308, 268),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
"""No honest program makes these: one that does is killed."""

ATTRIBUTES: Numbers = {
    "fgetxattr": (193, 10),
    "flistxattr": (196, 13),
    "getxattr": (191, 8),
    "lgetxattr": (192, 9),
    "listxattr": (194, 11),
    "llistxattr": (195, 12),
}
"""Ask for extended attributes, which no file seems to have: who copies a file asks, and is content with that."""

HARMLESS: Numbers = READ_WRITE | FILES | WAITING | MEMORY | SIGNALS | ASKING | PROCESS | SOCKET_PAIRS
"""Allowed with any arguments."""
