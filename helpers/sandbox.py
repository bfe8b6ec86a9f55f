"""Run code that a model wrote where it can do no harm.

It runs in CPython compiled to WebAssembly, in a worker process of its own
(sandbox_worker.py). This side starts the worker, sends it code, and kills it when it takes
more time, memory or output than it may.
"""

import ast
import json
import os
import re
import subprocess
import sys
import textwrap
import threading
import time
import warnings
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from . import sandbox_worker

START_S = 60  # a worker that isn't ready by then never will be
POLL_S = 0.01  # how often a run's time and memory are looked at
MAX_SENT = 2_000_000  # bytes of output and result together that one run may send

MESSAGES = {
    "syntax": "代码有语法错误，一行都没有运行：",
    "error": "代码运行时出错了，最后一行说的是错误的类型和原因：",
    "exit": "代码自己中途退出了（sys.exit），它打印的内容在 .stdout 和 .stderr 里：",
    "timeout": "代码运行超过了 {timeout_s:g} 秒，已被停止。请检查有没有不会结束的循环；"
    "如果只是算得慢，可以用 Sandbox(timeout_s=...) 放宽限制。",
    "memory": "代码用的内存超过了 {memory_mb:g} MB，已被停止。请减少同时存放的数据，"
    "或者用 Sandbox(memory_mb=...) 放宽限制。",
    "output": "代码的输出和返回值加起来超过了 2 MB，已被停止。请检查是不是在循环里不停地打印，"
    "或者少打印、少返回一些。",
    "start": "沙箱的工作进程没能启动。请在项目文件夹里运行 uv sync，确认 pyeryx 已经装好；"
    "还不行，就删掉文件夹 {cache} 再试，它会重新建立。",
    "crash": "沙箱里的 Python 解释器崩溃了，多半是递归太深"
    "（例如一两百层的 __repr__、嵌套的调用或数据），请改用循环或减小深度。",
}
RESTARTED = "沙箱已重新启动，之前定义的变量和函数都没有了，还要用就请重新运行定义它们的代码。"


class SandboxError(Exception):
    """Code in the sandbox failed or was stopped; str() says what happened and what to do.

    kind: syntax, error (it raised an exception), timeout, memory, output or crash
    stdout, stderr: what the code had printed until then
    """

    kind: Literal["syntax", "error", "timeout", "memory", "output", "crash"]

    def __init__(self, kind: str, message: str, stdout: str = "", stderr: str = ""):
        super().__init__(message)
        self.kind = kind
        self.stdout = stdout
        self.stderr = stderr

    def _render_traceback_(self) -> list[str]:
        """What Jupyter shows of it: the guest's traceback rather than this module's."""
        return [f"{self.stdout}{self.stderr}SandboxError: {self}"]


class NoCodeError(ValueError):
    """A reply holds no Python code. The message shows how it begins."""


@dataclass(frozen=True, repr=False)
class RunResult:
    """What a run printed, and how long it took in milliseconds."""

    stdout: str
    stderr: str
    duration_ms: float

    def __repr__(self) -> str:
        return self.stdout + self.stderr or "（没有输出；想看某个值，请用 print）"


