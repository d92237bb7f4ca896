"""Ray itself: joined or started politely, asked whether the replicas fit, and left. Nothing else here imports `ray`.

Polite means: one namespace a run; no dashboard, no usage statistics, a small object store (results are small, and come
inline); the SIGTERM handler stays the caller's; and nothing of Ray's on standard output, where results go. Ray prints
there from threads of its own, whatever its options say: what these write goes to standard error, but for the long «A
worker died …», which is said in our words, where it is a replica (`places`).

Replicas that die are ours to replace (`places`). Ray's own restarts would bring an actor back with an empty engine, and
nobody would know which calls to give again.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from tts.engines.ray.look import in_all, look, named, nodes
from tts.engines.ray.replica import Replica, Told
from tts.errors import EngineError, MissingExtraError
from tts.types import PluginReport

OBJECT_STORE_BYTES = 80 * 2**20
"""The least that Ray takes; what is larger goes by disk."""
CLOSE_SECONDS = 5.0
REPORT_SECONDS = 60.0
SAID_BY_US = "A worker died or was killed while executing a task"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def require() -> None:
    """Raise MissingExtraError where Ray is not installed."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when it is imported
    os.environ["RAY_DISABLE_FAILURE_SIGNAL_HANDLER"] = "1"  # it would take SIGTERM from under Python, and abort
    try:
        import ray  # noqa: F401 - whether it is there
    except ModuleNotFoundError as error:
        raise MissingExtraError("ray", "ray", "the ray engine") from error


