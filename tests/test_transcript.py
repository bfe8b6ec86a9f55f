"""Every cell of the transcript has its counterpart, in its order, with its request and reply."""

import json
from pathlib import Path

import nbformat
import openai
import pytest
import transcript

from helpers.recordings import load_cassette, replaying

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def output_text(cell) -> str:
    """All that a code cell shows as text, in order."""
    return "".join(
        output["text"] if output.output_type == "stream" else output["data"]["text/plain"]
        for output in cell.outputs
    )


@pytest.fixture
def client() -> openai.OpenAI:
    return openai.OpenAI(api_key="not a key")


def replay(chapter: str):
    return replaying(load_cassette(NOTEBOOKS / "recordings" / f"{chapter}.yaml"))


def test_the_transcript_has_50_cells():
    numbers = {number for cells in transcript.CELLS.values() for number, _, _ in cells}
    assert numbers == set(range(1, 19)) | set(range(27, 59))
    assert len(numbers) == 50


@pytest.mark.parametrize("chapter", transcript.CELLS)
def test_every_cell_of_the_transcript_is_found_in_its_order(chapter):
    nb = nbformat.read(NOTEBOOKS / f"{chapter}.ipynb", as_version=4)
    cells = [(c.source, output_text(c)) for c in nb.cells if c.cell_type == "code"]
    at = 0
    last_number = None
    for number, code, output in transcript.CELLS[chapter]:
        if number != last_number and last_number is not None:
            at += 1
        last_number = number
        while at < len(cells) and not (code in cells[at][0] and output in cells[at][1]):
            at += 1
        assert at < len(cells), f"In [{number}] is missing: {code!r} giving {output!r}"


def test_the_model_list_holds_what_was_printed_and_nothing_else(client):
    with replay("01_models"):
        models = client.models.list().data
    assert [model.id for model in models] == transcript.MODEL_IDS
    for model in models:
        created, owned_by = transcript.MODEL_FIELDS.get(model.id, (None, None))
        assert (model.created, model.owned_by) == (created, owned_by)
        assert model.object == ("model" if owned_by else None)


def test_a_completion_that_was_printed_whole_is_replayed_whole(client):
    with replay("02_completions"):
        reply = client.completions.create(
            model="gpt-3.5-turbo-instruct", prompt="Say this is a test", max_tokens=7, temperature=0
        )
    assert reply.model_dump(exclude_none=True) == {
        "id": "cmpl-AfjyQ6rVgmb5ozO3VDds2s9ce0leu",
        "object": "text_completion",
        "created": 1734511534,
        "model": "gpt-3.5-turbo-instruct",
        "choices": [{"finish_reason": "stop", "index": 0, "text": "\n\nThis is a test."}],
        "usage": {"completion_tokens": 6, "prompt_tokens": 5, "total_tokens": 11},
    }


@pytest.mark.parametrize(
    ("prompt", "temperature", "text"),
    [
        ("讲10个给程序员听得笑话", 0.5, transcript.JOKES),
        ("生成可执行的快速排序 Python 代码", 0, transcript.QUICK_SORT),
    ],
)
def test_a_completion_of_which_the_text_was_printed_has_just_that(
    client, prompt, temperature, text
):
    with replay("02_completions"):
        reply = client.completions.create(
            model="gpt-3.5-turbo-instruct", prompt=prompt, max_tokens=1000, temperature=temperature
        )
    assert reply.model_dump(exclude_none=True) == {"choices": [{"text": text.rstrip("\n")}]}


def test_a_chat_reply_that_was_printed_whole_is_replayed_whole(client):
    with replay("03_chat"):
        reply = client.chat.completions.create(model="gpt-3.5-turbo", messages=[transcript.HELLO])
    assert reply.model_dump(exclude_none=True) == {
        "id": "chatcmpl-Afk16b4Jn6dziEXwfdiG9caA4ARYE",
        "object": "chat.completion",
        "created": 1734511700,
        "model": "gpt-3.5-turbo-0125",
        "choices": [{"finish_reason": "stop", "index": 0, "message": transcript.HELLO_REPLY}],
        "usage": {
            "completion_tokens": 10,
            "prompt_tokens": 9,
            "total_tokens": 19,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    }


@pytest.mark.parametrize(
    ("messages", "content"),
    [
        (
            [transcript.HELLO, transcript.HELLO_REPLY, transcript.THREE_QUESTIONS],
            transcript.THREE_ANSWERS,
        ),
        ([transcript.EXPERT, transcript.WHERE], transcript.WHERE_REPLY["content"]),
        (
            [transcript.EXPERT, transcript.WHERE, transcript.WHERE_REPLY, transcript.MEDALS],
            transcript.MEDALS_REPLY,
        ),
        ([transcript.MEDALS], transcript.NO_HISTORY_REPLY),
    ],
)
def test_a_chat_reply_of_which_the_message_was_printed_has_just_that(client, messages, content):
    with replay("03_chat"):
        reply = client.chat.completions.create(model="gpt-3.5-turbo", messages=messages)
    message = {"role": "assistant", "content": content}
    assert reply.model_dump(exclude_none=True) == {"choices": [{"message": message}]}


@pytest.mark.parametrize("chapter", transcript.CELLS)
def test_a_recording_says_that_it_is_rebuilt_and_is_readable(chapter):
    file = NOTEBOOKS / "recordings" / f"{chapter}.yaml"
    metadata = load_cassette(file).metadata
    assert metadata["origin"] == "transcript"
    assert metadata["date"] == "2024-12-18"
    assert metadata["note"].startswith("Rebuilt from the printed output")
    assert r"\u" not in file.read_text("utf-8"), "Chinese should stand there as Chinese"


def test_every_recorded_request_is_sent_by_its_notebook():
    """A reply that no cell asks for would be dead weight that nothing checks."""
    for chapter in transcript.CELLS:
        source = (NOTEBOOKS / f"{chapter}.ipynb").read_text("utf-8")
        for request in load_cassette(NOTEBOOKS / "recordings" / f"{chapter}.yaml").requests:
            body = json.loads(request.body or "{}")
            prompts = [body.get("prompt"), *(m["content"] for m in body.get("messages", []))]
            for prompt in filter(None, prompts):
                assert prompt in source
