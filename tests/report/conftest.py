"""One browser for all tests of the page."""

from collections.abc import Iterator

import pytest
from chromium_parts import Chromium, find_browser


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium is installed: install chromium, or name a browser in TTS_CHROMIUM")
    with Chromium(program, tmp_path_factory.mktemp("profile")) as browser:
        yield browser
