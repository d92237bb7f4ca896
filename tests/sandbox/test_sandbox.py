"""The sandbox with honest programs: what must work inside, what it tells, and what it leaves behind."""

import asyncio
import gc
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from hostile_run_parts import children, descendants, wait_for

from tts.sandbox import Limits, Sandbox

LIMITS = Limits(cpu_seconds=5, wall_seconds=20, total_cpu_seconds=10, total_wall_seconds=60)
HASTY = Limits(cpu_seconds=0.5, wall_seconds=1.5, total_cpu_seconds=1, total_wall_seconds=4)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2) as opened:
        yield opened


@pytest.mark.parametrize(
    ("program", "stdin", "stdout"),
    [
        ("print(int(input()) + int(input()))", "3\n4\n", "7\n"),
        ("import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())))", "1 2\n3", "6\n"),
        ("import sys\nfor line in sys.stdin: print(line.strip()[::-1])", "ab\ncd\n", "ba\ndc\n"),
        ("print(open(0).read().upper())", "é", "É\n"),
        ("with open('/dev/stdin', 'rb') as f: print(f.read())", "a\n", "b'a\\n'\n"),
        ("import io\nprint(io.open('/dev/stdin').read(), open('/dev/null').read(), end='')", "é", "é "),
        ("import os\nos.write(1, os.read(0, 99))", "raw", "raw"),
        (
            "from heapq import *\nfrom collections import *\nprint(nsmallest(2, [3, 1, 2]), deque([1]))",
            "",
            "[1, 2] deque([1])\n",
        ),
        ("if __name__ == '__main__': print(__name__)", "", "__main__\n"),
        ("import sys\nprint(1)\nsys.exit(0)", "", "1\n"),
        ("print(2)\nexit()", "", "2\n"),
        (
            "import sys\nsys.setrecursionlimit(10**6)\ndef f(n): return n and 1 + f(n - 1)\nprint(f(50000))",
            "",
            "50000\n",
        ),
        (
            "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(2**27)\n"
            "def f(n): return 0 if n == 0 else 1 + f(n - 1)\n"
            "def main(): print(f(20000))\n"
            "threading.Thread(target=main).start()",
            "",
            "20000\n",
        ),
        (
            "from functools import lru_cache\nimport sys\nsys.setrecursionlimit(10**6)\n@lru_cache(None)\n"
            "def f(n): return 0 if n == 0 else 1 + f(n - 1)\nprint(f(20000))",
            "",
            "20000\n",
        ),
        ("import asyncio\nasync def f(): return 5\nprint(asyncio.run(f()))", "", "5\n"),
        (
            "import asyncio, time\nasync def f():\n    slow = asyncio.to_thread(lambda: time.sleep(0.1) or 6)\n"
            "    return await asyncio.gather(slow, asyncio.sleep(0.01, 7))\nprint(asyncio.run(f()), asyncio.run(f()))",
            "",
            "[6, 7] [6, 7]\n",
        ),
        ("from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\nprint(A(1))", "", "A(x=1)\n"),
        ("open('f', 'w').write('hi')\nprint(open('f').read())", "", "hi\n"),
        ("import tempfile\nwith tempfile.TemporaryFile() as f: print(f.write(b'abc'))", "", "3\n"),
        ("import sys\nprint('closed')\nsys.stdout.close()\nsys.stderr.close()", "", "closed\n"),
        ("import sys\nprint('gone', flush=True)\nsys.stdout = None", "", "gone\n"),
        (
            "from resource import *\nsetrlimit(RLIMIT_STACK, (2**28, getrlimit(RLIMIT_STACK)[1]))\nprint('deep')",
            "",
            "deep\n",
        ),
        ("import atexit\natexit.register(print, 'end')\nprint('begin')", "", "begin\nend\n"),
        ("import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))).__name__)", "", "A\n"),
        ("import sqlite3, decimal, zoneinfo, colorsys, unittest\nprint('late')", "", "late\n"),
    ],
)
def test_honest_programs_work(sandbox: Sandbox, program: str, stdin: str, stdout: str) -> None:
    run = sandbox.run(program, stdin.encode(), LIMITS)
    assert (run.outcome, run.stdout.decode(), run.stderr.decode()) == ("ok", stdout, "")


