"""Find a model in the list that the API gives: search it, filter it, sort it, look at one."""

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote

import ipywidgets as widgets

from ..lesson import current_lesson
from .panel import Panel, show_text

# What the ids of a family look like. Where several patterns are found, the last one counts.
FAMILIES = {
    "聊天": r"^(ft:)?(chat)?gpt-",
    "推理": r"^(ft:)?o\d",
    "嵌入": r"embedding",
    "语音": r"audio|realtime|transcribe|\btts\b|whisper",
    "图像": r"dall-e|gpt-image",
    "审核": r"moderation",
    "补全": r"^(ft:)?((text-|code-)?(ada|babbage|curie|davinci)|gpt-3\.5-turbo-instruct)",
}
OTHER = "其他"
ALL = "全部"

ALIVE, DEPRECATED, GONE = STATES = ("在用", "已公布停用", "已停用")

COLUMNS = ("id", "shutdown", "created", "owned_by")
LONGEST = 48  # characters of a cell
LABEL = max(map(len, STATES))

WALK = "选一个模型，看它的详情。用键盘：↑、↓，Page Up、Page Down"

CODE = """\
from openai import OpenAI

client = OpenAI()

model = client.models.retrieve({id})
print(model)"""

STYLE = """<style>
.model-explorer .model-controls {flex-flow: row wrap;}
.model-explorer .model-controls > * {flex: 1 1 130px; width: auto;}
.model-explorer .model-controls .model-descending {flex: 0 0 70px;}
.model-explorer .model-table {overflow-x: auto;}
.model-explorer .model-list {width: auto; min-width: max-content;}
.model-explorer .course-head, .model-explorer .model-list select {
  font: 12px/1.5 monospace; white-space: pre;}
.model-explorer .course-head {padding-left: 3px; font-weight: bold;}
.model-explorer .model-chosen {flex-flow: row wrap; gap: 12px; overflow: visible;}
.model-explorer .model-chosen > * {flex: 1 1 300px; min-width: 0; width: auto;}
</style>"""


@dataclass(frozen=True, eq=False)
class Row:
    """A model as the list shows it; what nobody said of it is None."""

    model: Any
    id: str
    created: date | None
    owned_by: str | None
    shutdown: date | None
    family: str


def model_explorer(
    models: Any,
    shutdown_dates: Mapping[str, date] | None = None,
    today: date | None = None,
) -> Panel:
    """A list of models to search, filter and sort, and the chosen one as the API gives it.

    `models` is what `client.models.list()` returned, or a list of its models. `shutdown_dates`
    gives, by id, the dates that a reply doesn't say; `today` decides which are past.
    """
    rows = rows_of(models, shutdown_dates or {})
    as_of = today or date.today()
    widths = _widths(rows)

    # ipywidgets shows a tooltip only where there is no description.
    search = widgets.Text(
        placeholder="搜索 id，如 4o mini",
        tooltip="搜索：id 里要有的字，边打边找；几个词用空格隔开，每个都要有",
    )
    family = widgets.Dropdown(
        options=[("类别：全部", ALL), *((name, name) for name in _families(rows))],
        tooltip="类别：只看这一类模型，是按 id 的写法分的",
    )
    state = widgets.Dropdown(
        options=[("状态：全部", ALL), *zip(STATES, STATES, strict=True)],
        tooltip=f"状态：只看 {as_of} 处于这个状态的模型",
    )
    column = widgets.Dropdown(
        options=[(f"按 {name} 排序", name) for name in COLUMNS], tooltip="排序：按哪一列"
    )
    descending = widgets.ToggleButton(
        description="倒序", tooltip="倒序：从大到小、从晚到早；没有值的总在最后"
    )
    count = widgets.HTML()
    head = widgets.HTML(STYLE + show_text(_line(COLUMNS, ["状态"], widths), "head"))
    listing = widgets.Select(rows=10, tooltip=WALK)
    reply = widgets.HTML()
    code = widgets.HTML()

    def show_rows(_: object = None) -> None:
        wanted = [
            row
            for row in rows
            if matches(row.id, search.value)
            and family.value in (ALL, row.family)
            and state.value in (ALL, state_of(row, as_of))
        ]
        ordered = in_order(wanted, column.value, descending.value)
        count.value = show_text(
            f"{len(ordered)} / {len(rows)} 个模型。状态按 {as_of} 算；没有停用日期的算“{ALIVE}”。",
            "hint",
        )
        chosen = listing.value
        lines = [_line(_cells(row), [state_of(row, as_of)], widths) for row in ordered]
        listing.options = [*zip(lines, ordered, strict=True)]
        listing.value = chosen if chosen in ordered else next(iter(ordered), None)
        show_chosen()

    def show_chosen(_: object = None) -> None:
        if listing.value is None:
            reply.value, code.value = show_text("没有符合条件的模型。", "hint"), ""
            return
        row = listing.value
        reply.value = show_text("服务器给的对象", "hint") + show_text(_json(row.model), "code")
        code.value = (
            show_text("取这一个模型的代码，可以复制去运行", "hint")
            + show_text(code_for(row.id), "code")
            + show_text(_note(row.id), "hint")
        )

    controls = [search, family, state, column, descending]
    for control in controls:
        control.observe(show_rows, "value")
    listing.observe(show_chosen, "value")
    show_rows()

    above, below = widgets.HBox(controls), widgets.HBox([reply, code])
    table = widgets.VBox([head, listing])
    parts = {
        "controls": above,
        "search": search,
        "family": family,
        "state": state,
        "sort": column,
        "descending": descending,
        "count": count,
        "list": listing,
        "table": table,
        "object": reply,
        "code": code,
        "chosen": below,
    }
    for name, part in parts.items():
        part.add_class(f"model-{name}")
    return Panel("model-explorer", [above, count, table, below], lambda: _table(rows, today))


