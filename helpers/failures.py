"""What can be said of a failed call, in Chinese: what happened, what the server said, what to do."""

import re
import traceback
from json import JSONDecodeError

import httpx2
import openai

from .sandbox import NoCodeError, SandboxError

# Exceptions that may be a failed call.
FAILURES = (
    openai.OpenAIError,
    JSONDecodeError,
    AttributeError,
    TypeError,
    IndexError,
    SandboxError,
    NoCodeError,
)

# Servers repeat the key in their messages, often in part: sk-ab****yz
KEY = re.compile(r"\bsk-[\w.*-]+|(?<![\w-])[\w-]*\*{3,}[\w-]*")
MARKUP = re.compile(r"<(style|script)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)

RERUN = "改了 .env，就从这一章的第一个单元格起重新运行（环境变量里设了同名的，以环境变量为准）"


def explanation(error: Exception) -> str | None:
    """What happened, what the server said and what to do; None for what is no failed call.

    Each of FAILURES is looked at; of the exceptions that Python itself raises, only those count
    that come from a reply that isn't what its type says.
    """
    match error:
        case openai.NotFoundError(code="recording_not_found"):
            return f"{error.body['message']}"
        case openai.AuthenticationError():
            what = "服务器不接受这个密钥"
            todo = (
                "检查 .env 里的 OPENAI_API_KEY：抄全了没有，过期没有，是不是这个服务器发的。"
                f"{RERUN}"
            )
        case openai.PermissionDeniedError():
            what = "服务器不允许这个请求：密钥没有这个权限，或者它不为你所在的地区提供服务"
            todo = "换一个模型，或到服务商的网站上看这个密钥能用什么、哪些地区能用"
        case openai.NotFoundError():
            what = f"服务器说没有：没有这个接口（{error.request.url.path}），或者没有这个模型"
            todo = (
                "client.models.list() 列出有哪些模型，.env 里的 CHAT_MODEL 和 COMPLETION_MODEL "
                f"要是其中之一；OPENAI_BASE_URL 一般以 /v1 结尾。{RERUN}。"
                "有的服务器确实没有这个接口，那就跳过这一步"
            )
        case openai.BadRequestError() | openai.UnprocessableEntityError():
            what = "服务器不接受这个请求：某个参数它不支持，或者值不对、内容太长"
            todo = "看它说的是哪个参数，改掉或去掉。各个服务器、各个模型支持的参数不一样"
        case openai.RateLimitError(code="insufficient_quota"):
            what = "额度用完了"
            todo = "到服务商的网站上看用量和余额；重试没有用"
        case openai.RateLimitError():
            what = "请求太多、太快"
            wait = error.response.headers.get("retry-after", "")
            wait = f" {wait} 秒" if wait.isdecimal() else "一会儿"
            todo = f"等{wait}再运行；经常这样，就少发或发慢一点"
        case openai.InternalServerError(status_code=502 | 503 | 504):
            what = "服务器，或者它前面的网关、代理，暂时不能答复"
            todo = (
                "等一会儿再运行；服务器就在这台电脑上，就看它是不是还在启动，设了代理的话，"
                "把它的地址（如 127.0.0.1）写进环境变量 NO_PROXY"
            )
        case openai.InternalServerError():
            what = "服务器自己出了错"
            todo = (
                "等一会儿再运行；是自己开的服务器，就看它的日志。有的服务器遇到不支持的参数也这样答"
            )
        case openai.APIStatusError():
            what = "服务器拒绝了这个请求"
            todo = "看它说了什么；没有说，就看服务器的说明"
        case openai.APITimeoutError():
            what = "等得太久，没有等到回复"
            todo = (
                "等一会儿再运行，或者把时限放宽：OpenAI(timeout=秒数)。模型大、机器慢时会这样，"
                "网络不通时也会"
            )
        case openai.APIConnectionError(__cause__=httpx2.ConnectError() | httpx2.ProxyError()):
            what = f"连不上服务器 {error.request.url.host}"
            todo = (
                "检查 OPENAI_BASE_URL 的地址和端口（是 http 还是 https），服务器开了没有，"
                f"网络和代理通不通。{RERUN}"
            )
        case openai.APIConnectionError(
            __cause__=httpx2.LocalProtocolError() | httpx2.UnsupportedProtocol()
        ):
            what = "请求没能发出去：地址或密钥的写法不对"
            todo = (
                "检查 OPENAI_BASE_URL 是不是以 http:// 或 https:// 开头，OPENAI_API_KEY "
                f"里有没有空格、换行。{RERUN}"
            )
        case openai.APIConnectionError():
            what = "连接中途断了，没有收到完整的回复"
            todo = "再运行一次；总是这样，就看服务器的日志"
        case openai.APIError():
            what = "服务器答到一半，自己报了错"
            todo = "再运行一次；总是这样，就看服务器的日志"
        case openai.OpenAIError():
            what = f"SDK 报了错：{f'{error}'.rstrip('.')}"
            todo = "说缺少密钥（Missing credentials），就先运行这一章的第一个单元格；否则照它说的改"
        case JSONDecodeError() if "openai" in _raised_in(error):
            what = "服务器的回复不是完整、合法的 JSON"
            todo = "再运行一次；总是这样，这个服务器就和 OpenAI 的接口不兼容"
        case AttributeError(obj=str(page)) if page.lstrip().startswith("<"):
            what = f"服务器的回复不是 JSON，而是一个网页：{_plain(page)[:80]}"
            todo = f"检查 OPENAI_BASE_URL：是不是一个网页的地址，是不是少了结尾的 /v1。{RERUN}"
        case TypeError() | IndexError() if _is_empty_reply(error):
            what = "服务器的回复是空的：里面没有 choices，或者没有 data"
            todo = "把回复打印出来，看它说了什么；有的服务器没有这个接口，也这样答"
        case SandboxError():
            return "".join(error._render_traceback_())
        case NoCodeError():
            return f"{error}"
        case _:
            return None
    status = f"{error.status_code} " if isinstance(error, openai.APIStatusError) else ""
    said, retries = "", "0"
    if isinstance(error, openai.APIError):
        said = _said(error)
        retries = error.request.headers.get("x-stainless-retry-count", "0")
    again = f"，SDK 已经自动重试了 {retries} 次" if retries != "0" else ""
    said = f"服务器说：{said}\n" if said else ""
    return f"{what}。（{status}{type(error).__name__}{again}）\n{said}怎么办：{todo}。"


def _said(error: openai.APIError) -> str:
    """What the server said, in whichever of the forms that servers have, without the key."""
    said = error.body
    if isinstance(said, dict):
        said = said.get("message") or said.get("detail") or said
    if isinstance(said, list):
        said = "；".join(map(_complaint, said))
    said = _plain(f"{said or ''}")
    key = error.request.headers.get("authorization", "").removeprefix("Bearer ")
    if len(key) >= 8:  # else a word as in OPENAI_API_KEY=ollama, which is no secret
        said = said.replace(key, "***")
    said = KEY.sub("***", said)
    return said if len(said) <= 500 else f"{said[:500]}……"


def _complaint(entry: object) -> str:
    """One entry of FastAPI's list of what is wrong with a request."""
    match entry:
        case {"loc": [*place], "msg": message}:
            return f"{'.'.join(map(str, place))}: {message}"
    return f"{entry}"


def _plain(text: str) -> str:
    """The text of a web page; any other text as it is."""
    if not text.lstrip().startswith("<"):
        return text
    return " ".join(MARKUP.sub(" ", text).split())


def _is_empty_reply(error: Exception) -> bool:
    """Whether a reply's list was None, or empty, where it was used."""
    line = traceback.extract_tb(error.__traceback__)[-1].line or ""
    empty = f"{error}".startswith("'NoneType' object") or isinstance(error, IndexError)
    return empty and (".choices" in line or ".data" in line)


def _raised_in(error: Exception) -> set[str]:
    """The top-level packages whose code an exception came through."""
    packages, traceback = set(), error.__traceback__
    while traceback:
        packages.add(traceback.tb_frame.f_globals.get("__name__", "").partition(".")[0])
        traceback = traceback.tb_next
    return packages
