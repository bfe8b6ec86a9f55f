"""What the notebooks use besides the OpenAI SDK."""

from .charts import show_chart
from .lesson import start
from .messages import to_dict
from .sandbox import Sandbox, SandboxError, extract_code

__all__ = ["Sandbox", "SandboxError", "extract_code", "show_chart", "start", "to_dict"]
