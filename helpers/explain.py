"""What a cell says when a call fails: a few lines in place of a traceback, and Run All goes on."""

import ast
import symtable
from json import JSONDecodeError
from types import TracebackType
from typing import Any

import httpx2
import openai
from IPython import get_ipython

from .sandbox import NoCodeError, SandboxError

FAILURES = (openai.OpenAIError, JSONDecodeError, AttributeError, SandboxError, NoCodeError)

# What cells would have assigned, had a call not failed.
_unset: set[str] = set()


def explain_errors() -> None:
    """From now on, explain a failed call in its cell, and let the next cell run.

    What a server refuses is no mistake in the notebook, and would stop Run All. The names that
    the cell would have assigned are unset, so that no later cell takes an earlier reply for
    this one; a cell that needs such a name says so, and is left out in the same way. All other
    exceptions are shown as ever. Does nothing outside of IPython.
    """
    if shell := get_ipython():
        shell.set_custom_exc((*FAILURES, NameError), _show)
        shell.events.register("post_run_cell", _end_well)


def explanation(error: Exception) -> str | None:
    """What happened, what the server said and what to do; None for what is no failed call."""
    match error:
        case openai.NotFoundError(code="recording_not_found"):
            return _said(error)
        case openai.AuthenticationError():
            what = "服务器不认这个密钥"
            todo = "检查 .env 里的 OPENAI_API_KEY：是否抄全、过期，是不是这个服务器发的"
        case openai.PermissionDeniedError():
            what = "这个密钥没有权限做这件事"
            todo = "换一个模型，或到服务商的网站上看这个密钥能用什么"
        case openai.NotFoundError():
            what = f"服务器说没有：没有这个接口（{error.request.url.path}），或者没有这个模型"
            todo = (
                "client.models.list() 列出有哪些模型，.env 里的 CHAT_MODEL 和 COMPLETION_MODEL "
                "要是其中之一；OPENAI_BASE_URL 一般以 /v1 结尾。有的服务器确实没有这个接口，"
                "那就跳过这一步"
            )
        case openai.BadRequestError() | openai.UnprocessableEntityError():
            what = "服务器不接受这个请求：某个参数它不支持，或者值不对、内容太长"
            todo = "看它说的是哪个参数，改掉或去掉。各个服务器、各个模型支持的参数不一样"
        case openai.RateLimitError(code="insufficient_quota"):
            what = "额度用完了"
            todo = "到服务商的网站上看用量和余额；重试没有用"
        case openai.RateLimitError():
            what = "请求太多、太快（SDK 已经等过、重试过）"
            wait = error.response.headers.get("retry-after")
            todo = f"等{f' {wait} 秒' if wait else '一会儿'}再运行；经常这样，就少发或发慢一点"
        case openai.InternalServerError():
            what = "服务器自己出了错（SDK 已经重试过）"
            todo = (
                "等一会儿再运行；是自己开的服务器，就看它的日志。有的服务器遇到不支持的参数也这样答"
            )
        case openai.APIStatusError():
            what = "服务器拒绝了这个请求"
            todo = "看它说了什么；没有说，就看服务器的说明"
        case openai.APITimeoutError():
            what = "等得太久，没有等到回复"
            todo = "等一会儿再运行，或者把时限放宽：OpenAI(timeout=秒数)；模型大、机器慢时会这样"
        case openai.APIConnectionError(__cause__=httpx2.ConnectError()):
            what = f"连不上服务器 {error.request.url.host}"
            todo = "检查 OPENAI_BASE_URL 的地址和端口，服务器开了没有，网络和代理通不通"
        case openai.APIConnectionError():
            what = "连接中途断了，收到的回复不完整"
            todo = "再运行一次；总是这样，就看服务器的日志"
        case openai.APIError():
            what = "服务器答到一半，自己报了错"
            todo = "再运行一次；总是这样，就看服务器的日志"
        case openai.OpenAIError():
            what, todo = f"{error}", "先运行这一章的第一个单元格"
        case JSONDecodeError() if "openai" in _raised_in(error):
            what = "服务器的回复不是完整的 JSON"
            todo = "再运行一次；总是这样，这个服务器就和 OpenAI 的接口不兼容"
        case AttributeError(obj=str(), name="choices" | "data" | "id"):
            what = f"服务器的回复不是 JSON，而是一段文字，开头是：{error.obj.strip()[:80]!r}"
            todo = "检查 OPENAI_BASE_URL：是不是一个网页的地址，是不是少了结尾的 /v1"
        case SandboxError():
            return "".join(error._render_traceback_())
        case NoCodeError():
            return f"{error}"
        case _:
            return None
    status = f"{error.status_code} " if isinstance(error, openai.APIStatusError) else ""
    said = f"服务器说：{said}\n" if (said := _said(error)) else ""
    return f"{what}。（{status}{type(error).__name__}）\n{said}怎么办：{todo}。"


def _said(error: Exception) -> str:
    """What the server said, in whichever of the forms that servers have."""
    said = getattr(error, "body", None)
    if isinstance(said, dict):
        said = said.get("message") or said.get("detail")
    return f"{said or ''}"[:500]


def _show(
    shell: Any, kind: type, error: Exception, traceback: TracebackType, tb_offset: Any
) -> None:
    """Print the explanation where there is one, else the traceback."""
    name = getattr(error, "name", None)
    if isinstance(error, NameError) and name in _unset:
        text = f"这个单元格要用 {name}，而前面没有成功的那一步没有得到它，所以跳过。"
    else:
        text = explanation(error)
    if text is None:
        shell.showtraceback((kind, error, traceback), running_compiled_code=True)
        return
    print(text)
    while traceback.tb_frame.f_globals is not shell.user_ns:
        traceback = traceback.tb_next
    error.line_of_cell = traceback.tb_lineno


def _end_well(result: Any) -> None:
    """After a cell: if its error was explained, unset what it didn't assign, and call it a success."""
    line = getattr(result.error_in_exec, "line_of_cell", None)
    if line is not None:
        shell = get_ipython()
        for name in _assigned_from(line, shell.transform_cell(result.info.raw_cell)):
            shell.user_ns.pop(name, None)
            _unset.add(name)
        result.error_in_exec = None


def _assigned_from(line: int, source: str) -> set[str]:
    """The global names that a cell's statements assign, from the one at this line on."""
    rest = [statement for statement in ast.parse(source).body if statement.end_lineno >= line]
    table = symtable.symtable(ast.unparse(ast.Module(rest, [])), "cell", "exec")
    return {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned()}


def _raised_in(error: Exception) -> set[str]:
    """The top-level packages whose code an exception came through."""
    packages, traceback = set(), error.__traceback__
    while traceback:
        packages.add(traceback.tb_frame.f_globals.get("__name__", "").partition(".")[0])
        traceback = traceback.tb_next
    return packages
