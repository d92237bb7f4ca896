"""Whether the Hugging Face hub answers, found out in seconds; its libraries try for up to a minute, and print it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

PATIENCE_SECONDS = 10.0
BETWEEN_SECONDS = 1.0
REMEMBERED_SECONDS = 60


@contextlib.contextmanager
def hub_for(source: str) -> Iterator[str | None]:
    """Load `source`, an id of the hub or a folder, within this context; yield why the hub is of no use, if it is not.

    Where the hub does not answer, the libraries are told that there is none: what is in their cache is still found, and
    anything else fails at once. A folder needs no hub, so nothing is asked then.
    """
    why = None if Path(source).exists() else _unreachable(int(time.monotonic() / REMEMBERED_SECONDS))
    if why is None:
        yield None
        return
    from huggingface_hub import constants

    datasets = sys.modules.get("datasets.config")  # it has its own copy
    before = constants.HF_HUB_OFFLINE, getattr(datasets, "HF_HUB_OFFLINE", None), os.environ.get("HF_HUB_OFFLINE")
    constants.HF_HUB_OFFLINE = True
    os.environ["HF_HUB_OFFLINE"] = "1"  # for processes that are started meanwhile
    if datasets is not None:
        datasets.HF_HUB_OFFLINE = True  # type: ignore[attr-defined] # a module that may be absent
    try:
        yield why
    finally:
        constants.HF_HUB_OFFLINE = before[0]
        if datasets is not None:
            datasets.HF_HUB_OFFLINE = before[1]  # type: ignore[attr-defined] # as above
        os.environ.pop("HF_HUB_OFFLINE")
        if before[2] is not None:
            os.environ["HF_HUB_OFFLINE"] = before[2]


@lru_cache(maxsize=1)
def _unreachable(_minute: int) -> str | None:
    """Return why the hub does not answer; None where it does, with whatever status. Asked twice, as the libraries ask.

    A name that is looked up in vain can hold a thread for longer than any time limit, so another one asks.
    """
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return "the hub is not asked, as HF_HUB_OFFLINE says"
    failures: list[str] = []
    answered = threading.Event()

    def ask() -> None:
        for pause in (BETWEEN_SECONDS, 0.0):
            try:
                get_session().head(constants.ENDPOINT, timeout=PATIENCE_SECONDS)
                failures.clear()
                break
            except Exception as error:  # whatever the network stack beneath raises
                failures.append(" ".join(str(error).split()) or type(error).__name__)
                time.sleep(pause)
        answered.set()

    threading.Thread(target=ask, name="tts-hub", daemon=True).start()
    if not answered.wait(PATIENCE_SECONDS):
        failures.append(f"no answer within {PATIENCE_SECONDS:.0f} s")
    return f"the hub {constants.ENDPOINT} cannot be reached: {failures[-1]}" if failures else None
