"""The playground of both endpoints: choose a request, run it, see reply and code, compare runs."""

import asyncio
import json
import ssl
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter
from pprint import pformat
from textwrap import indent
from time import perf_counter
from typing import Any

import httpx2
import ipywidgets as widgets
import openai

from ..failures import explanation
from ..lesson import current_lesson
from .controls import free_controls, recorded_controls
from .panel import Panel, label, show_error, show_text
from .recorded import Recorded, recorded

KEPT_RUNS = 10
PARAMETERS = ("max_tokens", "temperature", "top_p", "n", "stop", "seed", "stream")


@dataclass(frozen=True)
class Endpoint:
    """One of the API's endpoints, as a playground needs to know it.

    `texts` are the names and first values of what is typed; `to_texts` reads them from a
    request (None for a request that isn't for this playground), `from_texts` makes of them what
    is sent. `text` and `piece` say where a choice has its text, whole or in a stream.
    """

    path: str
    method: str
    texts: dict[str, str]
    to_texts: Callable[[dict[str, Any]], dict[str, Any] | None]
    from_texts: Callable[[dict[str, Any]], dict[str, Any]]
    text: str
    piece: str


@dataclass
class Run:
    """One call: what was sent, and what came back."""

    number: int
    request: dict[str, Any]
    source: str = ""
    texts: dict[int, str] = field(default_factory=dict)
    finish_reasons: dict[int, str] = field(default_factory=dict)
    model: str = ""
    usage: Any = None
    ms: float = 0
    stopped: bool = False
    error: Exception | None = None


def playground(endpoint: Endpoint) -> Panel:
    """A playground on the current lesson's recordings, or on its server."""
    lesson = current_lesson()
    live = lesson.mode != "replay"
    offered = {} if live else _offered(endpoint)
    runs: deque[Run] = deque(maxlen=KEPT_RUNS)

    source, output, code = widgets.HTML(), widgets.HTML(), widgets.HTML()
    run = widgets.Button(description="运行", tooltip="发送这个请求", button_style="primary")
    stop = widgets.Button(description="停止", tooltip="不再等这个回复", disabled=True)
    half = {"flex": "1 1 0", "min_width": "0", "width": "auto"}
    sides = [widgets.Dropdown(layout=half, style={"description_width": "2em"}) for _ in "左右"]
    columns = [widgets.HTML(layout=half) for _ in sides]

    def show_request() -> None:
        code.value = show_text(code_of(endpoint, _request(endpoint, chosen())), "code")
        where = (
            "实时：每次运行，都向服务器发送一个请求。" if live else f"回放：{_recording().source}。"
        )
        source.value = show_text(where, "hint")

    def _recording() -> Recorded:
        return offered[json.dumps(chosen())]

    async def call() -> None:
        if current_lesson() is not lesson:  # else what says that it replays could spend money
            output.value = show_error("start() 又运行过了，请重新运行这个单元格。", "")
            run.disabled = False
            return
        this = Run(runs[0].number + 1 if runs else 1, _request(endpoint, chosen()))
        this.source = "" if live else _recording().source
        run.description, stop.disabled = "运行中……", False
        await ask(endpoint, this, lambda: setattr(output, "value", show_run(this)))
        run.description, run.disabled, stop.disabled = "运行", False, True
        runs.appendleft(this)
        for side, newest in zip(sides, (1, 0), strict=True):
            side.options = [(_name(one), one) for one in runs]
            side.value = runs[min(newest, len(runs) - 1)]

    def click(_: widgets.Button) -> None:
        if not run.disabled:  # a second click may come before the first has had its effect
            run.disabled = True
            panel.start(call())

    if live:
        controls, chosen = free_controls(endpoint.texts, show_request)
    else:
        choices = [json.loads(choice) for choice in offered]
        controls, chosen = recorded_controls(choices, show_request)
    show_request()
    for name, side, column in zip("左右", sides, columns, strict=True):
        label(side, name, f"放在{name}边比较的那一次")
        side.observe(lambda change, c=column: setattr(c, "value", show_run(change.new)), "value")
    compare = widgets.VBox(
        [widgets.HBox(pair, layout={"grid_gap": "16px"}) for pair in (sides, columns)]
    )
    compared = widgets.Accordion([compare], titles=[f"比较（最近 {KEPT_RUNS} 次运行）"])
    parts = {"source": source, "run": run, "stop": stop, "output": output, "code": code}
    for name, part in (parts | {"compare": compared, "left": sides[0], "right": sides[1]}).items():
        part.add_class(f"playground-{name}")

    panel = Panel(
        "course-playground",
        [*controls, source, widgets.HBox([run, stop]), output, code, compared],
        lambda: _static(endpoint, _request(endpoint, chosen()), live or _recording()),
    )
    run.on_click(click)
    stop.on_click(lambda button: panel.stop())
    return panel


