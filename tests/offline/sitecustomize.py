"""Keeps the tests, and every kernel they start, without key, `.env` and network.

pytest loads this as a plugin (pyproject.toml). Python itself loads it, by its name, in kernels
and child processes, because it puts its own folder on PYTHONPATH.
"""

import os
import sys
from pathlib import Path

for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "LESSON_MODE", "CHAT_MODEL", "COMPLETION_MODEL"):
    os.environ.pop(name, None)
os.environ["PYTHON_DOTENV_DISABLED"] = "1"
search_path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
if (here := str(Path(__file__).parent)) not in search_path:
    os.environ["PYTHONPATH"] = os.pathsep.join([here, *filter(None, search_path)])


def loopback_only(event: str, args: tuple) -> None:
    """Refuse to look up or reach any other machine."""
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event == "socket.connect" and isinstance(args[1], tuple):
        host = args[1][0]
    else:
        return
    if isinstance(host, bytes):
        host = host.decode()
    if host and host not in ("localhost", "::1") and not host.startswith("127."):
        raise OSError(f"the tests are offline: {host} is not this machine")


sys.addaudithook(loopback_only)
