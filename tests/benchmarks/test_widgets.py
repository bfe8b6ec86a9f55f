"""Speed and size of the widgets in the kernel: uv run pytest tests/benchmarks --benchmark-only"""

import asyncio
import gc
import os
from statistics import median
from time import perf_counter

import openai
import psutil
import pytest

from helpers import completion_playground, sampling_explorer, start
from helpers.widgets.panel import _inside

STORY = {
    "model": "smollm2-135m-instruct",
    "prompt": "Once upon a time",
    "max_tokens": 24,
    "temperature": 1,
    "seed": 4,
    "logprobs": 5,
}


@pytest.fixture(autouse=True)
def lesson(capsys):
    start("02_completions")


@pytest.fixture
def say(capsys):
    """Prints a figure, past pytest's capture."""

    def say(figure: str) -> None:
        with capsys.disabled():
            print(f"\n{figure}")

    return say


def part(panel, name: str):
    return next(w for w in _inside(panel) if name in w._dom_classes)


def test_from_a_moved_slider_to_new_bars(benchmark, say):
    panel = sampling_explorer(openai.OpenAI().completions.create(**STORY))
    slider, bars = part(panel, "sampling-temperature"), part(panel, "sampling-bars")
    seconds, before = [], bars.value

    def move() -> None:
        started = perf_counter()
        slider.value = 1.5 if slider.value == 0.5 else 0.5
        seconds.append(perf_counter() - started)

    benchmark.pedantic(move, rounds=50)
    assert bars.value != before
    say(f"from a moved slider to new bars: {median(seconds) * 1e3:.2f} ms (at most 50)")
    assert median(seconds) <= 0.05


def test_from_a_click_to_the_reply(benchmark, say):
    panel = completion_playground()
    run, output = part(panel, "playground-run"), part(panel, "playground-output")
    seconds = []

    async def click() -> None:
        started = perf_counter()
        run.click()
        await panel._task
        seconds.append(perf_counter() - started)

    benchmark.pedantic(lambda: asyncio.run(click()), rounds=30, warmup_rounds=1)
    assert "Paris" in output.value
    say(f"a playground's offline run: {median(seconds) * 1e3:.1f} ms (at most 30)")
    assert median(seconds) <= 0.03


def test_100_open_playgrounds(benchmark, say):
    process = psutil.Process(os.getpid())
    completion_playground().close()
    gc.collect()
    before = process.memory_info().rss
    panels = benchmark.pedantic(lambda: [completion_playground() for _ in range(100)], rounds=1)
    grown = (process.memory_info().rss - before) / 1e6
    say(f"{len(panels)} open playgrounds: {grown:.0f} MB (at most 50)")
    assert grown <= 50