class Sandbox:
    """An isolated Python without the files, network and environment of this computer.

    What one run defines, the next can use. Close it, or use it in a with statement; it ends
    with this process at the latest.

    timeout_s: seconds that one run or call may take
    memory_mb: megabytes (millions of bytes) by which the worker may grow; what it once took
        it keeps until it is replaced
    """

    def __init__(self, timeout_s: float = 5, memory_mb: float = 128):
        for limit in (timeout_s, memory_mb):
            if not (isinstance(limit, int | float) and limit > 0):
                raise ValueError("timeout_s（秒）和 memory_mb（MB）都要是大于 0 的数")
        self.timeout_s = timeout_s
        self.memory_mb = memory_mb
        self._lock = threading.Lock()
        self._start()

    def run(self, code: str) -> RunResult:
        """Run Python source code. Raises SandboxError if it fails or has to be stopped."""
        if not isinstance(code, str):
            raise TypeError(
                f"run() 要的是代码文本（str），收到的是 {type(code).__name__}。"
                "要运行模型回复里的代码，请先用 extract_code() 把它取出来"
            )
        _, answer = self._request({"run": code})
        return RunResult(*answer.output(), answer.duration_ms)

    def call(self, name: str, *args: Any) -> Any:
        """Call a function that an earlier run defined, and return its result.

        Arguments and result are JSON values: numbers, strings, booleans, None, and lists and
        dicts of these (a tuple comes back as a list). What the function prints is printed.
        Raises SandboxError as run() does, and when the result isn't JSON.
        """
        if not isinstance(name, str):
            raise TypeError(f"call() 的第一个参数是函数名（str），收到的是 {type(name).__name__}")
        try:
            json.dumps(args, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(
                "call() 的参数只能是数字、字符串、布尔值、None，以及由它们组成的列表和字典"
                f"（{error}）"
            ) from None
        value, answer = self._request({"call": name, "args": args})
        for text, stream in zip(answer.output(), (sys.stdout, sys.stderr), strict=True):
            stream.write(text)
        return value

    def close(self) -> None:
        """End the worker, after a run that is under way. Nothing can be run any more then."""
        with self._lock:
            self._kill()
            self._worker = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _start(self) -> None:
        self._worker = _Worker()
        self._idle = True  # not so after an interrupt, even if that came while dealing with one
        self._kill = weakref.finalize(self, self._worker.kill)

    def _restart(self) -> None:
        self._worker.kill()
        self._kill.detach()
        self._start()

    def _request(self, request: dict) -> tuple[Any, "_Answer"]:
        """Have a request carried out: its result, and the answer that held it."""
        with self._lock:
            if self._worker is None:
                raise ValueError("这个沙箱已经关闭，请用 Sandbox() 新建一个")
            if not self._idle:
                self._restart()
            self._idle = False
            answer = _Answer()
            try:
                stopped = self._watch(request, answer)
                reply = {"kind": stopped} if stopped else answer.reply()
            except BaseException as interrupt:  # Ctrl-C above all
                self._restart()
                interrupt.add_note(RESTARTED)
                raise
            kind = reply["kind"]
            self._idle = kind == "ok" or "text" in reply
            if kind == "ok":
                return reply["value"], answer
            message = MESSAGES[kind].format(
                timeout_s=self.timeout_s, memory_mb=self.memory_mb, cache=_cache()
            )
            if self._idle:
                message += "\n\n" + reply["text"].rstrip()
            else:
                self._restart()
                message += RESTARTED
        kind = {"exit": "error", "start": "crash"}.get(kind, kind)
        raise SandboxError(kind, message, *answer.output())

    def _watch(self, request: dict, answer: "_Answer") -> str | None:
        """Wait until the answer is complete, or say why it won't be: a key of MESSAGES."""
        worker = self._worker
        created = time.monotonic()
        asking = worker.asking = threading.Thread(target=worker.ask, args=(request, answer))
        asking.daemon = True
        asking.start()
        while asking.is_alive():
            asking.join(POLL_S)
            if not answer.started:
                if time.monotonic() - created > START_S:
                    return "start"
            elif worker.memory() - worker.idle_memory > self.memory_mb * 1_000_000:
                return "memory"
            elif asking.is_alive() and time.monotonic() - answer.started > self.timeout_s:
                return "timeout"
        return answer.stopped if answer.started else "start"


@dataclass
class _Answer:
    """What a worker sends for one request; one thread fills it while another watches."""

    started: float = 0.0  # time.monotonic() when the worker was ready and got the request
    duration_ms: float = 0.0
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    content: bytes = b""  # of the reply
    stopped: str | None = "crash"  # unless there turns out to be another reason, or none

    def output(self) -> tuple[str, str]:
        return self.stdout.decode(errors="replace"), self.stderr.decode(errors="replace")

    def reply(self) -> dict:
        """What the guest says of the outcome. It may lie, but not about the types."""
        try:
            reply = json.loads(self.content)
            if reply["kind"] == "ok":
                return {"kind": "ok", "value": json.loads(reply["value"])}
            if reply["kind"] in ("syntax", "error", "exit", "memory"):
                # A lone surrogate in it would be refused where Jupyter shows the error.
                text = str(reply["text"]).encode("utf-8", "backslashreplace").decode()
                return {"kind": reply["kind"], "text": text}
        except (ValueError, TypeError, LookupError, RecursionError):
            pass
        return {"kind": "crash"}


def _cache() -> str:
    """Where workers keep the 59 MB that eryx unpacks: native code and the library.

    It is in the user's own cache, because eryx runs what it finds there, and anyone could put
    it into the common temporary folder.
    """
    from platformdirs import user_cache_path

    return str(user_cache_path("openai-api-course"))


class _Worker:
    """The process at the other end of the pipe."""

    def __init__(self) -> None:
        """Start it, without waiting until it is ready."""
        self.idle_memory = 0  # bytes, before it has run anything
        self.pid = 0  # the interpreter's: on Windows, a venv's python is only its launcher
        self.asking: threading.Thread | None = None
        self.process = subprocess.Popen(
            [sys.executable, "-I", sandbox_worker.__file__, _cache()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in ("SYSTEMROOT",) if os.name == "nt"},
            start_new_session=True,  # Ctrl-C in a terminal is for this process alone:
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # so too on Windows
        )

    def ask(self, request: dict, answer: _Answer) -> None:
        """Send a request and collect all that comes back, up to MAX_SENT bytes of it."""
        incoming = self.process.stdout
        try:
            if not self.pid:
                self.pid = int(sandbox_worker.read_frame(incoming, MAX_SENT)[1])
                self.idle_memory = self.memory()
            answer.started = time.monotonic()
            sandbox_worker.write_frame(
                self.process.stdin, sandbox_worker.REQUEST, json.dumps(request).encode()
            )
            left = MAX_SENT
            while answer.stopped:
                kind, content = sandbox_worker.read_frame(incoming, left)
                left -= len(content)
                if kind == sandbox_worker.REPLY:
                    answer.content = content
                    answer.duration_ms = (time.monotonic() - answer.started) * 1000
                    answer.stopped = None
                else:
                    (answer.stdout if kind == sandbox_worker.STDOUT else answer.stderr).extend(
                        content
                    )
        except OverflowError:
            answer.stopped = "output"
        except (OSError, EOFError, ValueError):  # it died, or was killed
            pass

    def memory(self) -> int:
        """Bytes that it occupies now; 0 if it is no more."""
        import psutil

        with suppress(psutil.Error):
            return psutil.Process(self.pid).memory_info().rss
        return 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.asking:  # it has its pipes' end now, so it ends too
            self.asking.join()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):  # what was still to be sent can't be
                pipe.close()


