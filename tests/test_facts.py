"""What the chapters state as fact is what the installed SDK states."""

import ast
import re
from datetime import date
from pathlib import Path

import nbformat
import openai
import pytest

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