def rows_of(models: Any, shutdown_dates: Mapping[str, date]) -> list[Row]:
    """The models, in the order in which the reply has them."""
    return [
        Row(
            model=model,
            id=f"{model.id}",
            created=_day(model.created),
            owned_by=model.owned_by and f"{model.owned_by}",
            shutdown=_announced(model) or shutdown_dates.get(model.id),
            family=family_of(f"{model.id}"),
        )
        for model in getattr(models, "data", models) or ()
    ]


def family_of(model_id: str) -> str:
    """What a model is for, as far as its id tells."""
    found = [family for family, pattern in FAMILIES.items() if re.search(pattern, model_id)]
    return found[-1] if found else OTHER


def state_of(row: Row, today: date) -> str:
    """One of STATES."""
    if row.shutdown is None:
        return ALIVE
    return GONE if row.shutdown <= today else DEPRECATED


def matches(model_id: str, search: str) -> bool:
    """Whether all the words are in the id, whatever their case."""
    return all(word in model_id.casefold() for word in search.casefold().split())


def in_order(rows: Iterable[Row], column: str, descending: bool = False) -> list[Row]:
    """The rows sorted by a column, those without a value last."""
    rows = list(rows)
    known = [row for row in rows if getattr(row, column) is not None]
    known.sort(key=lambda row: getattr(row, column), reverse=descending)
    return known + [row for row in rows if getattr(row, column) is None]


def code_for(model_id: str) -> str:
    """A program that retrieves the model."""
    return CODE.format(id=json.dumps(model_id, ensure_ascii=False))


def _note(model_id: str) -> str:
    """What to expect of the code where the lesson replays and has no reply for it."""
    with suppress(RuntimeError):  # no lesson has started
        lesson = current_lesson()
        path = f"/models/{quote(model_id, safe='')}"
        requests = [request for cassette in lesson.cassettes for request in cassette.requests]
        if lesson.mode == "replay" and ("GET", path) not in [(r.method, r.path) for r in requests]:
            return "取这一个模型的回复没有录制：回放时运行会得到 404（recording_not_found）。"
    return ""


def _day(created: object) -> date | None:
    """The UTC date of a timestamp; None for what is none."""
    try:
        return datetime.fromtimestamp(created, UTC).date()
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _announced(model: Any) -> date | None:
    """The shutdown date that the reply itself gives."""
    try:
        return date.fromisoformat(model.shutdown_date)
    except (TypeError, ValueError):
        return None


def _json(model: Any) -> str:
    """The model as the reply had it: without the fields that the SDK added."""
    fields = model.model_dump(exclude_unset=True, warnings=False)
    return json.dumps(fields, ensure_ascii=False, indent=2, default=str)


def _families(rows: list[Row]) -> list[str]:
    return [*FAMILIES, *{OTHER for row in rows if row.family == OTHER}]


def _cells(row: Row) -> tuple[str, ...]:
    texts = ["—" if (value := getattr(row, name)) is None else f"{value}" for name in COLUMNS]
    return tuple(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…" for text in texts)


def _widths(rows: list[Row]) -> list[int]:
    """How many characters each column needs."""
    return [max(map(len, column)) for column in zip(COLUMNS, *map(_cells, rows), strict=True)]


def _line(cells: Iterable[str], labels: Iterable[str], widths: list[int]) -> str:
    """Cells side by side, the Chinese labels after the first, in a form that HTML doesn't squeeze.

    Chinese characters have another width than Latin ones, so each kind is filled up with its own
    space.
    """
    first, *others = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    filled = [label.ljust(LABEL, "\u3000") for label in labels]
    return "  ".join([first, *filled, *others]).rstrip().replace(" ", "\xa0")


def _table(rows: list[Row], today: date | None) -> str:
    """All models as text; their state only where a date is given, so that the text stays."""
    widths = _widths(rows)
    title = f"{len(rows)} 个模型" + (f"，状态按 {today} 算" if today else "")
    lines = [title, _line(COLUMNS, ["类别", "状态"] if today else ["类别"], widths)]
    for row in in_order(rows, "id"):
        labels = [row.family, state_of(row, today)] if today else [row.family]
        lines.append(_line(_cells(row), labels, widths))
    return "\n".join(lines).replace("\xa0", " ")
