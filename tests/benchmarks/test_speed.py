"""Speed, as ratios taken in one run: uv run pytest tests/benchmarks --benchmark-only

Each benchmark prints its figures and fails where it passes its bound.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import httpx2
import nbformat
import openai
import pytest

from helpers import Sandbox
from helpers.recordings import load_cassette, replaying

ROOT = Path(__file__).parent.parent.parent
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
REQUEST = {
    "model": "gpt-3.5-turbo-instruct",
    "prompt": "Say this is a test",
    "max_tokens": 7,
    "temperature": 0,
}
SORTING = "numbers = [(i * 7919) % 1000 for i in range(1000)]\nprint(sorted(numbers)[:10])"


def timed(action) -> float:
    """Seconds that a call of `action` takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


@pytest.fixture
def report(capsys):
    """Prints a figure, past pytest's capture."""

    def report(what: str, figures: str, at_most: float) -> None:
        with capsys.disabled():
            print(f"\n{what}: {figures} (at most {at_most:.3g})")

    return report


@pytest.fixture
def compare(benchmark, report):
    """compare(what, subject, baseline, at_most): both by turns, median against median."""

    def compare(what: str, subject, baseline, at_most: float, rounds: int) -> None:
        subject(), baseline()
        pairs = []
        benchmark.pedantic(
            lambda: pairs.append((timed(subject), timed(baseline))), rounds=rounds, iterations=1
        )
        ours, theirs = (median(column) for column in zip(*pairs, strict=True))
        report(what, f"{ours * 1e3:.2f} ms / {theirs * 1e3:.2f} ms = {ours / theirs:.2f}", at_most)
        assert ours / theirs <= at_most

    return compare


def test_a_replayed_call_against_a_mock_transport(compare):
    cassette = load_cassette(ROOT / "notebooks" / "recordings" / "02_completions.yaml")
    reply = next(r["body"]["string"] for q, r in cassette.data if b"this is a test" in q.body)
    headers = {"content-type": "application/json"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=reply, headers=headers))
    mocked = openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=transport))
    replayed = openai.OpenAI(api_key="k")

    def call_100_times(client: openai.OpenAI) -> None:
        for _ in range(100):
            client.completions.create(**REQUEST)

    def replay() -> None:
        with replaying(cassette):
            call_100_times(replayed)

    what = "100 replayed calls / through MockTransport"
    compare(what, replay, lambda: call_100_times(mocked), 2, rounds=15)


def importing(module: str):
    command = [sys.executable, "-c", f"import {module}"]
    return lambda: subprocess.run(command, check=True)


def test_import_helpers_against_import_openai(compare):
    what = "python -c 'import helpers' / 'import openai'"
    compare(what, importing("helpers"), importing("openai"), 1.2, rounds=7)


def test_a_run_in_an_open_sandbox_against_a_subprocess(compare):
    command = [sys.executable, "-I", "-c", SORTING]
    with Sandbox() as box:
        compare(
            "a run in an open Sandbox / python -I -c",
            lambda: box.run(SORTING),
            lambda: subprocess.run(command, check=True, capture_output=True),
            1 / 3,
            rounds=30,
        )


def test_opening_a_sandbox(benchmark, report):
    """Until a first run has come back: before that, the worker may still be starting."""
    boxes, seconds = [], []

    def open_one() -> None:
        boxes.append(Sandbox())
        boxes[-1].run("")

    def close_it() -> None:
        if boxes:
            boxes.pop().close()

    benchmark.pedantic(lambda: seconds.append(timed(open_one)), setup=close_it, rounds=15)
    close_it()
    report("opening a Sandbox", f"{median(seconds) * 1e3:.0f} ms", 300)
    assert median(seconds) <= 0.3


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda file: file.stem)
def test_nbval_over_a_chapter_against_trivial_cells(compare, tmp_path, chapter):
    cells = [c for c in nbformat.read(chapter, as_version=4).cells if c.cell_type == "code"]
    trivial = [nbformat.v4.new_code_cell("pass", execution_count=n + 1) for n in range(len(cells))]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(
        nbformat.v4.new_notebook(cells=trivial, metadata=kernel), tmp_path / "trivial.ipynb"
    )

    def nbval(notebook: Path):
        command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "-q", notebook]
        return lambda: subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

    what = f"nbval over {chapter.stem} / over {len(cells)} trivial cells ({os.cpu_count()} cores)"
    compare(what, nbval(chapter), nbval(tmp_path / "trivial.ipynb"), 2, rounds=3)