async def ask(endpoint: Endpoint, run: Run, show: Callable[[], None]) -> None:
    """Make the call, and note in `run` what comes back; `show` is called after each piece."""
    started = perf_counter()
    try:
        http = openai.DefaultAsyncHttpxClient(verify=_certificates())
        async with openai.AsyncOpenAI(http_client=http) as client:
            reply = await attrgetter(endpoint.method)(client)(**run.request)
            if not run.request.get("stream"):
                _note(run, reply, endpoint.text)
            else:
                async for chunk in reply:
                    _note(run, chunk, endpoint.piece)
                    show()
    except asyncio.CancelledError:
        run.stopped = True
    # Whatever it is: a widget has no other place to show it.
    except Exception as error:  # noqa: BLE001
        run.error = error
    run.ms = (perf_counter() - started) * 1000
    show()


def code_of(endpoint: Endpoint, request: dict[str, Any]) -> str:
    """Python code that makes the request, and prints the reply."""
    arguments = "".join(
        indent(f"{name}={pformat(value, width=72, sort_dicts=False)},\n", "    ")
        for name, value in request.items()
    )
    if request.get("stream"):
        show = (
            "for chunk in reply:\n    for choice in chunk.choices:\n"
            f'        print(choice.{endpoint.piece} or "", end="")'
        )
    else:
        show = f"for choice in reply.choices:\n    print(choice.{endpoint.text})"
    return (
        "from openai import OpenAI\n\nclient = OpenAI()\n\n"
        f"reply = client.{endpoint.method}(\n{arguments})\n{show}"
    )


def show_run(run: Run) -> str:
    """HTML of a run: what came back as plain text, how it ended, what it took."""
    shown = ""
    if run.error:
        lines = (explanation(run.error) or _plainly(run.error)).split("\n")
        [line, *_] = [line for line in lines if line.startswith("服务器说：")] or lines
        shown = show_error(line, "\n".join(other for other in lines if other != line))
    for index, text in sorted(run.texts.items()):
        reason = run.finish_reasons.get(index) or "没有给出"
        label = f"第 {index + 1} 份，" if len(run.texts) > 1 else ""
        shown += show_text(text) + show_text(f"{label}finish_reason：{reason}", "hint")
    usage = "没有给出"
    if run.usage:
        usage = f"{run.usage.prompt_tokens} + {run.usage.completion_tokens} token"
    facts = [f"usage：{usage}", f"用时 {run.ms:.0f} ms", run.model, run.source]
    if run.stopped:
        facts.insert(0, "已停止")
    return shown + show_text("　".join(filter(None, facts)), "hint")


@cache
def _certificates() -> ssl.SSLContext:
    """Read once: that takes longer than all the rest of a replayed call."""
    return httpx2.create_ssl_context()


def _note(run: Run, reply: Any, place: str) -> None:
    """Add a reply, or a piece of one, to a run."""
    run.model = reply.model or run.model
    run.usage = getattr(reply, "usage", None) or run.usage
    for choice in reply.choices:
        index = choice.index or 0
        run.texts[index] = run.texts.get(index, "") + (attrgetter(place)(choice) or "")
        run.finish_reasons[index] = choice.finish_reason or run.finish_reasons.get(index)


def _offered(endpoint: Endpoint) -> dict[str, Recorded]:
    """The recordings for this playground, by the choice (as JSON) that leads to each.

    The model with the most of them comes first. A refused key is none: it isn't a parameter.
    """
    found = {}
    for exchange in recorded(endpoint.path):
        texts = endpoint.to_texts(exchange.request)
        if texts is not None and exchange.status != 401:
            given = {name: exchange.request.get(name) for name in PARAMETERS}
            known = {*PARAMETERS, *endpoint.from_texts(texts)}
            rest = {k: v for k, v in exchange.request.items() if k not in known}
            found[json.dumps(texts | given | {"其他": rest})] = exchange
    models = Counter(exchange.request["model"] for exchange in found.values())
    return dict(sorted(found.items(), key=lambda item: -models[item[1].request["model"]]))


def _request(endpoint: Endpoint, chosen: dict[str, Any]) -> dict[str, Any]:
    """What is sent for what the controls say."""
    texts = {name: chosen[name] for name in endpoint.texts}
    given = {name: chosen[name] for name in PARAMETERS if chosen.get(name) is not None}
    return endpoint.from_texts(texts) | given | chosen.get("其他", {})


def _name(run: Run) -> str:
    given = (f"{name}={run.request[name]}" for name in PARAMETERS if name in run.request)
    return f"第 {run.number} 次　{'，'.join(given)}"


def _plainly(error: Exception) -> str:
    return f"没有成功：{type(error).__name__}\n{error}"


def _static(endpoint: Endpoint, request: dict[str, Any], exchange: Any) -> str:
    """The playground as text, where no kernel runs: one request, and its recorded reply."""
    text = f"运行这个单元格，就能在这里换参数。例如：\n\n{code_of(endpoint, request)}"
    if isinstance(exchange, Recorded) and exchange.status == 200 and not request.get("stream"):
        [choice, *_] = json.loads(exchange.reply)["choices"]
        for key in endpoint.text.split("."):
            choice = choice[key]
        text += f"\n\n回复（{exchange.source}）：\n{choice}"
    return text