def test_processes_work_where_they_are_allowed(sandbox: Sandbox) -> None:
    program = "import multiprocessing\nprint(multiprocessing.Pool(2).map(abs, [-1, 2]))"
    assert sandbox.run(program, limits=LIMITS).outcome == "runtime_error"
    if sandbox.profile.name == "full":
        assert sandbox.run(program, limits=replace(LIMITS, may_fork=True)).stdout == b"[1, 2]\n"


@pytest.mark.skipif(find_spec("numpy") is None, reason="numpy is not installed")
def test_numpy_can_be_imported_late_and_ahead(sandbox: Sandbox) -> None:
    program = "import sys\nprint('numpy' in sys.modules)\nimport numpy\nprint(numpy.arange(4).sum())"
    assert sandbox.run(program, limits=LIMITS).stdout == b"False\n6\n"
    with Sandbox(workers=1, preload=("numpy",)) as prepared:
        assert prepared.run(program, limits=LIMITS).stdout == b"True\n6\n"


@pytest.mark.skipif(find_spec("numpy") is None, reason="numpy is not installed")
def test_scalars_of_numpy_are_plain_numbers(sandbox: Sandbox) -> None:
    program = "import numpy as np\ndef f(x): return np.sum(x), np.array(x) > 1, [np.float32(0.5)], np.str_('a')"
    test = "total, big, half, text = f([1, 2])\nassert (total, list(big), half, text) == (3, [False, True], [0.5], 'a')"
    assert [each.outcome for each in sandbox.check(program, [test], ["f"], limits=LIMITS).returned] == ["ok"]


def test_a_run_tells_what_it_used_and_how_it_ended(sandbox: Sandbox) -> None:
    busy = sandbox.run("s = 0\nfor i in range(3 * 10**6): s += i\nkeep = bytearray(10**8)", limits=LIMITS)
    assert busy.outcome == "ok"
    assert 0.01 < busy.cpu_seconds <= busy.wall_seconds + 0.05
    assert busy.peak_memory_mb > 95
    failed = sandbox.run("import sys\nprint('out')\nprint('err', file=sys.stderr)\nsys.exit(7)", limits=LIMITS)
    assert (failed.outcome, failed.exit_code, failed.signal) == ("runtime_error", 7, 0)
    assert (failed.stdout, failed.stderr) == (b"out\n", b"err\n")
    crashed = sandbox.run("import ctypes\nctypes.string_at(0)", limits=LIMITS)
    assert (crashed.outcome, crashed.exit_code, crashed.signal) == ("runtime_error", None, 11)


def test_output_is_kept_up_to_its_limit(sandbox: Sandbox) -> None:
    at_limit = sandbox.run("print('x' * 2047)", limits=replace(LIMITS, output_kb=2))
    assert (at_limit.outcome, len(at_limit.stdout)) == ("ok", 2048)
    above = sandbox.run("print('x' * 2048)", limits=replace(LIMITS, output_kb=2))
    assert (above.outcome, len(above.stdout)) == ("output_limit", 2048)


def test_stdin_that_nobody_reads_does_not_block(sandbox: Sandbox) -> None:
    assert sandbox.run("print(1)", b"x" * 10**7, LIMITS).outcome == "ok"
    assert sandbox.run("import sys\nprint(len(sys.stdin.read()))", b"x" * 10**7, LIMITS).stdout == b"10000000\n"


def test_a_program_that_closes_its_streams_still_ends(sandbox: Sandbox) -> None:
    assert sandbox.run("import os\nos.closerange(0, 3)\nos._exit(0)", b"x" * 10**6, LIMITS).outcome == "ok"


def test_one_program_leaves_nothing_to_the_next(sandbox: Sandbox) -> None:
    traces = "import os\nos.mkdir('d')\nopen('d/f', 'w').write('x')\nos.chmod('.', 0)"
    look = "import os\nprint(os.listdir('.'), os.listdir('/tmp'))\nopen('g', 'w').close()"
    for _ in range(3):
        assert sandbox.run(traces, limits=LIMITS).outcome == "ok"
        run = sandbox.run(look, limits=LIMITS)
        assert (run.outcome, run.stdout) == ("ok", b"[] []\n")


