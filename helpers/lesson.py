"""The first cell of each chapter: settings, mode, where the replies come from."""

import os
import re
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import load_dotenv

ROOT = Path(__file__).resolve().parent.parent
RECORDINGS = ROOT / "notebooks" / "recordings"
MODES = ("replay", "live", "record")

# OpenAI() refuses to start without a key, and a replayed call needs none.
NO_KEY = "replay-needs-no-key"

# What a key can be: it is sent as part of a header.
SENDABLE = re.compile(r"[!-~]+")

_recordings_on = ExitStack()
_set_by_start: dict[str, str] = {}
_lessons: list["Lesson"] = []  # the current one


@dataclass(frozen=True)
class Lesson:
    """How a chapter runs: its mode, and the models that its calls name.

    In replay, `experiment_model` and `experiment_chat_model` are the small model that answers
    where the chapter's own models left no recording; else they are the ones in `.env`.
    """

    mode: str
    chat_model: str
    completion_model: str
    experiment_model: str
    experiment_chat_model: str
    cassettes: tuple = field(default=(), repr=False, compare=False)  # what replay answers from


def start(chapter: str) -> Lesson:
    """Begin a chapter: read `.env`, choose the mode, and from then on explain errors of the API.

    `chapter` is a notebook's name without its ending, such as "02_completions". Prints where
    replies come from: in the mode `replay` from recordings, in `live` from the server, in
    `record` from the server into the chapter's recordings. Can be called again, for the same
    chapter or another one, and then reads `.env` anew.

    Raises ValueError for an unknown chapter or mode and for settings that are missing or can't
    be right, RecordingError for a cassette that can't be read.
    """
    # VCR is slow to import, and `import helpers` shouldn't be.
    from .explain import explain_errors
    from .recordings import OPENAI_URL, load_cassette, recording, replaying, sources

    key = _load_settings()
    mode = _mode()
    chapters = sorted(file.stem for file in RECORDINGS.parent.glob("[0-9][0-9]_*.ipynb"))
    if chapter not in chapters:
        raise ValueError(f"没有名为 {chapter!r} 的章节，可用的是：{'、'.join(chapters)}。")
    file = RECORDINGS / f"{chapter}.yaml"
    cassettes = ()
    if mode == "replay":
        cassettes = [load_cassette(file), load_cassette(RECORDINGS / "experiments.yaml")]
        own, experiments = (cassette.metadata["models"] for cassette in cassettes)
        models = experiments | own  # a chapter recorded anew names all of them itself
        replies = replaying(*cassettes)
        said = "、".join(f"{cassette.path.name}（{sources(cassette)}）" for cassette in cassettes)
        said = f"回放模式：回复来自 {said}。不联网，不需要密钥，不花钱。"
    else:
        models = _models_to_call(key)
        said = (
            f"实时模式：{_server(OPENAI_URL)}。聊天用 {models['chat_model']}，"
            f"补全用 {models['completion_model']}。下文讲的是录制的回复，你得到的会不一样。"
        )
        replies = nullcontext()
        if mode == "record":
            if file.exists():
                load_cassette(file)  # where it is broken, the earlier mode stays on
            replies = recording(file, models=models)
            said = f"录制模式：回复同时存进 {file.name}，代替同一请求的旧回复。{said}"

    _recordings_on.close()
    _recordings_on.enter_context(replies)
    explain_errors()
    print(said)
    _lessons[:] = [Lesson(mode, **models, cassettes=tuple(cassettes))]
    return _lessons[0]


def current_lesson() -> Lesson:
    """What the last start() returned. Raises RuntimeError where there was none."""
    if not _lessons:
        raise RuntimeError("请先运行这一章的第一个单元格：start() 决定回复从哪里来。")
    return _lessons[0]


def _load_settings() -> str:
    """Put `.env` into the environment, where the SDK looks; a variable already set wins.

    What an earlier call put there is taken out first, so that an edited `.env` counts. Returns
    the key; where that is none, the environment has a placeholder in its place.
    """
    for name, value in _set_by_start.items():
        if os.environ.get(name) == value:
            del os.environ[name]
    before = dict(os.environ)
    try:
        load_dotenv(ROOT / ".env", encoding="utf-8-sig")  # Windows' Notepad writes a BOM
    except UnicodeDecodeError as error:
        raise ValueError(f".env 不是 UTF-8 编码，请用 UTF-8 重新保存它（{error}）。") from None
    key = os.environ.get("OPENAI_API_KEY", "")
    if not SENDABLE.fullmatch(key):
        os.environ["OPENAI_API_KEY"] = NO_KEY
    _set_by_start.clear()
    _set_by_start.update((k, v) for k, v in os.environ.items() if before.get(k) != v)
    base_url = os.environ.get("OPENAI_BASE_URL", "").strip()
    if base_url and not _is_url(base_url):
        raise ValueError(  # without the address, which may hold a password
            "OPENAI_BASE_URL 要以 http:// 或 https:// 开头，后面是服务器的名字或 IP（和端口），"
            "例如 http://127.0.0.1:11434/v1。请在 .env 或环境变量里改正，再运行这个单元格。"
        )
    return key


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        _ = url.port  # which is read only now
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.hostname)


def _mode() -> str:
    mode = os.environ.get("LESSON_MODE", "").strip().lower() or "replay"
    if mode not in MODES:
        raise ValueError(
            f"没有叫 {mode!r} 的模式，只有：{'、'.join(MODES)}。请在 .env 或环境变量里改成 "
            "LESSON_MODE=replay（或删去它），再运行这个单元格。"
        )
    return mode


def _models_to_call(key: str) -> dict[str, str]:
    """The models that the settings name. Raises ValueError that lists all that is missing."""
    chat, completion = (
        os.environ.get(name, "").strip() for name in ("CHAT_MODEL", "COMPLETION_MODEL")
    )
    settings = {"OPENAI_API_KEY": key.strip(), "CHAT_MODEL": chat, "COMPLETION_MODEL": completion}
    missing = [name for name, value in settings.items() if value in ("", NO_KEY)]
    if missing:
        raise ValueError(
            f"要连接服务器，还缺这些设置：{'、'.join(missing)}。请写进 .env（每一项怎么填，见 "
            ".env.example），再运行这个单元格；不想连接，就改成 LESSON_MODE=replay。"
        )
    if not SENDABLE.fullmatch(key):
        raise ValueError(
            "OPENAI_API_KEY 里有密钥不会有的字符：中文、空格、换行或全角符号。请在 .env 或环境变量里"
            "换成真正的密钥，再运行这个单元格；不想连接，就改成 LESSON_MODE=replay。"
        )
    return {
        "chat_model": chat,
        "completion_model": completion,
        "experiment_model": completion,
        "experiment_chat_model": chat,
    }


def _server(default: str) -> str:
    """Which server gets the requests, and whether that costs money, for a learner."""
    url = urlsplit(os.environ.get("OPENAI_BASE_URL", "").strip() or default)
    host = url.hostname or ""
    try:
        here = ip_address(host).is_loopback
    except ValueError:  # a name
        here = host == "localhost" or host.endswith(".localhost")
    price = "它就在这台电脑上，调用不花钱" if here else "调用可能要花钱，记在你的密钥上"
    return f"请求发往 {url.netloc.rpartition('@')[2]}，{price}"
