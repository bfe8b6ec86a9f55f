"""Messages: from what the API returns to what it takes."""

from typing import Any


def to_dict(message: Any) -> Any:
    """Turn a reply's message into a dict that the API takes back as input.

    Takes a `ChatCompletionMessage`, a `Choice`, a `ChatCompletion` (its first choice), a dict,
    or a list of any of them (the result is then a list of dicts). The result has the keys that
    the SDK's `ChatCompletion…MessageParam` of its role knows, and no `None`: what only comes
    out of the API, such as annotations or audio data, is left out.

    Raises TypeError for anything else, ValueError for a role that the API doesn't know and for
    a `ChatCompletion` without choices.
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
    return _input_fields(message)


def _input_fields(message: dict[str, Any]) -> dict[str, Any]:
    from openai.types import chat

    params = {
        "developer": chat.ChatCompletionDeveloperMessageParam,
        "system": chat.ChatCompletionSystemMessageParam,
        "user": chat.ChatCompletionUserMessageParam,
        "assistant": chat.ChatCompletionAssistantMessageParam,
        "tool": chat.ChatCompletionToolMessageParam,
        "function": chat.ChatCompletionFunctionMessageParam,
    }
    role = message.get("role")
    if not isinstance(role, str) or role not in params:
        raise ValueError(f"消息的 role 是 {role!r}，应是 {'、'.join(params)} 之一")
    allowed = params[role].__annotations__
    fields = {"role": role} | _without_none(
        {key: value for key, value in message.items() if key in allowed}
    )
    if audio := fields.get("audio"):  # a reply holds the sound itself, input only refers to it
        if not isinstance(audio, dict) or "id" not in audio:
            raise ValueError(f"消息的 audio 里要有 id，得到的是 {audio!r:.80}")
        fields["audio"] = {"id": audio["id"]}
    return fields


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
