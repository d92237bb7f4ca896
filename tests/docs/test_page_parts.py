"""The runner of pages fails where a page is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from page_parts import blocks, runs_as_it_stands, says_how

RECIPE = "sampler: {name: temperature, num_candidates: 2}"
GOOD = f"""
<!-- file: a/b.txt -->
```text
words
```

<!-- exit: 3 -->
```sh
cat a/b.txt; echo told >&2; exit 3
```

<!-- output -->
```text
wor…
told
```

```yaml
{RECIPE}
```

<!-- terminal -->
```python
import sys
print(sys.stdout.isatty())
```

<!-- output -->
```
True
```

<!-- needs: no_such_package -->
```sh
false
```

<!-- output -->
```text
not compared
```

<!-- not run: would take an hour -->
```sh
false
```
"""


def test_a_page_that_says_what_is_true_passes(tmp_path: Path) -> None:
    page, folder = tmp_path / "page.md", tmp_path / "folder"
    page.write_text(GOOD)
    folder.mkdir()
    assert all(says_how(block) for block in blocks(str(page)))
    runs_as_it_stands(str(page), folder)


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("wor…", "wort…", "not what was printed"),
        ("exit: 3", "exit: 0", "exit code 3, not 0"),
        ("num_candidates", "num_candidate", "is no key of the sampler"),
        ("import sys\n", "import no_such_module\n", "No module named"),
        ("<!-- terminal -->\n", "", "not what was printed"),
    ],
)
def test_a_page_that_says_what_is_false_fails(tmp_path: Path, right: str, wrong: str, words: str) -> None:
    page, folder = tmp_path / "page.md", tmp_path / "folder"
    page.write_text(GOOD.replace(right, wrong))
    folder.mkdir()
    with pytest.raises(AssertionError, match=words):
        runs_as_it_stands(str(page), folder)


def test_a_block_that_nobody_runs_must_say_why(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```\ndrawing\n```\n\n<!-- not run: no -->\n```sh\nls\n```\n")
    assert [says_how(block) for block in blocks(str(page))] == [False, False]
