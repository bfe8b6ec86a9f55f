"""A playground for the completions endpoint."""

from ..lesson import current_lesson
from .panel import Panel
from .playground import Endpoint, playground


def completion_playground() -> Panel:
    """A widget that sends completion requests: recorded ones in replay, any in live mode.

    Raises RuntimeError where no chapter was started.
    """
    return playground(
        Endpoint(
            path="/completions",
            method="completions.create",
            texts={"model": current_lesson().experiment_model, "prompt": "Once upon a time"},
            to_texts=lambda request: {"model": request["model"], "prompt": request["prompt"]},
            from_texts=lambda texts: texts,
            text="text",
            piece="text",
        )
    )
