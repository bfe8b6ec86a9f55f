"""What the chapters state as fact is what the installed SDK states."""

import ast
import re
from datetime import date
from pathlib import Path

import nbformat
import openai
import pytest
import transcript

CHAPTER = Path(__file__).parent.parent / "notebooks" / "01_models.ipynb"
TYPES = Path(openai.__file__).parent / "types"
STATED_IN = ["shared/chat_model.py", "audio_model.py", "audio/speech_model.py", "image_model.py"]
ANNOUNCED_ELSEWHERE = {"gpt-3.5-turbo-instruct", "babbage-002", "davinci-002"}


def shutdown_dates() -> dict[str, list[str]]:
    [cell] = [
        ast.parse(cell.source)
        for cell in nbformat.read(CHAPTER, as_version=4).cells
        if cell.cell_type == "code" and cell.source.startswith("SHUTDOWN_DATES")
    ]
    return ast.literal_eval(cell.body[0].value)


def deprecations() -> list[str]:
    """The entries of the SDK's lists of deprecated models, each on one line."""
    texts = (
        (TYPES / file).read_text("utf-8").partition("Deprecated values:")[2] for file in STATED_IN
    )
    return [" ".join(entry.split()) for text in texts for entry in re.split(r"\n- ", text)]


def chapter(name: str) -> str:
    return (CHAPTER.parent / f"{name}.ipynb").read_text("utf-8")


MODELS = [
    (model, date.fromisoformat(day))
    for day, models in shutdown_dates().items()
    for model in models
    if model not in ANNOUNCED_ELSEWHERE
]


@pytest.mark.parametrize(("model", "day"), MODELS)
def test_the_sdk_states_this_shutdown_date(model, day):
    [entry] = [entry for entry in deprecations() if f'"{model}"' in entry]
    assert f"{day}" in entry or f"{day:%B} {day.day}, {day.year}" in entry


@pytest.mark.parametrize("model", transcript.MODEL_IDS)
def test_no_shutdown_date_that_the_sdk_states_is_left_out(model):
    stated = any(f'"{model}"' in entry for entry in deprecations())
    assert (model in dict(MODELS)) == stated


def test_the_medals_of_2008_are_those_that_were_counted():
    text = chapter("03_chat")
    assert "中国金牌最多（51 枚），但奖牌总数最多的是美国（110 枚，中国 100 枚）" in text
    assert "中国的金牌变为 48 枚，美国的奖牌总数变为 112 枚" in text
    assert '{\\"中国\\": 100, \\"美国\\": 110}' in text