def test_calls_share_a_process_and_keep_their_order(sandbox: Sandbox) -> None:
    program = "seen = []\ndef f(x):\n    seen.append(x)\n    return seen, 10 // x"
    called = sandbox.call(program, "f", [(5,), (0,), (2,)], LIMITS)
    assert [each.outcome for each in called.returned] == ["ok", "runtime_error", "ok"]
    assert [each.value for each in called.returned] == [([5], 2), None, ([5, 0, 2], 5)]
    assert "ZeroDivisionError" in called.returned[1].reason


def test_a_method_is_called_on_a_new_instance(sandbox: Sandbox) -> None:
    program = "class Solution:\n    def __init__(self): self.n = 0\n    def add(self, x):\n        self.n += x\n"
    program += "        return self.n"
    called = sandbox.call(program, "Solution.add", [(1,), (2,)], LIMITS)
    assert [each.value for each in called.returned] == [1, 2]


def test_calls_after_one_that_never_returns_are_missing(sandbox: Sandbox) -> None:
    called = sandbox.call("def f(x):\n    while x: pass\n    return x", "f", [(0,), (1,), (0,)], HASTY)
    assert [each.value for each in called.returned] == [0]
    assert called.run.outcome == "timeout"
    assert "processor time" in called.run.reason


@pytest.mark.parametrize(
    ("program", "test"),
    [
        ("def f(xs, key): return sorted(xs, key=key)", "assert f([1, 2, 3], lambda x: -x) == [3, 2, 1]"),
        ("def f(xs): xs.sort()", "xs = [3, 1]; same = xs; assert f(xs) is None and same == [1, 3]"),
        (
            "def f(d): d['a'].append(2); del d['b']",
            "d = {'a': [1], 'b': 0}; a = d['a']; f(d)\nassert d == {'a': [1, 2]} and a == [1, 2]",
        ),
        ("def f(n):\n    for i in range(n): yield i * i", "assert list(f(4)) == [0, 1, 4, 9]"),
        (
            "def f():\n    n = 0\n    while True:\n        yield n\n        n += 1",
            "g = f(); assert [next(g), next(g)] == [0, 1]",
        ),
        ("def f(x):\n    return lambda y: x + y", "assert f(2)(3) == 5"),
        (
            "class f:\n    def __init__(self, x): self.x = x\n    def get(self): return self.x",
            "thing = f(3); assert thing.x == 3 and thing.get() == 3",
        ),
        ("import re\ndef f(x): return re.match('a', x)", "assert f('abc') and not f('b')"),
        (
            "from collections import deque\ndef f(x): return deque(x)",
            "assert list(f('ab')) == ['a', 'b'] and len(f('abc')) == 3 and f('abc')[-1] == 'c' and 'b' in f('ab')",
        ),
        ("def f(x): return {k: 0 for k in x}.keys()", "assert sorted(f('ba')) == ['a', 'b'] and not f('')"),
        ("def f(n): return n\nif __name__ == '__main__': print(f(int(input())))", "assert f(1) == 1"),
        (
            "import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: 'int' = 1\ndef f(): return A().x",
            "assert f() == 1",
        ),
        (
            "def f(x): raise KeyError(x)",
            "try:\n    f('k')\nexcept KeyError as error:\n    assert 'k' in str(error)\nelse:\n    assert False",
        ),
        ("def f(*args, **kw): return args, kw", "assert f(1, b=2) == ((1,), {'b': 2})"),
        (
            "def f(): return {1, 2}, frozenset('a'), 1j, b'x', None, True, 1.5, {(1, 2): 'k'}",
            "assert f() == ({1, 2}, frozenset('a'), 1j, b'x', None, True, 1.5, {(1, 2): 'k'})",
        ),
    ],
)
def test_tests_reach_functions_as_if_they_were_theirs(sandbox: Sandbox, program: str, test: str) -> None:
    checked = sandbox.check(program, [test], ["f"], limits=LIMITS)
    assert [each.outcome for each in checked.returned] == ["ok"], checked


def test_a_failed_check_shows_the_line_and_the_call(sandbox: Sandbox) -> None:
    test = "def check(g):\n    assert g(1) == 2\n    assert g(2) == 5\ncheck(f)"
    checked = sandbox.check("def f(x): return x + 1", [test], ["f"], limits=LIMITS)
    assert checked.returned[0].outcome == "wrong_answer"
    assert checked.returned[0].reason == "assert g(2) == 5: f(2) returned 3"


