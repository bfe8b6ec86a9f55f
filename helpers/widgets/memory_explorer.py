"""A conversation of which you choose what is sent: the model remembers nothing else."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import ipywidgets as widgets
import openai

from ..cassette_file import RecordingError
from ..failures import explanation
from ..lesson import RECORDINGS, current_lesson
from ..recordings import load_cassette
from .panel import Panel, show_error, show_text
from .recorded import recorded

PATH = "/chat/completions"

ROLES = {"system": "设定", "developer": "设定", "user": "用户", "assistant": "模型"}

STYLE = """<style>
.memory-explorer .memory-columns {flex-flow: row wrap; gap: 12px; overflow: visible;}
.memory-explorer .memory-columns > * {flex: 1 1 320px; min-width: 0; width: auto;}
.memory-explorer .memory-controls {flex-flow: row wrap;}
.memory-explorer .memory-draft {flex: 1 1 260px; width: auto;}
.memory-explorer .memory-row {overflow: visible; align-items: flex-start;}
.memory-explorer .memory-tick {flex: 0 0 20px; width: 20px; margin-top: 4px;}
.memory-explorer .memory-reply {margin-left: 28px;}
.memory-explorer .memory-row > .widget-html {flex: 1 1 0; min-width: 0;}
.memory-bubble {border-left: 4px solid #8b95a1; border-radius: 6px; background: #f1f3f5;
  color: #1f2328; padding: 4px 10px; margin: 2px 0; line-height: 1.5;}
.memory-bubble.memory-system, .memory-bubble.memory-developer {border-color: #8250df;
  background: #f5effc;}
.memory-bubble.memory-user {border-color: #2f7ed8; background: #eaf3fd;}
.memory-bubble.memory-assistant {border-color: #2e9e5b; background: #eaf7ef;}
.memory-bubble.memory-off {opacity: .5; border-left-style: dashed;}
.memory-bubble .course-hint {color: #57606a;}
.memory-role {font-weight: bold; font-size: 90%;}
.memory-bar {display: flex; gap: 8px; align-items: center; line-height: 1.6;}
.memory-bar > :first-child {flex: 0 0 9em;}
.memory-bar > :nth-child(2) {flex: 1 1 0;}
.memory-bar div > div {height: 12px; border-radius: 3px; background: #9cc3ee;}
.memory-bar.memory-now div > div {background: #2f7ed8;}
.memory-bar > :last-child {flex: 0 0 3em; text-align: right;}
</style>"""


@dataclass(frozen=True)
class Answered:
    """Messages that were sent, the reply's text, and how many tokens `usage` says were sent."""

    messages: list[dict[str, Any]]
    reply: str
    prompt_tokens: int | None
    source: str


def memory_explorer() -> Panel:
    """The conversation of chapter 3: choose what is sent of it, and see what the model answers.

    In replay, the recorded choices have a reply; else any has one, and you can go on talking.
    """
    return _MemoryExplorer()


class _MemoryExplorer(Panel):
    def __init__(self) -> None:
        self._lesson = current_lesson()
        self._live = self._lesson.mode != "replay"
        chats = [] if self._live else recorded_chats(self._lesson.chat_model)
        histories = chapter_histories() if self._live else [chat.messages for chat in chats]
        self._messages = conversation(histories)
        # What can be answered in replay; live, what has been answered.
        self._known = [chat for chat in chats if is_part(chat.messages, self._messages)]
        self._answer: Answered | None = None
        self._failure = ""

        self._ticks: list[widgets.Checkbox] = []
        self._bubbles: list[widgets.HTML] = []
        self._rows = widgets.VBox().add_class("memory-rows")
        self._reply = widgets.HTML().add_class("memory-reply")
        self._json = widgets.HTML().add_class("memory-messages")
        self._chart = widgets.HTML().add_class("memory-chart")
        self._hint = widgets.HTML().add_class("memory-hint")
        self._error = widgets.HTML().add_class("memory-error")
        self._whole = _button("带上历史", "勾选全部消息", "memory-whole", self._tick_all)
        self._last = _button("不带历史", "只勾选最后一条消息", "memory-last", self._tick_last)
        self._ask = _button("发送", "把 messages 发给模型", "memory-send", self._send_messages)
        self._ask.button_style = "primary"
        self._halt = _button("停止", "不再等这次回复", "memory-stop", lambda _: self.stop())
        self._draft = widgets.Text(
            placeholder="接着说一句（可以不填）",
            tooltip="你的下一句话：连同上面的回复一起接到对话后面，再发送",
        ).add_class("memory-draft")
        self._draft.observe(self._show, "value")

        self._draft.layout.display = "flex" if self._live else "none"

        controls = [self._whole, self._last, self._draft, self._ask, self._halt]
        title = show_text("对话：勾上的才发送", "hint")
        left = widgets.VBox([widgets.HTML(STYLE + title), self._rows, self._reply])
        title = show_text("要发送的 messages", "hint")
        right = widgets.VBox([widgets.HTML(title), self._json, self._chart])
        children = [
            widgets.HBox([left, right]).add_class("memory-columns"),
            widgets.HBox(controls).add_class("memory-controls"),
            self._hint,
            self._error,
        ]
        text = static_text([*self._messages], [*self._known])
        super().__init__("memory-explorer", children, lambda: text)
        self._show()

    def _to_send(self) -> list[dict[str, Any]]:
        """The messages that are ticked; where there is a draft, the reply and it after them."""
        pairs = zip(self._messages, self._ticks, strict=True)
        return [message for message, tick in pairs if tick.value] + self._new()

    def _new(self) -> list[dict[str, Any]]:
        """What a draft adds to the conversation: the reply that it answers, and itself."""
        if not self._draft.value.strip():
            return []
        reply = [{"role": "assistant", "content": self._answer.reply}] if self._answer else []
        return [*reply, {"role": "user", "content": self._draft.value}]

    def _can_ask(self, messages: list[dict[str, Any]]) -> bool:
        if self._task or not messages:
            return False
        return self._live or any(chat.messages == messages for chat in self._known)

    def _send_messages(self, _: object) -> None:
        messages = self._to_send()
        if not self._can_ask(messages):
            return  # a click that came late
        new = self._new()
        self._answer, self._failure = None, ""
        if current_lesson() is not self._lesson:
            # Else a widget that says it replays could spend money.
            self._failure = "start() 又运行过。请重新运行这个单元格，再按“发送”。"
            self._show()
            return
        self._messages += new
        self._draft.value = ""
        self.start(ask(self._lesson.chat_model, messages))
        self._task.add_done_callback(self._finish)
        self._show()

    def _finish(self, task: asyncio.Task) -> None:
        self._task = None
        if task.cancelled():
            self._failure = "已停止，没有等到回复。"
        elif error := task.exception():
            self._failure = explanation(error) or f"{type(error).__name__}: {error}"
        else:
            self._answer = answer = task.result()
            if self._live:
                self._known.append(answer)
            else:
                [same] = [chat for chat in self._known if chat.messages == answer.messages]
                self._answer = replace(answer, source=same.source)
        self._show()

    def _tick_all(self, _: object) -> None:
        for tick in self._ticks:
            tick.value = True

    def _tick_last(self, _: object) -> None:
        for tick in self._ticks:
            tick.value = tick is self._ticks[-1]

    def _add_row(self) -> None:
        """A row for the next message."""
        number = len(self._ticks) + 1
        # ipywidgets shows a tooltip only where there is no description.
        tick = widgets.Checkbox(value=True, indent=False, tooltip=f"发送第 {number} 条消息")
        tick.add_class("memory-tick")
        tick.observe(self._show, "value")
        self._ticks.append(tick)
        self._bubbles.append(widgets.HTML())
        row = widgets.HBox([tick, self._bubbles[-1]]).add_class("memory-row")
        self._rows.children += (row,)

    def _show(self, _: object = None) -> None:
        """Bring all that is seen up to date."""
        while len(self._ticks) < len(self._messages):
            self._add_row()
        running = self._task is not None
        rows = zip(self._messages, self._ticks, self._bubbles, strict=True)
        for number, (message, tick, bubble) in enumerate(rows, 1):
            bubble.value = _bubble(message, sent=tick.value, number=f"{number}. ")
            tick.disabled = running
        messages = self._to_send()
        self._json.value = show_text(json.dumps(messages, ensure_ascii=False, indent=2), "code")
        self._reply.value = _reply_bubble(self._answer) if self._answer else ""
        self._whole.disabled = not self._can_ask(self._messages)
        self._last.disabled = not self._can_ask(self._messages[-1:])
        self._draft.disabled = running
        self._ask.disabled = not self._can_ask(messages)
        self._ask.description = "等待回复…" if running else "发送"
        self._halt.disabled = not running
        self._hint.value = show_text(self._what_to_know(messages), "hint")
        line, _, detail = self._failure.partition("\n")
        self._error.value = show_error(line, detail)
        self._chart.value = _chart(self._bars(), messages, self._live)

    def _what_to_know(self, messages: list[dict[str, Any]]) -> str:
        """One line on what 发送 does now."""
        if self._live:
            return "实时：每按一次“发送”，就是一次真实的调用。"
        if not self._messages:
            return (
                '这一章没有录下这样的对话。它在第 3 章：先运行 start("03_chat")，再运行这个单元格。'
            )
        if messages and not any(chat.messages == messages for chat in self._known):
            return "这个组合没有录制过，回放时没有回复。按“带上历史”或“不带历史”，就是录制过的。"
        if not messages:
            return "一条也没有勾选，没有东西可以发送。"
        return "回放：这个组合录制过，按“发送”得到当时的回复。"

    def _bars(self) -> list[tuple[str, Answered]]:
        """What the chart shows, each with its label: the turns first, then other choices."""
        if self._live:
            return [(f"第 {number} 次", chat) for number, chat in enumerate(self._known, 1)]
        turns, others = [], []
        for chat in sorted(self._known, key=lambda chat: len(chat.messages)):
            if chat.messages == self._messages[: len(chat.messages)]:
                turns.append((f"第 {len(turns) + 1} 轮", chat))
            else:
                others.append(("带一部分" if len(chat.messages) > 1 else "不带历史", chat))
        return turns + others


async def ask(model: str, messages: list[dict[str, Any]]) -> Answered:
    """Send the messages."""
    async with openai.AsyncOpenAI() as client:
        reply = await client.chat.completions.create(model=model, messages=messages)
    message = reply.choices[0].message
    text = f"{message.content or message.refusal or ''}"
    tokens = getattr(reply.usage, "prompt_tokens", None)
    return Answered(messages, text, tokens if isinstance(tokens, int) else None, f"{reply.model}")


def recorded_chats(model: str) -> list[Answered]:
    """What the lesson has recorded of a model that was asked with nothing but messages."""
    chats = []
    for exchange in recorded(PATH):
        if exchange.request.keys() != {"model", "messages"} or exchange.request["model"] != model:
            continue
        with suppress(ValueError):  # no JSON
            match json.loads(exchange.reply):
                case {"choices": [{"message": {"content": str(text)}}, *_], **rest}:
                    tokens = (rest.get("usage") or {}).get("prompt_tokens")
                    messages = exchange.request["messages"]
                    chats.append(Answered(messages, text, tokens, exchange.source))
    return chats


def chapter_histories() -> list[list[dict[str, Any]]]:
    """The messages that chapter 3 sends, from its cassette; none where it has no such file."""
    try:
        requests = load_cassette(RECORDINGS / "03_chat.yaml").requests
    except RecordingError:
        return []
    bodies = [json.loads(request.body) for request in requests if request.path == PATH]
    return [body["messages"] for body in bodies if body.keys() == {"model", "messages"}]


def conversation(histories: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The longest history that another one is a part of; empty where there is none."""
    whole = [h for h in histories if any(part != h and is_part(part, h) for part in histories)]
    return [*max(whole, key=len, default=[])]


def is_part(part: list, whole: list) -> bool:
    """Whether leaving items out of `whole` gives `part`."""
    rest = iter(whole)
    return all(item in rest for item in part)


def characters(messages: list[dict[str, Any]]) -> int:
    """How long the messages' contents are."""
    return sum(len(_content(message)) for message in messages)


def static_text(messages: list[dict[str, Any]], chats: list[Answered]) -> str:
    """The conversation, and what was answered to which part of it."""
    lines = [
        f"{number}. {_label(message)}：{_content(message)}"
        for number, message in enumerate(messages, 1)
    ]
    for chat in sorted(chats, key=lambda chat: len(chat.messages)):
        numbers = "、".join(f"{n}" for n, m in enumerate(messages, 1) if m in chat.messages)
        lines += ["", f"只发第 {numbers} 条，回复（{chat.source}）：", chat.reply]
    return "\n".join(lines)


def _button(name: str, tooltip: str, css_class: str, callback: Callable) -> widgets.Button:
    button = widgets.Button(description=name, tooltip=tooltip, layout={"width": "auto"})
    button.on_click(callback)
    return button.add_class(css_class)


def _content(message: dict[str, Any]) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def _label(message: dict[str, Any]) -> str:
    role = f"{message.get('role')}"
    return f"{role}（{ROLES[role]}）" if role in ROLES else role


def _bubble(message: dict[str, Any], sent: bool = True, number: str = "", note: str = "") -> str:
    role = escape(f"{message.get('role')}")
    return (
        f'<div class="memory-bubble memory-{role}{"" if sent else " memory-off"}">'
        f'<span class="memory-role">{number}{escape(_label(message))}</span> '
        f'<span class="course-hint">{escape(note if sent else "不发送")}</span>'
        f"{show_text(_content(message))}</div>"
    )


def _reply_bubble(answer: Answered) -> str:
    where = f"，{answer.source}" if answer.source else ""
    note = f"对 {len(answer.messages)} 条消息的回复{where}"
    return _bubble({"role": "assistant", "content": answer.reply or "（没有文字）"}, note=note)


def _chart(bars: list[tuple[str, Answered]], messages: list[dict[str, Any]], live: bool) -> str:
    """How much was sent each time, as bars; the one of these `messages` stands out."""
    chats = [chat for _, chat in bars]
    if not chats:
        return show_text(
            "发出多少：得到回复以后，才知道它的 prompt_tokens。" if live else "", "hint"
        )
    if all(chat.prompt_tokens is not None for chat in chats):
        sizes, unit = [chat.prompt_tokens for chat in chats], "token 数，回复里的 prompt_tokens"
    else:
        why = "有的回复没有 token 数" if live else "token 数当时没有记录"
        sizes, unit = [characters(chat.messages) for chat in chats], f"字符数；{why}"
    rows = [show_text(f"发出多少（{unit}）。每一轮都要带上前面的话。", "hint")]
    for (label, chat), size in zip(bars, sizes, strict=True):
        now = " memory-now" if chat.messages == messages else ""
        rows.append(
            f'<div class="memory-bar{now}"><span>{escape(label)}（{len(chat.messages)} 条）</span>'
            f'<div><div style="width: {100 * size / max(1, *sizes):.0f}%"></div></div>'
            f"<span>{size}</span></div>"
        )
    return "".join(rows)
