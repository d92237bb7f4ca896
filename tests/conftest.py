from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # no test depends on the clock
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public benchmark problems: `TTS_SHARED_DATA`, else `../shared/data` beside the repository."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TTS_SHARED_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no public benchmark problems at {folder}: set TTS_SHARED_DATA to a folder that has them")
    return folder


@pytest.fixture
def png() -> None:
    """Skip where no PNG can be drawn: the extra `plot` is not installed, or the system has no font."""
    from tts.errors import MissingExtraError, UsageError
    from tts.report.png import renderer

    try:
        renderer()
    except (MissingExtraError, UsageError) as error:
        pytest.skip(str(error))
