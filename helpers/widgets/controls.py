"""A playground's controls: offline they offer what is recorded and nothing else, live they are free."""

import json
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from .panel import label

# What each parameter does, and its range: the tooltips.
TIPS = {
    "model": "哪个模型来答",
    "prompt": "要接下去的文字",
    "system": "system 消息：定规矩、给背景；可以不写",
    "user": "user 消息：你的问题或要求",
    "max_tokens": "最多写多少个 token，至少 1；到了就截断",
    "temperature": "随机的程度，0 到 2：越低越稳定，越高越随机",
    "top_p": "只在概率最大、合计达到 top_p 的候选里抽取，0 到 1",
    "n": "一次要几份结果，至少 1；有的服务器不理会它",
    "stop": "遇到这些文字就停，最多 4 个，一行一个；换行写成 \\n",
    "stream": "边写边收：True 时，写一点收一点",
    "seed": "同样的 seed 和参数，尽量给同样的结果",
    "其他": "录制时还带着的别的参数",
}
NOT_GIVEN = "（不给）"
LAYOUT = {"layout": {"width": "auto"}, "style": {"description_width": "110px"}}


def recorded_controls(
    requests: list[dict[str, Any]], changed: Callable[[], None]
) -> tuple[list[widgets.Widget], Callable[[], dict[str, Any]]]:
    """Controls for requests given by parameter, and a function that says which one is chosen.

    `requests` have the same keys; None stands for a parameter that isn't given. A control
    offers the values that are recorded together with those of the controls above it, so that
    each recorded request can be chosen, and no other. `changed` is called after each choice.
    """
    names = list(requests[0])
    rows = [{name: json.dumps(request[name]) for name in names} for request in requests]
    controls = {name: _choice(name) for name in names}

    def offer(above: int) -> None:
        """Renew what the controls below number `above` offer."""
        for place, name in enumerate(names):
            if place > above:
                chosen = {n: controls[n].value for n in names[:place]}
                fitting = [row for row in rows if chosen.items() <= row.items()]
                _set_options(controls[name], [row[name] for row in fitting])

    def choose(place: int) -> Callable[[Any], None]:
        def observe(change: Any) -> None:
            if not renewing:
                renewing.append(place)
                offer(place)
                renewing.clear()
                changed()

        return observe

    renewing: list[int] = []
    offer(-1)
    for place, name in enumerate(names):
        controls[name].observe(choose(place), "value")
    return list(controls.values()), lambda: {n: json.loads(c.value) for n, c in controls.items()}


def free_controls(
    texts: dict[str, str], changed: Callable[[], None]
) -> tuple[list[widgets.Widget], Callable[[], dict[str, Any]]]:
    """Controls for any request, and a function that says which one they give.

    `texts` are the names and first values of its texts. A number is given where its box is
    ticked; an empty text isn't.
    """
    boxes = {
        name: widgets.Textarea(value, rows=1 if name == "model" else 3, **LAYOUT)
        for name, value in texts.items()
    }
    sliders = {
        "max_tokens": widgets.IntSlider(64, 1, 2048),
        "temperature": widgets.FloatSlider(1, min=0, max=2, step=0.05),
        "top_p": widgets.FloatSlider(1, min=0, max=1, step=0.05),
        "n": widgets.IntSlider(1, 1, 8),
    }
    ticks = {name: widgets.Checkbox(name == "max_tokens", indent=False) for name in sliders}
    stop = widgets.Textarea(rows=1, **LAYOUT)
    stream = widgets.Checkbox(indent=False)
    for name, tick in ticks.items():
        label(tick, f"给 {name}", f"{TIPS[name]}。打勾才发送，不打勾由服务器决定")
        tick.layout.width = "150px"
        sliders[name].tooltip = TIPS[name]
        sliders[name].layout = {"flex": "1 1 0", "width": "auto"}
    for name, control in {**boxes, "stop": stop, "stream": stream}.items():
        label(control, name, TIPS[name])
    for name, control in {**boxes, **sliders, "stop": stop, "stream": stream}.items():
        control.add_class(f"control-{name}")
    rows = [widgets.HBox([ticks[name], slider]) for name, slider in sliders.items()]

    def chosen() -> dict[str, Any]:
        values: dict[str, Any] = {name: box.value or None for name, box in boxes.items()}
        for name, slider in sliders.items():
            values[name] = slider.value if ticks[name].value else None
        stops = [line.replace("\\n", "\n") for line in stop.value.splitlines() if line]
        return values | {"stop": stops or None, "stream": stream.value or None}

    for control in (*boxes.values(), *sliders.values(), *ticks.values(), stop, stream):
        control.observe(lambda change: changed(), "value")
    return [*boxes.values(), *rows, stop, stream], chosen


def _choice(name: str) -> widgets.Widget:
    kind = (
        widgets.Dropdown
        if name in ("model", "prompt", "system", "user", "stop", "其他")
        else (widgets.SelectionSlider)
    )
    choice = kind(options=["null"], **LAYOUT)
    label(choice, name, TIPS[name])
    choice.add_class(f"control-{name}")
    return choice


def _set_options(control: widgets.Widget, values: list[str]) -> None:
    """Offer each value once, numbers in their order; keep the chosen one, or take the first."""
    offered = sorted(dict.fromkeys(values), key=_order)
    kept = control.value if control.value in offered else values[0]
    control.options = [(_label(value), value) for value in offered]
    control.value = kept
    control.disabled = len(offered) == 1


def _order(value: str) -> float:
    number = json.loads(value)
    return number if isinstance(number, int | float) else -1


def _label(value: str) -> str:
    value = json.loads(value)
    if value in (None, {}):
        return NOT_GIVEN
    match value:
        case dict():
            return "，".join(f"{name}={item!r}" for name, item in value.items())
        case str():
            return value if len(value) <= 80 else f"{value[:60]}……（共 {len(value)} 字符）"
        case _:
            return f"{value}"