def test_tests_that_cannot_be_run_are_nobodys_fault(sandbox: Sandbox) -> None:
    for test, setup in (("assert f(1", ""), ("assert f(1)", "import nothing_of_this_name"), ("assert unknown", "")):
        checked = sandbox.check("def f(x): return x", [test], ["f"], setup=setup, limits=LIMITS)
        assert [each.outcome for each in checked.returned] == ["harness_error"]


def test_at_most_the_workers_run_at_a_time_and_all_answers_are_right(sandbox: Sandbox) -> None:
    with ThreadPoolExecutor(8) as threads:
        runs = list(threads.map(lambda n: sandbox.run(f"print({n} ** 2)", limits=LIMITS), range(40)))
    assert [run.stdout for run in runs] == [b"%d\n" % n**2 for n in range(40)]


def test_it_works_beside_an_event_loop() -> None:
    async def main(opened: Sandbox) -> list[bytes]:
        ticks = asyncio.create_task(asyncio.sleep(0))
        runs = await asyncio.gather(*(asyncio.to_thread(opened.run, f"print({n})", b"", LIMITS) for n in range(6)))
        await ticks
        return [run.stdout for run in runs]

    with Sandbox(workers=2, packages=()) as opened:
        assert asyncio.run(main(opened)) == [b"%d\n" % n for n in range(6)]


def test_timeouts_pass_side_by_side_and_are_not_repeated() -> None:
    """Twelve that sleep past half a second, four at a time, are three rounds of that."""
    with Sandbox(workers=4, packages=()) as opened, ThreadPoolExecutor(4) as threads:
        assert set(threads.map(lambda n: opened.run(f"print({n})", limits=LIMITS).outcome, range(8))) == {"ok"}
        begin = time.monotonic()
        sleepers = replace(LIMITS, wall_seconds=0.5)
        runs = list(threads.map(lambda _: opened.run("import time\ntime.sleep(60)", limits=sleepers), range(12)))
        passed = time.monotonic() - begin
    assert [run.outcome for run in runs] == ["timeout"] * 12
    assert passed < 1.5 + 1.5, "a second run of each would take 3 s, one after the other 6 s"


