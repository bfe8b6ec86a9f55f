"""What the notebooks use besides the OpenAI SDK."""

from importlib import import_module
from typing import Any

from .charts import show_chart
from .lesson import start
from .messages import to_dict
from .sandbox import Sandbox, SandboxError, extract_code

__all__ = [
    "Sandbox",
    "SandboxError",
    "chat_playground",
    "completion_playground",
    "extract_code",
    "memory_explorer",
    "model_explorer",
    "sampling_explorer",
    "show_chart",
    "start",
    "to_dict",
]


def __getattr__(name: str) -> Any:
    """Import a widget when it is asked for: ipywidgets and the SDK are slow to import."""
    if name in __all__:
        return getattr(import_module(f".widgets.{name}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
