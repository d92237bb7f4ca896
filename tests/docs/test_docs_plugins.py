from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")


def test_the_search_of_the_page_works_and_converses(tmp_path: Path) -> None:
    search, conversation = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "doubt.py").write_text(search)
    (tmp_path / "try.py").write_text(conversation)
    done = subprocess.run([sys.executable, "try.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert f"prints `{done.stdout.strip()}`" in PAGE


def test_the_recipe_of_the_page_draws_by_it(tmp_path: Path) -> None:
    (tmp_path / "doubt.py").write_text(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0])
    sampler = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0]
    engine = 'engine: {name: replay, script: ["\\\\boxed{6}", "\\\\boxed{7}"]}'
    (tmp_path / "r.yaml").write_text(f"task: math\n{engine}\n{sampler}selector: majority_vote\n")
    (tmp_path / "p.jsonl").write_text('{"problem": "3+4?", "answer": "7"}\n')
    command = [sys.executable, "-c", "import sys; sys.path.insert(0, '.'); from tts.__main__ import main; main()"]
    line = [*command, "solve", "p.jsonl", "--recipe", "r.yaml", "--run", "r"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "candidates: 2" in done.stderr