BUSY_THREADS = """
import threading, time
def work():
    while time.thread_time() < 0.25: pass
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_wall_time_stands_still_while_threads_wait_for_a_processor() -> None:
    """Eight that are busy for half a second each take two seconds on two processors, and are given one."""
    with Sandbox(workers=8, packages=()) as opened, ThreadPoolExecutor(8) as threads:
        limits = replace(LIMITS, wall_seconds=1.0)
        runs = list(threads.map(lambda _: opened.run(BUSY_THREADS, limits=limits), range(8)))
        assert [run.outcome for run in runs] == ["ok"] * 8, runs


@pytest.mark.parametrize(
    ("body", "limits", "expected"),
    [
        ("time.sleep(0.15)", replace(LIMITS, wall_seconds=0.5, total_wall_seconds=0.6), "0.6 s"),
        ("spend(0.1)", replace(LIMITS, cpu_seconds=0.3, total_cpu_seconds=0.5), "0.5 s of processor time"),
        ("spend(0.3)", replace(LIMITS, cpu_seconds=1, total_cpu_seconds=1), "1 s of processor time"),
    ],
)
def test_limits_of_all_calls_hold_however_short_each_is(
    sandbox: Sandbox, body: str, limits: Limits, expected: str
) -> None:
    program = "import time\ndef spend(seconds):\n    end = time.process_time() + seconds\n"
    program += f"    while time.process_time() < end: pass\ndef f(n):\n    {body}\n    return n"
    called = sandbox.call(program, "f", [(n,) for n in range(20)], limits)
    assert (called.run.outcome, called.run.reason) == ("timeout", f"more than {expected}")
    assert 2 <= len(called.returned) <= 6
    assert called.run.wall_seconds < 10 * limits.total_wall_seconds
    tested = sandbox.check(program, [f"assert f({n}) == {n}" for n in range(20)], ["f"], limits=limits)
    assert tested.run.outcome == "timeout"
    assert len(tested.returned) < 7


def test_there_are_as_many_threads_as_processes_at_the_default_memory(sandbox: Sandbox) -> None:
    program = "from concurrent.futures import ThreadPoolExecutor\nimport time\n"
    program += (
        "with ThreadPoolExecutor(15) as threads: print(sum(threads.map(lambda n: time.sleep(0.05) or n, range(30))))"
    )
    run = sandbox.run(program, limits=Limits())
    assert (run.outcome, run.stdout) == ("ok", b"435\n"), run
    for memory in (128, 256, 1024):
        assert sandbox.run(program, limits=Limits(memory_mb=memory)).outcome == "ok"
    assert sandbox.run(program.replace("15", "16"), limits=Limits()).outcome == "runtime_error"


def test_what_is_not_enough_memory_is_a_memory_limit(sandbox: Sandbox) -> None:
    for program in ("x = []\nwhile True: x.append(bytearray(10**7))", "import mmap\nx = bytearray(10**9)"):
        assert sandbox.run(program, limits=LIMITS).outcome == "memory_limit"


@pytest.mark.skipif(find_spec("numpy") is None, reason="numpy is not installed")
def test_numpy_works_in_one_process_and_its_want_of_memory_is_a_memory_limit(sandbox: Sandbox) -> None:
    run = sandbox.run("import numpy\nprint((numpy.eye(50) @ numpy.eye(50)).sum())", limits=replace(LIMITS, processes=1))
    assert (run.outcome, run.stdout) == ("ok", b"50.0\n"), run
    assert sandbox.run("import numpy\nnumpy.ones(10**9)", limits=LIMITS).outcome == "memory_limit"
    called = sandbox.call("import numpy\ndef f(n): return numpy.ones(n).sum()", "f", [(10**9,)], LIMITS)
    assert [each.outcome for each in called.returned] == ["memory_limit"]


@pytest.mark.skipif(find_spec("numpy") is None, reason="numpy is not installed")
def test_packages_are_found_in_every_profile() -> None:
    with Sandbox(workers=1, profile="landlock+seccomp") as opened:
        assert opened.run("import numpy\nprint(numpy.arange(4).sum())", limits=LIMITS).stdout == b"6\n"


def test_sets_have_one_order_in_all_sandboxes() -> None:
    program = (
        "print([max(set(s), key=s.count) for s in ('abab', 'xyzxyz')], list({None, int, 'a', 1.5, len}), hash('a'))"
    )
    outputs = set()
    for _ in range(3):
        with Sandbox(workers=1, packages=()) as opened:
            outputs |= {opened.run(program, limits=LIMITS).stdout for _ in range(2)}
            outputs.add(opened.check("def f(): return 1", ["assert f() == 1"], ["f"], limits=LIMITS).run.stdout)
    assert len(outputs - {b""}) == 1, outputs


def test_sqlite_and_its_kin_work_though_locks_are_pretended(sandbox: Sandbox) -> None:
    if sandbox.profile.name != "full":
        pytest.skip("there is no folder to write in")
    program = """