class RayCluster:
    """Actors of one engine. `cpus` and `gpus` are those of one replica; `address` as in `RayEngine`."""

    def __init__(self, engine: Any, *, address: str, cpus: float, gpus: float, linger_seconds: float) -> None:
        self._engine, self._linger = engine, linger_seconds
        self._address, self._cpus, self._gpus = address, cpus, gpus
        self._actors: list[Any] = []
        self._started = False
        self._stdout: _NotRays | None = None

    def open(self, num_replicas: int) -> None:
        """Join or start the cluster. Raises EngineError where there is none, or it has no room for the replicas."""
        require()
        import ray

        if not ray.is_initialized():  # else the caller joined one, and keeps it
            self._connect()
        self._check_room(num_replicas)
        methods = {"submit": "in", "plugin_report": "in", "close": "in", "collect": "out"}
        body = {name: ray.method(concurrency_group=group)(getattr(Replica, name)) for name, group in methods.items()}
        grouped = type("Replica", (Replica,), body)
        self._class = ray.remote(concurrency_groups={"in": 1, "out": 1})(grouped).options(
            num_cpus=self._cpus, num_gpus=self._gpus, max_restarts=0, max_task_retries=0
        )
        self._handed = ray.put(self._engine)

    def _connect(self) -> None:
        import ray

        options: dict[str, Any] = {"namespace": f"tts-{uuid.uuid4().hex}", "log_to_driver": False}
        options |= {"configure_logging": False, "logging_level": "ERROR"}
        address = named(self._address)
        if address == "local":
            options |= {"object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
        else:
            look(address)
        self._stdout = sys.stdout = _NotRays(sys.stdout)
        in_main = threading.current_thread() is threading.main_thread()
        on_term = signal.getsignal(signal.SIGTERM) if in_main else None
        try:
            ray.init(address=address, **options)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError, AssertionError) as error:
            self._restore_stdout()
            told = COLOURS.sub("", str(error)).strip().partition("\n")[0]
            raise EngineError(
                f"no Ray cluster could be {'started' if address == 'local' else 'joined'}: {told}"
            ) from error
        finally:
            if in_main:
                signal.signal(signal.SIGTERM, on_term)
        self._started = True

    def _check_room(self, num_replicas: int) -> None:
        """Raise EngineError where the nodes could never hold the replicas: Ray itself would wait, without a word."""
        import ray

        there = nodes(ray.nodes())
        room = sum(_fitting(cpus, gpus, self._cpus, self._gpus) for _, cpus, gpus in there)
        if room < num_replicas:
            wanted = f"{self._cpus:g} CPUs" + (f" and {self._gpus:g} GPUs" if self._gpus else "")
            raise EngineError(
                f"`num_replicas` must fit the cluster, got {num_replicas} of {wanted} each where there is room for "
                f"{room}: {in_all(there)}. Lower `num_replicas`, `cpus_per_replica` or `gpus_per_replica`"
            )

    def start(self) -> Any:
        """Start a replica; return at once."""
        actor = self._class.remote(self._handed, self._linger)
        self._actors.append(actor)
        return actor

    def ready(self, polls: Sequence[Any], seconds: float) -> list[Any]:
        """Return the polls that came back, all of them; wait for the first at most so long."""
        import ray

        ready, _ = ray.wait(polls, num_returns=1, timeout=seconds)
        if ready and len(polls) > 1:
            ready, _ = ray.wait(polls, num_returns=len(polls), timeout=0)
        return list(ready)

    def result(self, poll: Any) -> Told | str:
        """Return what a poll that came back brought, or why there is nothing: its replica is dead."""
        import ray
        from ray.exceptions import RayError

        try:
            told: Told = ray.get(poll)
            return told
        except RayError as error:
            lines = [line.strip() for line in COLOURS.sub("", str(error)).splitlines() if line.strip()]
            if "creation task" in lines[0]:
                return f"it could not be made: {lines[-1]}"
            return "its process died" if "died" in lines[0] or "dead" in lines[0] else lines[0]

    def end(self, actor: Any) -> None:
        """End a replica at once, whatever it does; also one that is stopped."""
        import ray

        with suppress(ray.exceptions.RayError, ValueError):
            ray.kill(actor, no_restart=True)
        self._actors.remove(actor)

    def reports(self) -> list[PluginReport]:
        """Return what the plugin of each replica tells that answers."""
        import ray

        asked = [actor.plugin_report.remote() for actor in self._actors]
        ready, _ = ray.wait(asked, num_returns=len(asked), timeout=REPORT_SECONDS)
        found: list[PluginReport] = []
        for report in ready:
            with suppress(ray.exceptions.RayError):
                found.append(ray.get(report))
        return found

    def close(self) -> None:
        """Let the replicas close their engines, end them, and leave the cluster; one that was started here ends."""
        if self._actors:
            import ray

            with suppress(ray.exceptions.RayError, ValueError):
                closed = [actor.close.remote() for actor in self._actors]
                ray.wait(closed, num_returns=len(closed), timeout=CLOSE_SECONDS)
            for actor in list(self._actors):
                self.end(actor)
        if self._started:
            import ray

            self._started = False
            if self._stdout is not None:
                self._stdout.leaving = threading.get_ident()
            ray.shutdown()
            self._restore_stdout()

    def _restore_stdout(self) -> None:
        if self._stdout is not None and sys.stdout is self._stdout:
            sys.stdout = self._stdout.stream
        self._stdout = None


class _NotRays:
    """Standard output, but for what Ray's threads write: that goes to standard error, or nowhere.

    `leaving`: the thread that leaves the cluster, in which Ray writes what it had held back.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.leaving: int | None = None
        self._said_by_us = False

    def write(self, text: str) -> int:
        """Write where it belongs."""
        thread = threading.current_thread()
        if not thread.name.startswith("ray_") and thread.ident != self.leaving:
            return int(self.stream.write(text))
        before, self._said_by_us = self._said_by_us, SAID_BY_US in text
        if not self._said_by_us and not (before and text == "\n"):
            sys.stderr.write(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _fitting(cpus: float, gpus: float, cpus_each: float, gpus_each: float) -> int:
    """Return how many replicas fit a node."""
    by_gpus = [(gpus + 1e-9) // gpus_each] if gpus_each else []
    return int(min([(cpus + 1e-9) // cpus_each, *by_gpus]))