PYTHON = {"python", "python3", "py", "py3"}  # what a fence of Python is marked with

# What code has and prose that happens to parse ("Hello", "你好", "cats and dogs") has not.
CODE = (
    *(ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
    *(ast.Assign, ast.AugAssign, ast.If, ast.For, ast.While, ast.Try, ast.With, ast.Match),
    *(ast.Assert, ast.Raise, ast.Delete, ast.Call, ast.comprehension),
)


def extract_code(reply: str) -> str:
    """Return the Python code in a model's reply, without blank lines around it.

    That is the reply itself if it is code; else its fenced blocks, joined by a blank line:
    those marked as Python, and unmarked ones that are code or stand alone.
    Raises NoCodeError if there is no code, TypeError if reply is no text.
    """
    if not isinstance(reply, str):
        raise TypeError(f"extract_code() 要的是回复的文本（str），收到的是 {type(reply).__name__}")
    text = textwrap.dedent(reply).strip()
    if _is_code(text):
        return text
    blocks = _fenced(reply)
    chosen = [
        _without_prompts(code)
        for language, code in blocks
        if language in PYTHON or not language and (len(blocks) == 1 or _is_code(code))
    ]
    if not chosen:
        beginning = text if len(text) <= 80 else text[:80] + "……"
        raise NoCodeError(f"回复里没有找到 Python 代码，它的开头是：{beginning!r}")
    return "\n\n".join(chosen)


def _without_prompts(code: str) -> str:
    """The source of an interactive session (`>>> ` and its output); other code as it is."""
    if not code.startswith(">>> "):
        return code
    from doctest import DocTestParser

    return "".join(example.source for example in DocTestParser().get_examples(code)).strip()


def _is_code(text: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(isinstance(node, CODE) for node in ast.walk(tree))


def _fenced(markdown: str) -> list[tuple[str, str]]:
    """The fenced blocks that aren't empty: language (lower case, may be "") and content."""
    from markdown_it import MarkdownIt

    # Without its rule for indented code, a fence counts however far it is indented.
    tokens = MarkdownIt().disable(["code", "html_block"]).parse(markdown)
    blocks = [
        (re.match(r"\W*(\w*)", token.info)[1].lower(), textwrap.dedent(token.content).strip())
        for token in tokens
        if token.type == "fence"
    ]
    return [(language, code) for language, code in blocks if code]