import dbm, fcntl, mailbox, os, shelve, shutil, sqlite3
one = sqlite3.connect("a.db")
one.execute("pragma journal_mode=wal")
one.execute("create table t (a)")
one.execute("insert into t values (1)")
one.commit()
print(sqlite3.connect("a.db").execute("select a from t").fetchall())
with shelve.open("s") as kept: kept["a"] = 1
with dbm.open("d", "c") as kept: kept["a"] = "b"
box = mailbox.mbox("m")
box.lock()
box.add("x")
box.flush()
box.unlock()
open("b", "w").close()
os.utime("b", (1, 2))
os.chmod("b", 0o600)
shutil.copy2("b", "c")
with open("b") as file: fcntl.lockf(file, fcntl.LOCK_SH)
print(len(box), os.stat("c").st_mtime, oct(os.stat("c").st_mode))
"""
    run = sandbox.run(program, limits=LIMITS)
    assert (run.outcome, run.stdout) == ("ok", b"[(1,)]\n1 2.0 0o100600\n"), run


def test_it_outlives_the_thread_that_opened_it() -> None:
    """The kernel takes the thread that starts a process for the parent that the process may ask to die with."""
    with Sandbox(workers=1, packages=()) as opened, ThreadPoolExecutor(1) as others:
        opened.close()
        before = children()
        others.submit(opened.open).result()
        [server] = children() - before
        others.shutdown()
        assert opened.run("import time\ntime.sleep(1)\nprint(1)", limits=LIMITS).stdout == b"1\n"
        assert children() - before == {server}


def test_it_works_in_a_process_with_more_than_a_thousand_files_open() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2000:
        pytest.skip(f"this user may open no more than {hard} files")
    with ExitStack() as files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
        files.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(1100):
            files.enter_context(open(os.devnull))
        with Sandbox(workers=1, packages=()) as opened:
            runs = [opened.run("print(1)", limits=LIMITS) for _ in range(2)]
    assert [run.stdout for run in runs] == [b"1\n", b"1\n"]


def test_it_ends_with_the_process_that_opened_it_however_that_ends() -> None:
    host = "from tts.sandbox import Sandbox\nbox = Sandbox(packages=())\nbox.open()\n"
    host += "print(flush=True)\nbox.run('while True: pass')"
    others = set(descendants())
    with subprocess.Popen([sys.executable, "-c", host], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"\n"
        started = set(descendants()) - others - {process.pid}
        process.kill()
    assert started
    assert wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))


def test_a_lost_worker_is_replaced_and_the_run_repeated() -> None:
    others = set(descendants())
    with Sandbox(workers=1, packages=()) as opened:
        assert opened.run("print(1)", limits=LIMITS).outcome == "ok"
        for pid in sorted(set(descendants()) - others)[-3:]:
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
        assert opened.run("print(2)", limits=LIMITS).stdout == b"2\n"


def test_a_lost_server_is_replaced_with_all_its_workers() -> None:
    others = set(descendants())
    with Sandbox(workers=2, packages=()) as opened, ThreadPoolExecutor(2) as threads:
        for _ in range(2):
            runs = threads.map(lambda number: opened.run(f"print({number})", limits=LIMITS), range(2))
            assert [run.stdout for run in runs] == [b"0\n", b"1\n"]
            for pid in set(descendants()) - others:
                with suppress(ProcessLookupError):
                    os.kill(pid, 9)


def test_closing_ends_runs_under_way_and_leaves_nothing() -> None:
    opened = Sandbox(workers=1, packages=())
    before, files = children(), len(os.listdir("/proc/self/fd"))
    opened.open()
    outcomes: list[str] = []
    thread = threading.Thread(target=lambda: outcomes.append(opened.run("while True: pass", limits=LIMITS).outcome))
    thread.start()
    assert wait_for(lambda: len(children()) == len(before) + 1 and outcomes == [])
    opened.close()
    opened.close()
    thread.join()
    assert outcomes == ["harness_error"]
    assert wait_for(lambda: children() <= before)
    assert len(os.listdir("/proc/self/fd")) == files


def test_a_forgotten_sandbox_is_closed_with_its_last_reference() -> None:
    before = children()
    opened = Sandbox(workers=1, packages=())
    opened.open()
    opened.run("print(1)", limits=LIMITS)
    del opened
    gc.collect()
    assert wait_for(lambda: children() <= before)


def memory_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_thousand_runs_leave_memory_and_descriptors_as_they_were() -> None:
    with Sandbox(workers=2, packages=()) as opened, ThreadPoolExecutor(2) as threads:
        work = ["open('f', 'w').write('x' * 10**5)", "raise ValueError", "x = bytearray(10**7)"]
        work += ["print(input())"] * 17

        def some(count: int) -> None:
            """Run in batches, so that what waits for a thread is not among what is measured."""
            for _ in range(count // 200):
                runs = threads.map(lambda n: opened.run(work[n % 20], b"1\n", LIMITS), range(200))
                assert sum(run.outcome == "harness_error" for run in runs) == 0

        def state() -> tuple[int, int, int]:
            gc.collect()
            pids = [os.getpid(), *descendants()]
            files = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)
            return sum(map(memory_kb, pids)), files, len(pids)

        some(1000)
        memory, files, processes = state()
        some(20_000)
        later = state()
        assert later[0] < memory + 4096
        assert later[1:] == (files, processes)
