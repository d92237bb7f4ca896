import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tts.types import Answer, Problem, Reference, Verdict
from tts.verifiers.math import MathVerifier

PASSED = Verdict("passed")
TOWER, FORMULA = "9^{9^{9^9}}", r"\sin(\pi/6)"

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for child processes in /proc")


@pytest.fixture(scope="module")
def hasty() -> Iterator[MathVerifier]:
    with MathVerifier(timeout_seconds=1, workers=1) as verifier:
        yield verifier


@pytest.fixture
def verifier() -> Iterator[MathVerifier]:
    with MathVerifier(timeout_seconds=60, workers=1) as verifier:
        yield verifier


def check(verifier: MathVerifier, *answers: str, reference: str = "1/2") -> list[Verdict]:
    problem = Problem("p", "?", "math")
    return verifier.verify(problem, [Answer(answer, "boxed") for answer in answers], Reference(reference))


def children_of(pid: int) -> list[int]:
    """The processes whose parent is `pid`, zombies too."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


@pytest.fixture
def workers() -> Callable[[], list[int]]:
    """The worker processes that the test has started and that are still there."""
    before = set(children_of(os.getpid()))
    return lambda: [child for child in children_of(os.getpid()) if child not in before]


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wait_until_gone(pids: list[int]) -> None:
    while any(map(alive, pids)):
        time.sleep(0.05)


@pytest.mark.parametrize("hard", [TOWER, "(10^9)!", r"\prod_{i=1}^{10^{9}} i", r"\sum_{i=1}^{10^{12}} i^{i}"])
def test_a_formula_that_never_ends_is_undecided_and_the_next_one_works(hasty: MathVerifier, hard: str) -> None:
    assert check(hasty, hard, "0.5") == [Verdict("undecided", "timeout"), PASSED]
    assert check(hasty, r"2\sin 1 - \sin 1", reference=r"\sin 1") == [PASSED]
    assert check(hasty, "1/2", reference=hard) == [Verdict("undecided", "timeout")]


def test_a_formula_that_eats_memory_is_undecided_and_the_next_one_works() -> None:
    with MathVerifier(timeout_seconds=60, memory_limit_mb=64, workers=1) as verifier:
        assert check(verifier, r"2^{3\cdot 10^8}", FORMULA) == [Verdict("undecided", "memory_limit"), PASSED]


def test_a_killed_worker_is_replaced_and_the_comparison_made_again(
    verifier: MathVerifier, workers: Callable[[], list[int]]
) -> None:
    assert check(verifier, FORMULA) == [PASSED]
    (worker,) = workers()
    os.kill(worker, signal.SIGKILL)
    assert check(verifier, r"\cos(\pi/3)") == [PASSED]
    assert worker not in workers()


def test_a_comparison_whose_process_is_killed_twice_is_undecided(workers: Callable[[], list[int]]) -> None:
    with MathVerifier(timeout_seconds=120, workers=1) as verifier, ThreadPoolExecutor(1) as thread:
        assert check(verifier, FORMULA) == [PASSED]
        (worker,) = workers()
        outcome = thread.submit(check, verifier, TOWER)
        killed: set[int] = set()
        while not outcome.done():
            for child in set(children_of(worker)) - killed:
                os.kill(child, signal.SIGKILL)
                killed.add(child)
        assert outcome.result() == [Verdict("undecided", "grader_crash")]
        assert check(verifier, r"\cos(\pi/3)") == [PASSED]


def test_workers_start_with_the_first_formula_and_end_with_close(workers: Callable[[], list[int]]) -> None:
    verifier = MathVerifier(workers=1)
    assert check(verifier, "0.5", r"\frac12", "3") == [PASSED, PASSED, Verdict("failed", "wrong_answer")]
    assert workers() == []
    assert check(verifier, FORMULA) == [PASSED]
    started = workers() + [child for worker in workers() for child in children_of(worker)]
    assert len(started) == 2
    verifier.close()
    verifier.close()
    assert workers() == []
    wait_until_gone(started)


def test_close_ends_a_comparison_under_way_without_a_new_worker(workers: Callable[[], list[int]]) -> None:
    verifier = MathVerifier(timeout_seconds=120, workers=1)
    check(verifier, FORMULA)
    with ThreadPoolExecutor(1) as thread:
        outcome = thread.submit(check, verifier, TOWER)
        time.sleep(0.2)
        verifier.close()
        assert outcome.result() == [Verdict("undecided", "grader_crash")]
    assert workers() == []


def test_a_closed_verifier_starts_anew_when_it_is_used_again() -> None:
    with MathVerifier(workers=1) as verifier:
        assert check(verifier, FORMULA) == [PASSED]
        verifier.close()
        assert check(verifier, r"\cos(\pi/3)") == [PASSED]


def test_many_threads_share_the_workers(math_verifier: MathVerifier) -> None:
    formulas = [rf"\sin(\pi/6) + {n}\cos(\pi/2)" for n in range(12)]
    with ThreadPoolExecutor(6) as threads:
        outcomes = list(threads.map(lambda formula: check(math_verifier, formula, "0.5", "1"), formulas))
    assert outcomes == [[PASSED, PASSED, Verdict("failed", "wrong_answer")]] * 12


def test_a_worker_outlives_the_thread_that_first_needed_it(
    verifier: MathVerifier, workers: Callable[[], list[int]]
) -> None:
    outcomes: list[list[Verdict]] = []
    thread = threading.Thread(target=lambda: outcomes.append(check(verifier, FORMULA)))
    thread.start()
    thread.join()
    started = workers()
    assert check(verifier, r"\cos(\pi/3)") == outcomes[0] == [PASSED]
    assert workers() == started


def test_asyncio_runs_comparisons_beside_its_loop(math_verifier: MathVerifier) -> None:
    async def main() -> list[list[Verdict]]:
        formulas = [r"\sin(\pi/6)", r"\cos(\pi/3)", r"\log_4 2"]
        return await asyncio.gather(*(asyncio.to_thread(check, math_verifier, formula) for formula in formulas))

    assert asyncio.run(main()) == [[PASSED]] * 3


def test_outcomes_are_remembered_whichever_side_is_the_reference(
    verifier: MathVerifier, workers: Callable[[], list[int]]
) -> None:
    assert check(verifier, FORMULA) == [PASSED]
    started = workers()
    os.kill(started[0], signal.SIGKILL)
    assert check(verifier, "1/2", reference=FORMULA) == [PASSED]
    assert workers() == started  # the dead one: nobody had to ask it


PROGRAM = """
import sys, threading
from tts.types import Answer, Problem, Reference
from tts.verifiers.math import MathVerifier
verifier = MathVerifier(timeout_seconds=5, workers=1)
verify = lambda text: verifier.verify(Problem("p", "?", "math"), [Answer(text, "boxed")], Reference("1"))
verify(r"\\sin 1")
print("ready", flush=True)
if sys.argv[1] == "busy":
    threading.Thread(target=verify, args=("9^{9^{9^9}}",), daemon=True).start()
if sys.argv[1] != "exit":
    threading.Event().wait()
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_workers_of_a_killed_program_end_by_themselves(state: str) -> None:
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, state], stdout=subprocess.PIPE)
    assert program.stdout
    with program.stdout:
        program.stdout.readline()
    (worker,) = children_of(program.pid)
    processes = [worker, *children_of(worker)]
    assert len(processes) == 2
    program.kill()
    program.wait()
    wait_until_gone(processes)  # the time limit of the test suite ends the wait


def test_a_program_that_forgets_to_close_leaves_nothing_behind_and_says_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, "exit"], capture_output=True, text=True, check=True, timeout=120
    )
    assert (done.stdout, done.stderr) == ("ready\n", "")
