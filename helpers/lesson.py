"""The first cell of each chapter: settings, mode, recordings on."""

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from dotenv import load_dotenv

ROOT = Path(__file__).resolve().parent.parent
RECORDINGS = ROOT / "notebooks" / "recordings"
MODES = ("replay", "live", "record")

# OpenAI() refuses to start without a key, and a replayed call needs none.
NO_KEY = "replay-needs-no-key"

_recordings_on = ExitStack()
_set_by_start: dict[str, str] = {}


@dataclass(frozen=True)
class Lesson:
    """How a chapter runs: its mode and the models that its calls name."""

    mode: str
    chat_model: str
    completion_model: str
    experiment_model: str


def start(chapter: str) -> Lesson:
    """Begin a chapter: read `.env`, choose the mode, answer the SDK's calls from recordings.

    `chapter` is a notebook's name without its ending, such as "02_completions". Prints one line
    that says which mode, which recordings and from when. Can be called again, for the same
    chapter or another one, and then reads `.env` anew.

    Raises ValueError for an unknown chapter or mode and for a setting that can't be right,
    RecordingError for a cassette that can't be read, NotImplementedError for the modes `live`
    and `record`.
    """
    # VCR is slow to import, and `import helpers` shouldn't be.
    from .recordings import ORIGINS, load_cassette, replaying

    _load_settings()
    mode = _mode()
    chapters = sorted(file.stem for file in RECORDINGS.parent.glob("[0-9][0-9]_*.ipynb"))
    if chapter not in chapters:
        raise ValueError(f"没有名为 {chapter!r} 的章节，可用的是：{'、'.join(chapters)}。")
    cassette = load_cassette(RECORDINGS / f"{chapter}.yaml")

    _recordings_on.close()
    _recordings_on.enter_context(replaying(cassette))
    print(
        f"回放模式：回复来自 {chapter}.yaml，{ORIGINS[cassette.metadata['origin']]}"
        f"（{cassette.metadata['date']}，共 {len(cassette)} 条）。不联网，不需要密钥，不花钱。"
    )
    return Lesson(mode, "gpt-3.5-turbo", "gpt-3.5-turbo-instruct", "smollm2-135m-instruct")


def _load_settings() -> None:
    """Put `.env` into the environment, where the SDK looks; a variable already set wins.

    What an earlier call put there is taken out first, so that an edited `.env` counts.
    """
    for name, value in _set_by_start.items():
        if os.environ.get(name) == value:
            del os.environ[name]
    before = dict(os.environ)
    try:
        load_dotenv(ROOT / ".env", encoding="utf-8-sig")  # Windows' Notepad writes a BOM
    except UnicodeDecodeError as error:
        raise ValueError(f".env 不是 UTF-8 编码，请用 UTF-8 重新保存它（{error}）。") from None
    key = os.environ.get("OPENAI_API_KEY")
    if not key or not key.isascii():  # a placeholder in words can't be sent as a header
        os.environ["OPENAI_API_KEY"] = NO_KEY
    _set_by_start.clear()
    _set_by_start.update((k, v) for k, v in os.environ.items() if before.get(k) != v)
    base_url = os.environ.get("OPENAI_BASE_URL", "").strip()
    if base_url and not base_url.lower().startswith(("http://", "https://")):
        raise ValueError(
            f"OPENAI_BASE_URL={base_url!r} 要以 http:// 或 https:// 开头，"
            "请在 .env 或环境变量里改正，再运行这个单元格。"
        )


def _mode() -> str:
    mode = os.environ.get("LESSON_MODE", "").strip().lower() or "replay"
    change = "请在 .env 或环境变量里改成 LESSON_MODE=replay（或删去它），再运行这个单元格。"
    if mode not in MODES:
        raise ValueError(f"没有叫 {mode!r} 的模式，只有：{'、'.join(MODES)}。{change}")
    if mode != "replay":
        raise NotImplementedError(f"这个版本还没有 {mode} 模式。{change}")
    return mode
