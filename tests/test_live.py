"""The chapters with a real model, on this machine: live, recorded, and replayed from that."""

import re

import pytest
from course import CHAPTERS, copy_course, run_all, text_of

from helpers.local_model import KEY, MODEL

# These offer what is recorded, or anything: they say something else in each mode.
OFFERING = r"^(completion_playground|chat_playground|memory_explorer)\("

pytestmark = [pytest.mark.live, pytest.mark.parametrize("chapter", CHAPTERS)]


@pytest.fixture
def settings(model_server) -> dict[str, str]:
    """What the server's `.env` would hold, but for the mode."""
    return {
        "OPENAI_BASE_URL": model_server,
        "OPENAI_API_KEY": KEY,
        "CHAT_MODEL": MODEL,
        "COMPLETION_MODEL": MODEL,
    }


def test_a_chapter_runs_to_its_end_live(tmp_path, settings, chapter):
    first, *cells = run_all(copy_course(tmp_path), chapter, LESSON_MODE="live", **settings)
    assert "实时模式" in text_of(first)
    shown = "".join(map(text_of, cells))
    assert MODEL in shown
    assert "gpt-3.5-turbo-0125" not in shown  # what the recordings say
    assert "recording_not_found" not in shown


def test_a_chapter_recorded_replays_without_the_server(tmp_path, settings, chapter):
    course = copy_course(tmp_path)
    _, *recorded = run_all(course, chapter, LESSON_MODE="record", **settings)
    nobody = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    first, *replayed = run_all(course, chapter, LESSON_MODE="replay", **nobody)
    assert "回放模式" in text_of(first)
    assert f"录自 {MODEL}" in text_of(first)
    for before, after in zip(recorded, replayed, strict=True):
        if not re.search(OFFERING, before.source, re.MULTILINE):
            assert text_of(after) == text_of(before)
