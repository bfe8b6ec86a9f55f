"""Inside the WebAssembly: run code, and say in a dict how it ended.

The worker executes this file once in every new session, and then calls serve(). It sees
nothing but the guest's own standard library (CPython 3.14). Hostile code can reach and
change everything in here, and so harm its own session; the limits are kept outside.
"""

import asyncio
import builtins
import functools
import io
import itertools
import json
import linecache
import os
import sys
import time
import traceback
import types

import _eryx

MAX_FILES = 20  # sources that are kept for tracebacks
MAX_TEXT = 8_000  # characters of a traceback; an exception's text can have millions


class Output(io.RawIOBase):
    """Standard output (0) or standard error (1), streamed to the worker unbuffered:
    what was printed before a time-out isn't lost."""

    def __init__(self, number):
        self.number = number

    def writable(self):
        return True

    def write(self, data):
        data = bytes(data)
        if data:
            _eryx._eryx_report_output(self.number, data)
        return len(data)


def open_output(number):
    """A text stream with all that sys.stdout has: buffer, reconfigure(), ..."""
    errors = ("strict", "backslashreplace")[number]
    return io.TextIOWrapper(Output(number), encoding="utf-8", errors=errors, write_through=True)


class TimerLoop(asyncio.BaseEventLoop):
    """An event loop for asyncio.run(): no sockets in here, so it has timers to wait for only."""

    class _selector:
        @staticmethod
        def select(timeout):
            time.sleep(1 if timeout is None else timeout)

    def _process_events(self, events):
        pass

    def _write_to_self(self):
        pass


def python_lru_cache():
    """The lru_cache that functools falls back on where its C version is missing.

    Recursion through the C version takes native stack, and a depth of 220 kills the
    interpreter; through this one it is limited only as all Python calls are.
    """
    in_c = sys.modules.pop("functools"), sys.modules["_functools"]
    sys.modules["_functools"] = None
    try:
        return __import__("functools")._lru_cache_wrapper
    finally:
        sys.modules["functools"], sys.modules["_functools"] = in_c


def no_input(prompt=""):
    raise EOFError("沙箱里没有键盘，input() 读不到东西。请把要输入的值直接写在代码里")


def describe(error):
    """The exception as Python prints it, without this file's frames, cut to MAX_TEXT."""
    report = traceback.TracebackException.from_exception(error)
    reports = [report]
    for one in reports:
        frames = [frame for frame in one.stack if frame.filename != "<user>"]
        one.stack = traceback.StackSummary.from_list(frames)
        reports += filter(None, [one.__cause__, one.__context__, *(one.exceptions or ())])
    text = "".join(report.format() if report.stack else report.format_exception_only())
    if len(text) <= MAX_TEXT:
        return text
    half = MAX_TEXT // 2
    return f"{text[:half]}\n……（太长，中间省略了 {len(text) - MAX_TEXT} 个字符）……\n{text[-half:]}"


def run(code):
    """Execute source text in the module __main__ that all runs share."""
    # A traceback may pass through the code of several runs: each has a name of its own.
    name = FILES[code] = FILES.pop(code, None) or f"<sandbox {next(NUMBERS)}>"
    if len(FILES) > MAX_FILES:  # forget the one that was not run for the longest time
        linecache.cache.pop(FILES.pop(next(iter(FILES))), None)
    linecache.cache[name] = len(code), None, [line + "\n" for line in code.split("\n")], name
    try:
        compiled = compile(code, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, OverflowError) as error:
        return {"kind": "syntax", "text": describe(error)}
    exec(compiled, MAIN.__dict__)  # noqa: S102 - what all of this is for
    return {"kind": "ok", "value": "null"}


def call(name, args):
    """Call a function that run() defined; its result goes back as JSON text."""
    function = MAIN.__dict__.get(name)
    if not callable(function):
        message = f"沙箱里没有叫 {name} 的函数。请先用 run() 运行定义它的代码"
        raise NameError(message)  # noqa: TRY004 - as Python says it
    value = function(*args)
    try:
        return {"kind": "ok", "value": json.dumps(value, allow_nan=False)}
    except (TypeError, ValueError, RecursionError) as error:
        kind = type(value).__name__
        raise TypeError(
            f"{name} 返回的 {kind} 不能写成 JSON（{error}）。"
            "请让它返回数字、字符串、布尔值、None，或由它们组成的列表和字典"
        ) from None


def serve(request):
    """Do what a request asks, {"run": code} or {"call": name, "args": [...]} in JSON."""
    request = json.loads(request)
    sys.setrecursionlimit(1000)
    sys.stdout = sys.__stdout__ = open_output(0)
    sys.stderr = sys.__stderr__ = open_output(1)
    asyncio.events._set_running_loop(None)  # the session's own, in which asyncio.run() refuses
    sys.modules["__main__"] = MAIN
    try:
        if "run" in request:
            return run(request["run"])
        return call(request["call"], request["args"])
    except SystemExit as error:
        if error.code in (None, 0):
            return {"kind": "ok", "value": "null"}
        return {"kind": "exit", "text": describe(error)}
    except MemoryError as error:
        return {"kind": "memory", "text": describe(error)}
    except ModuleNotFoundError as error:
        return {"kind": "error", "text": describe(error) + "沙箱里只有 Python 标准库"}
    except BaseException as error:  # noqa: BLE001 - whatever it raises is an answer
        return {"kind": "error", "text": describe(error)}
    finally:
        sys.settrace(None)
        sys.setprofile(None)
        for live, saved in VITAL:
            live.update(saved)


MAIN = types.ModuleType("__main__")
MAIN.__builtins__ = builtins
FILES = {}  # source text -> the name that it has in tracebacks
NUMBERS = itertools.count(1)

functools._lru_cache_wrapper = python_lru_cache()
asyncio.events._get_event_loop_policy()._loop_factory = TimerLoop
builtins.input = no_input
os.chdir("/data")  # virtual, in memory, and the one folder that can be written to

# What no run can go without is put back after each, the session's own __main__ as well.
VITAL = [(live, dict(live)) for live in (vars(builtins), sys.modules)]
