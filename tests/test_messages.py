"""to_dict(): what comes out of the API becomes what goes in."""

import json

import pytest
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionMessage,
    ChatCompletionMessageParam,
)
from pydantic import TypeAdapter

from helpers import to_dict

INPUT = TypeAdapter(ChatCompletionMessageParam)
TOOL_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "北京"}'},
}
AUDIO = {"id": "audio_1", "data": "UklGRg==", "expires_at": 1734511700, "transcript": "你好"}
ANNOTATION = {
    "type": "url_citation",
    "url_citation": {"start_index": 0, "end_index": 1, "title": "t", "url": "https://example.com"},
}


def message(**fields) -> ChatCompletionMessage:
    return ChatCompletionMessage.model_validate({"role": "assistant", **fields})


def completion(*messages: ChatCompletionMessage) -> ChatCompletion:
    choices = [
        {"index": i, "finish_reason": "stop", "message": m.model_dump()}
        for i, m in enumerate(messages)
    ]
    return ChatCompletion.model_validate(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": choices,
        }
    )


CASES = {
    "text": (message(content="你好"), {"role": "assistant", "content": "你好"}),
    "refusal": (
        message(content=None, refusal="不行"),
        {"role": "assistant", "refusal": "不行"},
    ),
    "tool calls": (
        message(content=None, tool_calls=[TOOL_CALL]),
        {"role": "assistant", "tool_calls": [TOOL_CALL]},
    ),
    "tool calls with output-only fields": (
        message(
            tool_calls=[
                TOOL_CALL
                | {"index": 0, "function": TOOL_CALL["function"] | {"parsed_arguments": None}}
            ]
        ),
        {"role": "assistant", "tool_calls": [TOOL_CALL]},
    ),
    "a custom tool's call": (
        message(tool_calls=[{"id": "c", "type": "custom", "custom": {"name": "n", "input": "i"}}]),
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "n", "input": "i"}}],
        },
    ),
    "no tool calls": (
        message(content="好", tool_calls=[]),
        {"role": "assistant", "content": "好"},
    ),
    "None deep inside": (
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "u", "detail": None}}],
        },
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]},
    ),
    "old function call": (
        message(content=None, function_call=TOOL_CALL["function"]),
        {"role": "assistant", "function_call": TOOL_CALL["function"]},
    ),
    "audio": (
        message(content=None, audio=AUDIO),
        {"role": "assistant", "audio": {"id": "audio_1"}},
    ),
    "annotations": (
        message(content="见此", annotations=[ANNOTATION]),
        {"role": "assistant", "content": "见此"},
    ),
    "name": (
        message(content="好", name="小明"),
        {"role": "assistant", "content": "好", "name": "小明"},
    ),
    "a server's own field": (
        message(content="好", reasoning_content="想一想"),
        {"role": "assistant", "content": "好"},
    ),
    "empty text": (message(content=""), {"role": "assistant", "content": ""}),
    "choice": (
        completion(message(content="好")).choices[0],
        {"role": "assistant", "content": "好"},
    ),
    "completion": (
        completion(message(content="一"), message(content="二")),
        {"role": "assistant", "content": "一"},
    ),
    "a dumped message": (
        message(content="好", audio=AUDIO).model_dump(),
        {"role": "assistant", "content": "好", "audio": {"id": "audio_1"}},
    ),
    "user": ({"role": "user", "content": "问"}, {"role": "user", "content": "问"}),
    "user with parts": (
        {"role": "user", "content": [{"type": "text", "text": "问"}], "name": "小红"},
        {"role": "user", "content": [{"type": "text", "text": "问"}], "name": "小红"},
    ),
    "system": ({"role": "system", "content": "规矩"}, {"role": "system", "content": "规矩"}),
    "developer": (
        {"role": "developer", "content": "规矩", "name": None},
        {"role": "developer", "content": "规矩"},
    ),
    "tool": (
        {"role": "tool", "content": "晴", "tool_call_id": "call_1"},
        {"role": "tool", "content": "晴", "tool_call_id": "call_1"},
    ),
}


@pytest.mark.parametrize(("given", "expected"), CASES.values(), ids=CASES)
def test_the_result_is_input_that_the_sdk_accepts(given, expected):
    result = to_dict(given)
    assert result == expected
    json.dumps(result)
    checked = INPUT.validate_python(result)
    # Lists are checked only when they are read. A key that a type doesn't know is not refused
    # but dropped, at every level: so what was checked must be all there is.
    checked = {k: v if isinstance(v, str | dict) else list(v) for k, v in checked.items()}
    assert checked == result


def test_the_keys_stand_in_the_order_people_write_them():
    assert list(to_dict(message(content="好"))) == ["role", "content"]


def test_a_list_becomes_a_list_of_dicts():
    mixed = [
        {"role": "user", "content": "问"},
        message(content="答"),
        completion(message(content="又")),
    ]
    assert to_dict(mixed) == [
        {"role": "user", "content": "问"},
        {"role": "assistant", "content": "答"},
        {"role": "assistant", "content": "又"},
    ]


def test_the_message_itself_is_not_changed():
    original = {"role": "assistant", "content": "好", "audio": dict(AUDIO), "refusal": None}
    copy = json.loads(json.dumps(original))
    to_dict(original)
    assert original == copy


@pytest.mark.parametrize("given", ["你好", None, 3, ("role", "user"), object])
def test_anything_else_is_a_type_error_that_names_it(given):
    with pytest.raises(TypeError, match=f"得到的是 {type(given).__name__}"):
        to_dict(given)


@pytest.mark.parametrize("given", [{}, {"content": "好"}, {"role": "boss"}, {"role": ["user"]}])
def test_a_dict_with_no_known_role_is_an_error_that_names_the_roles(given):
    with pytest.raises(
        ValueError, match="应是 developer、system、user、assistant、tool、function 之一"
    ):
        to_dict(given)


@pytest.mark.parametrize("audio", ["x", {"data": "x"}])
def test_audio_without_an_id_is_a_clear_error(audio):
    with pytest.raises(ValueError, match="这条 assistant 消息的 audio"):
        to_dict({"role": "assistant", "audio": audio})


def test_a_bad_tool_call_is_a_clear_error():
    with pytest.raises(ValueError, match="这条 assistant 消息的 .*id 不对"):
        to_dict({"role": "assistant", "tool_calls": [{"type": "function"}]})


def test_a_completion_without_choices_is_a_clear_error():
    with pytest.raises(ValueError, match="没有 choices"):
        to_dict(completion())
