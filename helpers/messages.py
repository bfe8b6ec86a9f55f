"""Messages: from what the API returns to what it takes."""

from functools import cache
from typing import Any


def to_dict(message: Any) -> Any:
    """Turn a reply's message into a dict that the API takes back as input.

    Takes a `ChatCompletionMessage`, a `Choice`, a `ChatCompletion` (its first choice), a dict,
    or a list of any of them (the result is then a list of dicts). The result has the keys that
    the SDK's `ChatCompletion…MessageParam` of its role knows, and no `None`: what only comes
    out of the API, such as annotations or audio data, is left out.

    Raises TypeError for anything else, ValueError for a message that is no valid input (such
    as one with an unknown role) and for a `ChatCompletion` without choices.
    """
    from openai.types.chat import ChatCompletion, ChatCompletionMessage
    from openai.types.chat.chat_completion import Choice

    if isinstance(message, list):
        return [to_dict(item) for item in message]
    if isinstance(message, ChatCompletion):
        if not message.choices:
            raise ValueError("这个 ChatCompletion 没有 choices，取不出消息")
        message = message.choices[0]
    if isinstance(message, Choice):
        message = message.message
    if isinstance(message, ChatCompletionMessage):
        message = message.model_dump()
    if not isinstance(message, dict):
        raise TypeError(
            "to_dict() 要的是消息对象（ChatCompletionMessage、Choice、ChatCompletion）、"
            f"字典，或它们的列表，得到的是 {type(message).__name__}：{message!r:.80}"
        )
    return _as_input(message)


def _as_input(message: dict[str, Any]) -> dict[str, Any]:
    """What the SDK's type for input of this role takes of a message."""
    from pydantic import ValidationError

    types = _input_types()
    role = message.get("role")
    if not isinstance(role, str) or role not in types:
        raise ValueError(f"消息的 role 是 {role!r}，应是 {'、'.join(types)} 之一")
    try:
        # Validation drops the keys that a type doesn't know, at every level; a list it checks
        # only as it is read.
        fields = types[role].validate_python(_without_none(message))
        fields = {k: v if isinstance(v, str | dict) else list(v) for k, v in fields.items()}
    except ValidationError as error:
        [first, *_] = error.errors()
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"这条 {role} 消息的 {place} 不对：{first['msg']}") from None
    # The API takes no empty list, though some servers return one.
    return {"role": role} | {key: value for key, value in fields.items() if value != []}


@cache
def _input_types() -> dict[str, Any]:
    """Validators of the SDK's types for input, by role."""
    from openai.types import chat
    from pydantic import TypeAdapter

    return {
        "developer": TypeAdapter(chat.ChatCompletionDeveloperMessageParam),
        "system": TypeAdapter(chat.ChatCompletionSystemMessageParam),
        "user": TypeAdapter(chat.ChatCompletionUserMessageParam),
        "assistant": TypeAdapter(chat.ChatCompletionAssistantMessageParam),
        "tool": TypeAdapter(chat.ChatCompletionToolMessageParam),
        "function": TypeAdapter(chat.ChatCompletionFunctionMessageParam),
    }


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
