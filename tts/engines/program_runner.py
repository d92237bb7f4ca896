"""The engine that runs programs: what it «writes» is what a program did."""

from __future__ import annotations

import hashlib
import json
import queue
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ClassVar, get_args

from pydantic import Field, PrivateAttr

from tts.errors import EngineError, EngineLoadError, VerifierError
from tts.programs.asserts import find
from tts.programs.execution import RunsPrograms
from tts.programs.judging.judge import judge, observe_expressions, observe_stdio, spelt
from tts.programs.judging.records import Assertions
from tts.programs.runner import read_task
from tts.programs.suite import read_suite
from tts.sandbox import Value
from tts.sandbox.records import RunOutcome
from tts.types import JSON, Completion, Request

Name = tuple[str, str]
MOST_SHOWN = 1000
FAILURES = frozenset(get_args(RunOutcome)) - {"ok"}


class ProgramRunner(RunsPrograms):
    """Runs programs that a model wrote, in a sandbox, for a sampler or scorer that asks for it.

    What it is asked and tells are those of `tts.programs.runner`. It reads and writes no tokens. It sees what it is
    asked with alone: examples that a problem shows, tests that a model wrote; never the hidden tests.
    """

    circumstances: ClassVar[frozenset[str]] = frozenset({"workers", "allow_weak_sandbox"})
    thinking_tags: ClassVar[tuple[str, str] | None] = None
    num_generated_tokens: ClassVar[int] = 0
    num_parameters: ClassVar[int] = 0

    cpu_seconds: float = Field(default=3.0, gt=0)
    """Processor seconds that one test of a program may take."""

    total_cpu_seconds: float = Field(default=10.0, gt=0)
    """Processor seconds that all tests of a program together may take."""

    _threads: ThreadPoolExecutor | None = PrivateAttr(default=None)
    _running: dict[Name, Future[None]] = PrivateAttr(default_factory=dict)
    _ended: queue.SimpleQueue[Completion] = PrivateAttr(default_factory=queue.SimpleQueue)

    def capabilities(self) -> frozenset[str]:
        """`runs_programs`."""
        return frozenset({"runs_programs"})

    def open(self) -> None:
        """Start the sandbox. Raises EngineLoadError where no profile of it holds on this machine."""
        try:
            super().open()
        except VerifierError as error:
            raise EngineLoadError(f"the engine `program_runner` needs a sandbox: {error}") from error
        self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="tts-runner")

    def close(self) -> None:
        """Kill whatever runs."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)
            super().close()  # so that what runs ends now
            threads.shutdown()
        super().close()  # one that was about to begin has opened it again
        self._running.clear()
        self._ended = queue.SimpleQueue()

    @property
    def num_free(self) -> int:
        """How many more programs keep the workers busy."""
        return max(0, 2 * self.workers - len(self._running))

    def add(self, request: Request) -> None:
        """Take one request; what is no task of a program runner comes back as an `error`."""
        if self._threads is None:
            raise EngineError("the engine must be open; call `open()` first")
        name = (request.problem_id, request.key)
        self._running[name] = self._threads.submit(self._work, request)

    def cancel(self, problem_id: str, key: str) -> None:
        """Stop one request that waits; one that runs comes back as it ends."""
        running = self._running.get((problem_id, key))
        if running is not None and running.cancel():
            self._ended.put(Completion(problem_id, key, "", "cancelled", 0, 0))

    def step(self, patience_seconds: float = 0.1) -> list[Completion]:
        """Return what ended; wait for the first of it at most so long."""
        ended: list[Completion] = []
        try:
            while self._running:
                one = self._ended.get(timeout=0 if ended or not patience_seconds else patience_seconds)
                del self._running[one.problem_id, one.key]
                ended.append(one)
        except queue.Empty:
            pass
        return ended

    def _work(self, request: Request) -> None:
        try:
            text, error = json.dumps(self._told(read_task(request.messages))), None
        except Exception as failed:  # whatever it is, it is told: the engine goes on
            text, error = "", f"{type(failed).__name__}: {failed}"
        ended = Completion(request.problem_id, request.key, text, "error" if error else "stop", 0, 0, error=error)
        self._ended.put(ended)

    def _told(self, task: dict[str, Any]) -> JSON:
        sandbox, limits = self._open_sandbox(), self._limits()
        if task["action"] == "find":
            found = find(sandbox, task["entry_point"], task["texts"], task["most"], limits, calls=task["calls"])
            return [[*tests] for tests in found]
        if task["action"] == "try":
            name = task["entry_point"].partition(".")[0]
            seen = (
                observe_expressions(sandbox, task["program"], name, task["inputs"], limits)
                if name
                else observe_stdio(sandbox, task["program"], task["inputs"], limits)
            )
            return [[one.outcome, _shown(one.value) if one.outcome == "ok" else ""] for one in seen]
        if task["action"] in ("check", "compare"):
            suite = read_suite(task["tests"], self.comparison)
            program, tests = suite.program(task["program"]), suite.tests
        else:
            program = task["program"]
            tests = Assertions(tuple(task["asserts"]), (task["entry_point"].partition(".")[0],))
        cases = judge(sandbox, program, tests, limits, all_tests=True).cases
        # Why one of a problem's few examples failed is told; of a model's many tests it would be a long record.
        told = FAILURES if task["action"] == "check" else ("harness_error",)
        return [[case.outcome, case.reason if case.outcome in told else ""] for case in cases]


def _shown(value: Value) -> str:
    """Return what was returned or printed as a text that is another for another value, and not too long."""
    text = value.decode("utf-8", "replace").strip() if isinstance(value, bytes) else spelt(value)
    if len(text) <= MOST_SHOWN:
        return text
    return f"{text[:MOST_SHOWN]}… {hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
