"""The sampling explorer: what temperature and top_p make of a reply's probabilities."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from html import escape
from itertools import repeat
from math import exp, inf, log
from random import Random
from typing import Any

import ipywidgets as widgets

from .panel import Panel, show_text

SHOWN_TOKENS = 120
OTHERS = None  # stands for all the tokens that aren't listed
VOCABULARY = 100_000  # about as many tokens as models have
SURE, UNSURE = 0.6, 0.2  # from here on a token counts as sure, below as unsure

# Servers give log-probabilities as 32-bit numbers; a sum of shares is of 64 bits.
LOGPROB_ROUNDING, ROUNDING = 1e-6, 1e-12

STYLE = """<style>
.sampling-explorer .sampling-token {font-family: monospace; padding: 0 5px; margin: 2px;
  color: #1f2328; border-bottom: 3px solid #2f7ed8; background: #cfe3fa;}
.sampling-explorer .sampling-medium {border-bottom: 3px dashed #a07800; background: #fbeebc;}
.sampling-explorer .sampling-unsure {border-bottom: 3px dotted #b42318; background: #fad4cd;}
.sampling-explorer .sampling-current {outline: 2px solid var(--jp-ui-font-color1, #000);
  font-weight: bold;}
.sampling-explorer .sampling-token:focus-visible {outline: 3px solid #2f7ed8;}
.sampling-explorer table {width: 100%; table-layout: fixed; border-collapse: collapse;
  line-height: 1.4;}
.sampling-explorer caption {text-align: left; padding-bottom: 4px;}
.sampling-explorer th {font-weight: normal; text-align: right; white-space: nowrap;}
.sampling-explorer th, .sampling-explorer td {padding: 1px 6px;}
.sampling-explorer th:first-child {text-align: left; width: 18%;}
.sampling-explorer th:nth-child(n+3) {width: 3.4em;}
.sampling-explorer th:last-child {width: 7em;}
.sampling-explorer td {text-align: right; white-space: nowrap;}
.sampling-explorer code {font-family: monospace; overflow-wrap: anywhere; white-space: normal;}
.sampling-explorer .sampling-track {padding: 1px 0;}
.sampling-explorer .sampling-track div {position: relative; height: 20px;
  background: rgba(128, 128, 128, .12);}
.sampling-explorer .sampling-track i {position: absolute; left: 0;}
.sampling-explorer .sampling-original {top: 0; height: 20px; background: rgba(47, 126, 216, .35);}
.sampling-explorer .sampling-now {top: 3px; height: 8px; background: #2f7ed8;}
.sampling-explorer .sampling-drawn {top: 13px; height: 5px; background: #d9822b;}
.sampling-explorer .sampling-legend i {display: inline-block; width: 14px; height: 10px;
  margin: 0 4px 0 10px;}
</style>"""

# A token, its log-probability, and those of the most probable candidates.
type GivenStep = tuple[str, float | None, dict[str, float] | None]

LEGEND = (
    '<span class="sampling-legend"><i class="sampling-original"></i>原来'
    '<i class="sampling-now"></i>现在<i class="sampling-drawn"></i>抽到</span>'
)
TOKENS_HINT = (
    f"点一个 token，看那一步的候选。蓝底实线：它的概率不低于 {SURE:.0%}；黄底虚线：不低于 "
    f"{UNSURE:.0%}；红底点线：更低。␣ 是空格，↵ 是换行。写下的不一定是概率最大的那个：它是抽"
    "出来的，服务器还可能另有筛选。"
)
BARS_HINT = (
    "先按 temperature（T）算：p ∝ exp(logprob ÷ T)，T=0 时全归最大的一个。再按 top_p 筛选：从大"
    "到小留下，合计够 top_p 为止，其余去掉，留下的重新凑成 100%。T=1、top_p=1 就是原来的概率。\n"
    "“其他”是没有列出的所有 token：只知道它们合计多少，不知道各是多少，所以当作每个都和列出的最"
    "小的一样（合计还没有那么多，就当作一个），筛选时排在最后。\n"
    "这里只用公式算，不向模型提问，后面的 token 不会跟着变。"
)
EMPTY = "回复是空的，一个 token 也没有。"
HOW_TO_ASK = (
    "这个回复里没有对数概率，或者没有候选的对数概率。请求时要写明："
    "completions.create(..., logprobs=5)，或者 "
    "chat.completions.create(..., logprobs=True, top_logprobs=5)。写了还是没有，就是服务器不支持。"
)


def sampling_explorer(response: Any, seed: int | None = None) -> Panel:
    """The probabilities of each token of a reply, reshaped by temperature and top_p at once.

    `response` is a Completion or a ChatCompletion; its first choice is shown. `seed` makes the
    draws repeatable. Raises ValueError for a reply without log-probabilities.
    """
    steps = read_steps(response)
    shown = steps[:SHOWN_TOKENS]
    if not shown:
        return Panel("sampling-explorer", [_hint(EMPTY)], lambda: EMPTY)
    random = Random(seed)
    counts: Counter[str | None] = Counter()
    place = 0

    temperature = _slider("temperature", 0, 2, "0 到 2：越低越集中在概率大的候选，越高越平均")
    top_p = _slider("top_p", 0.05, 1, "0.05 到 1：只留下概率最大、合计达到 top_p 的候选")
    draw_one = _button("抽 1 次", "sampling-draw-one", "按现在的概率抽 1 个候选")
    draw = _button("抽 100 次", "sampling-draw", "按现在的概率抽 100 个候选，每次互不影响")
    clear = _button("清零", "sampling-clear", "把抽到的次数清零")
    back = _button("◀", "sampling-previous", "上一个 token")
    ahead = _button("▶", "sampling-next", "下一个 token")
    # One for all of them: a reply may have more than a hundred tokens.
    looks = {
        "layout": widgets.Layout(width="auto", max_width="14em"),
        "style": widgets.ButtonStyle(),
    }
    tokens = [_token_button(number, step, looks) for number, step in enumerate(shown, 1)]
    bars = widgets.HTML().add_class("sampling-bars")

    def show_bars() -> None:
        where = f"第 {place + 1} 个 token（共 {len(steps)} 个）"
        bars.value = bars_html(where, shown[place], temperature.value, top_p.value, counts)

    def reset(_: Any = None) -> None:
        counts.clear()
        show_bars()

    def walk_to(new: int) -> None:
        nonlocal place
        tokens[place].remove_class("sampling-current")
        place = min(max(new, 0), len(shown) - 1)  # a quick second click comes before `disabled`
        tokens[place].add_class("sampling-current")
        back.disabled, ahead.disabled = place == 0, place == len(shown) - 1
        reset()

    def draw_times(times: int) -> None:
        shares = distribution(shown[place].logprobs, temperature.value, top_p.value)
        counts.update(random.choices([*shares], [*shares.values()], k=times))
        show_bars()

    temperature.observe(reset, "value")
    top_p.observe(reset, "value")
    draw_one.on_click(lambda _: draw_times(1))
    draw.on_click(lambda _: draw_times(100))
    clear.on_click(reset)
    back.on_click(lambda _: walk_to(place - 1))
    ahead.on_click(lambda _: walk_to(place + 1))
    for number, token in enumerate(tokens):
        token.on_click(lambda _, number=number: walk_to(number))
    walk_to(0)

    left_out = f"只显示前 {len(shown)} 个 token，共 {len(steps)} 个。" * (len(shown) < len(steps))
    children = [
        widgets.HTML(STYLE),
        _row([*tokens]).add_class("sampling-tokens"),
        _hint(left_out + TOKENS_HINT),
        _row([back, ahead]),
        bars,
        _row([temperature, top_p]),
        _row([draw_one, draw, clear]),
        _hint(BARS_HINT),
    ]
    return Panel("sampling-explorer", children, partial(_static_text, shown, left_out))


def distribution(
    logprobs: dict[str, float], temperature: float, top_p: float
) -> dict[str | None, float]:
    """The probabilities that a token is drawn from, the greatest first, OTHERS last.

    First temper(), then nucleus().
    """
    return nucleus(temper(logprobs, temperature), top_p)


def temper(logprobs: dict[str, float], temperature: float) -> dict[str | None, float]:
    """p_i = w_i / Σw with w_i = exp(logprob_i / T); at T=0 the most probable one has it all.

    OTHERS has what the candidates leave, q = 1 - Σ exp(logprob_i). None of its tokens is more
    probable than a listed one, so it counts as q/s tokens of the probability s, where s is the
    least one that is listed, or q if that is less: w = (q/s) · exp(log(s) / T). Thus it has its
    q at T=1, and nothing where T comes near 0. (At most VOCABULARY tokens: the one that was
    drawn is listed, too, and may have been most improbable.)
    """
    tokens = sorted(logprobs, key=lambda token: logprobs[token], reverse=True)
    shares = [exp(logprobs[token]) for token in tokens]
    q = 1 - sum(shares)
    if q < LOGPROB_ROUNDING:
        q = 0
    if temperature == 0:
        best = tokens[0] if shares[0] else OTHERS
        return {token: float(token == best) for token in (*tokens, OTHERS)}
    scores = {token: logprobs[token] / temperature for token in tokens}
    s = max(min([q, *filter(None, shares)]), q / VOCABULARY)
    scores[OTHERS] = log(q / s) + log(s) / temperature if q else -inf
    highest = max(scores.values())
    weights = {token: exp(score - highest) for token, score in scores.items()}
    total = sum(weights.values())
    return {token: weight / total for token, weight in weights.items()}


def nucleus(shares: dict[str | None, float], top_p: float) -> dict[str | None, float]:
    """Keep the first shares until their sum Σ reaches top_p, at least one: p_i / Σ; cut the rest.

    `shares` come in descending order. OTHERS, which is many small tokens and comes last, keeps
    what is missing to top_p.
    """
    kept: dict[str | None, float] = {}
    total = 0.0
    for token, share in shares.items():
        missing = top_p - total
        if total and missing < ROUNDING:
            share = 0.0
        elif total and token is OTHERS:
            share = min(share, missing)
        kept[token] = share
        total += share
    return {token: share / total for token, share in kept.items()}


def read_steps(response: Any) -> list["Step"]:
    """The steps in which a reply was written. Raises ValueError where it doesn't tell them."""
    if not response.choices:
        return []
    choice = response.choices[0]
    if choice.logprobs is None:
        raise ValueError(HOW_TO_ASK)
    read = _chat_steps if hasattr(choice, "message") else _steps
    steps = [*read(choice.logprobs)]
    if steps and not any(top for _, _, top in steps):
        raise ValueError(HOW_TO_ASK)
    return [
        Step(token, logprob, {token: logprob} | (top or {}))
        for token, logprob, top in steps
        if logprob is not None  # a prompt's first token, echoed: nothing predicts it
    ]


def bars_html(
    where: str, step: "Step", temperature: float, top_p: float, counts: Counter[str | None]
) -> str:
    """A table: for each candidate its original share, its share now, and how often it was drawn."""
    original = temper(step.logprobs, 1)
    tempered = temper(step.logprobs, temperature)
    now = nucleus(tempered, top_p)
    drawn = counts.total()
    rows = []
    for token, share in now.items():
        part = counts[token] / drawn if drawn else 0
        mark = " ✓" if token == step.token else ""
        is_cut = tempered[token] and not share
        times = f"{counts[token]}（{percent(part)}）" if drawn else ""
        rows.append(
            f'<tr><th scope="row">{_label(token)}{mark}</th><td class="sampling-track"><div>'
            f"{_bar('original', original[token])}{_bar('now', share)}{_bar('drawn', part)}</div></td>"
            f"<td>{percent(original[token])}</td><td>{'去掉' if is_cut else percent(share)}</td>"
            f"<td>{times}</td></tr>"
        )
    return (
        f"<table><caption>{where}：写下的是 {_label(step.token)} ✓，原来的概率 "
        f'{percent(exp(step.logprob))}</caption><tr><th scope="col">候选</th><th>{LEGEND}</th>'
        '<th scope="col">原来</th><th scope="col">现在</th>'
        f'<th scope="col">抽到 {drawn} 次</th></tr>{"".join(rows)}</table>'
    )


def visible(token: str) -> str:
    """A token with its blanks, and all that can't be seen, as signs."""
    signs = {" ": "␣", "\n": "↵", "\t": "⇥"}
    return "".join(signs.get(c) or (c if c.isprintable() else ascii(c)[1:-1]) for c in token) or (
        "（空）"
    )


def percent(share: float) -> str:
    return "<0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


@dataclass(frozen=True)
class Step:
    """One token of a reply, its log-probability, and those of all the candidates, it included."""

    token: str
    logprob: float
    logprobs: dict[str, float]


def _steps(given: Any) -> Iterator[GivenStep]:
    if given.tokens is None or given.token_logprobs is None:
        raise ValueError(HOW_TO_ASK)
    tops = given.top_logprobs or repeat(None)
    return zip(given.tokens, given.token_logprobs, tops)


def _chat_steps(given: Any) -> Iterator[GivenStep]:
    content = given.refusal if given.content is None else given.content
    if content is None:
        raise ValueError(HOW_TO_ASK)
    for item in content:
        # From the least on: of tokens that read the same, the most probable one stays.
        top = {other.token: other.logprob for other in reversed(item.top_logprobs or [])}
        yield item.token, item.logprob, top


def _slider(name: str, least: float, most: float, does: str) -> widgets.FloatSlider:
    slider = widgets.FloatSlider(
        1,
        min=least,
        max=most,
        step=0.05,
        description=name,
        tooltip=f"{name}，{does}",
        layout={"flex": "1 1 300px", "width": "auto"},
        style={"description_width": "90px"},
    )
    return slider.add_class(f"sampling-{name.replace('_', '-')}")


def _button(label: str, name: str, tooltip: str) -> widgets.Button:
    button = widgets.Button(description=label, tooltip=tooltip, layout={"width": "auto"})
    return button.add_class(name)


def _token_button(number: int, step: Step, looks: dict[str, widgets.Widget]) -> widgets.Button:
    share = exp(step.logprob)
    text = visible(step.token)
    button = widgets.Button(
        description=text, tooltip=f"第 {number} 个 token：{text}，概率 {percent(share)}", **looks
    )
    if share < SURE:
        button.add_class("sampling-medium" if share >= UNSURE else "sampling-unsure")
    return button.add_class("sampling-token")


def _row(children: list[widgets.Widget]) -> widgets.HBox:
    return widgets.HBox(children, layout={"flex_flow": "row wrap"})


def _hint(text: str) -> widgets.HTML:
    return widgets.HTML(show_text(text, "hint"))


def _label(token: str | None) -> str:
    return "其他" if token is OTHERS else f"<code>{escape(visible(token))}</code>"


def _bar(kind: str, share: float) -> str:
    return f'<i class="sampling-{kind}" style="width:{share:.2%}"></i>'


def _static_text(steps: list[Step], left_out: str) -> str:
    """The first token's candidates, and all the tokens, each with its probability."""
    candidates = [
        f"{percent(share):>6}  {'其他' if token is OTHERS else visible(token)}"
        for token, share in temper(steps[0].logprobs, 1).items()
    ]
    written = [f"{percent(exp(step.logprob)):>6}  {visible(step.token)}" for step in steps]
    return "\n".join(
        [
            "第 1 个 token 的候选和概率：",
            *candidates,
            "",
            f"写下的 token 和概率：{left_out}",
            *written,
        ]
    )
