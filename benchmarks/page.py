"""The page of a large report in a real Chromium: how long loading, finding and sorting freeze it.

    python benchmarks/page.py FOLDER [--problems 10000] [--candidates 8]

Writes a page of simulated problems into FOLDER and opens it. «Frozen» is from the event to the next frame that shows
its effect.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests" / "report"))

from chromium_parts import Chromium, find_browser
from report_parts import report

from tts.report.page import write_page

FRAME = "document.body.offsetHeight; await new Promise(done => requestAnimationFrame(() => setTimeout(done)))"
STEPS = {
    "find an id": "filters.elements.find.value = 'word-77'; filters.dispatchEvent(new Event('input'))",
    "find nothing": "filters.elements.find.value = 'no such words'; filters.dispatchEvent(new Event('input'))",
    "find no more": "filters.elements.find.value = ''; filters.dispatchEvent(new Event('input'))",
    "filter by verdict": "filters.elements.verdict.value = 'failed'; filters.dispatchEvent(new Event('input'))",
    "filter no more": "filters.elements.verdict.value = ''; filters.dispatchEvent(new Event('input'))",
    "sort by a column": "[...document.querySelectorAll('.sort')].at(-1).click()",
    "sort the other way": "[...document.querySelectorAll('.sort')].at(-1).click()",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--problems", type=int, default=10_000)
    parser.add_argument("--candidates", type=int, default=8)
    args = parser.parse_args()
    program = find_browser()
    if program is None:
        parser.error("no Chromium is installed: install chromium, or name a browser in TTS_CHROMIUM")
    args.folder.mkdir(parents=True, exist_ok=True)
    page = args.folder / "page.html"
    began = time.perf_counter()
    write_page(report(args.problems, args.candidates, arms=("only",)), page)
    print(f"simulate and write: {time.perf_counter() - began:.1f} s, {page.stat().st_size / 1e6:.1f} MB")
    with Chromium(program, args.folder / "profile") as browser:
        began = time.perf_counter()
        browser.open(page)
        browser.run("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        print(f"load: {time.perf_counter() - began:.2f} s")
        print(f"elements: {browser.run('document.querySelectorAll(`*`).length')}")
        for name, step in STEPS.items():
            took = f"const began = performance.now(); {step}; {FRAME}; return performance.now() - began"
            print(f"{name}: frozen for {browser.run(f'(async () => {{{took}}})()') / 1000:.2f} s")
        browser.run("filters.elements.find.value = 'zzz not there'; filters.dispatchEvent(new Event('input'))")
        began = time.perf_counter()
        browser.wait("document.getElementById('shown').textContent.includes('looked')")
        browser.wait("!document.getElementById('shown').textContent.includes('looked')")
        print(f"look through all candidates, in the background: {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
