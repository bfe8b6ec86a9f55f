"""A playground for the chat endpoint."""

from typing import Any

from ..lesson import current_lesson
from .panel import Panel
from .playground import Endpoint, playground


def chat_playground() -> Panel:
    """A widget that sends chat requests of one question: recorded ones in replay, else any.

    Raises RuntimeError where no chapter was started.
    """
    return playground(
        Endpoint(
            path="/chat/completions",
            method="chat.completions.create",
            texts={
                "model": current_lesson().experiment_chat_model,
                "system": "",
                "user": "Write one sentence about the sea.",
            },
            to_texts=_to_texts,
            from_texts=_from_texts,
            text="message.content",
            piece="delta.content",
        )
    )


def _to_texts(request: dict[str, Any]) -> dict[str, Any] | None:
    """Model, system and user message; None for a longer conversation."""
    match request["messages"]:
        case [{"role": "user", "content": str(user)}]:
            system = None
        case [
            {"role": "system", "content": str(system)},
            {"role": "user", "content": str(user)},
        ]:
            pass
        case _:
            return None
    return {"model": request["model"], "system": system, "user": user}


def _from_texts(texts: dict[str, Any]) -> dict[str, Any]:
    roles = [role for role in ("system", "user") if texts[role]]
    messages = [{"role": role, "content": texts[role]} for role in roles]
    return {"model": texts["model"], "messages": messages}
