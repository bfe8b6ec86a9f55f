"""The memory explorer: what is sent, what is answered, and what a learner sees of it."""

import asyncio
import html
import json
import re
import socket
from collections.abc import Callable

import openai
import pytest
from fault_server import Reply, error, fault_server
from ipywidgets.widgets.widget import _instances

from helpers import lesson, start
from helpers.widgets.memory_explorer import conversation, is_part, memory_explorer

HOSTILE = "<img src=x onerror=alert(1)><script>alert(1)</script>![](x)"
SYSTEM, FIRST, ANSWER, SECOND = (
    "你是一个乐于助人的体育界专家。",
    "2008年奥运会是在哪里举行的？",
    "2008年夏季奥林匹克运动会是在中国的北京市举行的。",
    "1.金牌最多的是哪个国家？2.奖牌最多的是哪个国家？",
)


pytestmark = pytest.mark.usefixtures("own_lesson", "own_widgets")


@pytest.fixture
def replay():
    return start("03_chat")


@pytest.fixture
def live(monkeypatch) -> Callable[[str], None]:
    """Starts the lesson on the server at a URL."""

    def begin(url: str) -> None:
        monkeypatch.setenv("LESSON_MODE", "live")
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        for name in ("OPENAI_API_KEY", "CHAT_MODEL", "COMPLETION_MODEL"):
            monkeypatch.setenv(name, "a-model")
        start("03_chat")

    return begin


@pytest.fixture(scope="module")
def server():
    with fault_server() as (url, replies):
        yield url, replies


def chat(text: object, **more: object) -> Reply:
    """A server's answer."""
    message = {"role": "assistant", "content": text}
    return Reply(200, {"model": "m-1", "choices": [{"message": message}], **more})


def parts(panel, name: str) -> list:
    """The widgets of the CSS class `memory-<name>`."""
    boxes = [panel]
    for box in boxes:
        boxes += getattr(box, "children", ())
    return [box for box in boxes if f"memory-{name}" in getattr(box, "_dom_classes", ())]


def part(panel, name: str):
    [found] = parts(panel, name)
    return found


def tick(panel, *numbers: int) -> None:
    """Tick the messages with these numbers, and no others."""
    for number, box in enumerate(parts(panel, "tick"), 1):
        box.value = number in numbers


def to_send(panel) -> list[dict]:
    """The `messages` that are shown."""
    return json.loads(text_of(part(panel, "messages").value))


def text_of(value: str) -> str:
    """What a browser shows of an HTML."""
    return html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", "", value, flags=re.DOTALL))


def send(panel, *clicks: str) -> None:
    """Click 发送, then the buttons named, and wait until the call is over."""

    async def clicked() -> None:
        for name in ("send", *clicks):
            part(panel, name).click()
        while part(panel, "send").description != "发送":
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(clicked(), 20))


def contents(messages: list[dict]) -> list[str]:
    return [message["content"] for message in messages]


# What the conversation is


def test_the_conversation_is_the_recorded_one_with_all_ticked(replay):
    panel = memory_explorer()
    assert contents(to_send(panel)) == [SYSTEM, FIRST, ANSWER, SECOND]
    assert [message["role"] for message in to_send(panel)] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    for number, role in enumerate(("system（设定）", "user（用户）", "assistant（模型）"), 1):
        assert f"{number}. {role}" in text_of(
            part(panel, "rows").children[number - 1].children[1].value
        )


def test_the_conversation_is_the_longest_of_which_a_part_was_sent_too():
    a, b, c, d = ({"role": "user", "content": text} for text in "abcd")
    assert conversation([[a], [a, b, c], [b], [d, d, d, d]]) == [a, b, c]
    assert conversation([[a], [b]]) == conversation([]) == []


def test_a_part_keeps_the_order():
    assert is_part("ac", "abc")
    assert not is_part("ca", "abc")
    assert not is_part("aa", "abc")


def test_a_chapter_without_a_conversation_says_so():
    start("01_models")
    panel = memory_explorer()
    assert to_send(panel) == []
    assert part(panel, "send").disabled
    assert 'start("03_chat")' in text_of(part(panel, "hint").value)


def test_live_begins_with_the_chapters_conversation(live, server):
    live(f"{server[0]}/good")
    assert contents(to_send(memory_explorer())) == [SYSTEM, FIRST, ANSWER, SECOND]


def test_live_without_recordings_begins_empty(live, server, monkeypatch, tmp_path):
    live(f"{server[0]}/chat")
    monkeypatch.setattr("helpers.widgets.memory_explorer.RECORDINGS", tmp_path)
    panel = memory_explorer()
    assert to_send(panel) == []
    assert part(panel, "send").disabled
    part(panel, "draft").value = "Hello"
    assert to_send(panel) == [{"role": "user", "content": "Hello"}]
    assert not part(panel, "send").disabled


# Replay


def test_with_history_the_model_knows_which_games_and_without_it_guesses(replay):
    panel = memory_explorer()
    send(panel)
    assert "金牌最多的国家是中国" in text_of(part(panel, "reply").value)
    part(panel, "last").click()
    assert contents(to_send(panel)) == [SECOND]
    send(panel)
    reply = text_of(part(panel, "reply").value)
    assert "金牌最多的国家是美国" in reply
    assert "对 1 条消息的回复，据 2024-12-18 打印的输出重建" in reply
    part(panel, "whole").click()
    assert len(to_send(panel)) == 4


def test_nothing_is_answered_before_it_is_asked(replay):
    panel = memory_explorer()
    assert part(panel, "reply").value == ""
    part(panel, "last").click()
    assert part(panel, "reply").value == ""


def test_every_choice_either_has_a_reply_or_cannot_be_sent(replay):
    panel = memory_explorer()
    possible = set()
    for choice in range(16):
        numbers = [number for number in (1, 2, 3, 4) if choice >> number - 1 & 1]
        tick(panel, *numbers)
        if part(panel, "send").disabled:
            unknown = "没有录制过" if numbers else "一条也没有勾选"
            assert unknown in text_of(part(panel, "hint").value)
        else:
            possible.add(tuple(numbers))
            send(panel)
            assert part(panel, "reply").value
            assert not text_of(part(panel, "error").value)
    assert possible == {(1, 2), (4,), (1, 2, 3, 4)}


def test_a_click_that_comes_although_the_button_is_disabled_does_nothing(replay):
    panel = memory_explorer()
    tick(panel, 1, 4)
    part(panel, "send").click()
    assert part(panel, "send").description == "发送"
    assert part(panel, "reply").value == ""


def test_the_messages_shown_are_those_that_are_sent(replay):
    panel = memory_explorer()
    part(panel, "last").click()
    reply = openai.OpenAI().chat.completions.create(
        model=lesson.current_lesson().chat_model, messages=to_send(panel)
    )
    send(panel)
    assert reply.choices[0].message.content in text_of(part(panel, "reply").value)


def test_the_chart_counts_characters_and_says_so_where_no_tokens_are_recorded(replay):
    chart = text_of(part(memory_explorer(), "chart").value)
    assert "字符数；token 数当时没有记录" in chart
    for label, texts in {
        "第 1 轮（2 条）": [SYSTEM, FIRST],
        "第 2 轮（4 条）": [SYSTEM, FIRST, ANSWER, SECOND],
        "不带历史（1 条）": [SECOND],
    }.items():
        assert f"{label}{sum(map(len, texts))}" in chart


def test_while_a_call_runs_nothing_can_be_changed_but_it_can_be_stopped(replay):
    panel = memory_explorer()

    async def clicked() -> None:
        part(panel, "send").click()
        assert part(panel, "send").description == "等待回复…"
        for name in ("send", "whole", "last"):
            assert part(panel, name).disabled
        assert all(box.disabled for box in parts(panel, "tick"))
        assert not part(panel, "stop").disabled
        while part(panel, "send").disabled:
            await asyncio.sleep(0.01)

    asyncio.run(clicked())
    assert part(panel, "stop").disabled
    assert not any(box.disabled for box in parts(panel, "tick"))


def test_after_another_start_nothing_is_sent(replay, live, server):
    """A widget that said it replays spends no money."""
    panel = memory_explorer()
    live(f"{server[0]}/500")
    part(panel, "send").click()
    assert "请重新运行这个单元格" in text_of(part(panel, "error").value)
    assert part(panel, "send").description == "发送"


# Live


def test_live_any_choice_can_be_sent_and_the_chart_has_its_tokens(live, server):
    url, replies = server
    replies["chat"] = [chat("好的", usage={"prompt_tokens": n}) for n in (7, 41)]
    live(f"{url}/chat")
    panel = memory_explorer()
    assert "才知道" in text_of(part(panel, "chart").value)
    tick(panel, 1, 4)
    send(panel)
    part(panel, "whole").click()
    send(panel)
    chart = text_of(part(panel, "chart").value)
    assert "token 数，回复里的 prompt_tokens" in chart
    assert "第 1 次（2 条）7" in chart
    assert "第 2 次（4 条）41" in chart


def test_live_without_usage_no_tokens_are_made_up(live, server):
    url, replies = server
    replies["chat"] = chat("好的")
    live(f"{url}/chat")
    panel = memory_explorer()
    tick(panel, 1)
    send(panel)
    chart = text_of(part(panel, "chart").value)
    assert "字符数；有的回复没有 token 数" in chart
    assert f"第 1 次（1 条）{len(SYSTEM)}" in chart


def test_live_the_conversation_goes_on(live, server):
    url, replies = server
    replies["chat"] = [chat("中国"), chat("不客气")]
    live(f"{url}/chat")
    panel = memory_explorer()
    send(panel)
    part(panel, "draft").value = "谢谢"
    assert contents(to_send(panel))[4:] == ["中国", "谢谢"]
    send(panel)
    assert part(panel, "draft").value == ""
    assert len(parts(panel, "tick")) == 6
    assert [message["role"] for message in to_send(panel)][3:] == ["user", "assistant", "user"]
    assert "不客气" in text_of(part(panel, "reply").value)


@pytest.mark.parametrize("text", [HOSTILE, None, "", ["a", "b"]])
def test_whatever_a_model_says_is_shown_as_text(live, server, text):
    url, replies = server
    replies["chat"] = chat(text)
    live(f"{url}/chat")
    panel = memory_explorer()
    send(panel)
    part(panel, "draft").value = HOSTILE
    send(panel)
    for widget in _instances.values():
        value = getattr(widget, "value", "")
        assert not isinstance(value, str) or widget is part(panel, "draft") or "<img" not in value
        assert not isinstance(value, str) or "<script" not in value
    if text == HOSTILE:
        assert HOSTILE in text_of(part(panel, "reply").value)
    assert HOSTILE in contents(to_send(panel))


def test_an_error_is_one_line_with_its_detail_to_unfold(live, server):
    url, replies = server
    replies["refused"] = Reply(400, error(f"bad {HOSTILE}"))
    live(f"{url}/refused")
    panel = memory_explorer()
    send(panel)
    value = part(panel, "error").value
    line, detail = value.split("<details>")
    assert "服务器不接受这个请求" in line
    assert "怎么办" in detail
    assert "<img" not in value
    assert not part(panel, "send").disabled
    replies["refused"] = chat("好了")
    send(panel)
    assert "好了" in part(panel, "reply").value
    assert not text_of(part(panel, "error").value)


@pytest.mark.parametrize("kind", ["page", "no-choices", "truncated"])
def test_a_reply_that_is_none_is_explained(live, server, kind):
    live(f"{server[0]}/{kind}")
    panel = memory_explorer()
    send(panel)
    assert "服务器的回复" in text_of(part(panel, "error").value)


def test_a_port_that_nobody_listens_on_is_said(live):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        live(f"http://127.0.0.1:{unused.getsockname()[1]}/v1")
        panel = memory_explorer()
        send(panel)
    assert "连不上服务器 127.0.0.1" in text_of(part(panel, "error").value)


@pytest.mark.parametrize("after", [0, 0.1])
def test_stop_breaks_the_call_off(live, server, after):
    url, replies = server
    replies["slow"] = Reply(200, "", after=2)
    live(f"{url}/slow")
    panel = memory_explorer()

    async def clicked() -> float:
        part(panel, "send").click()
        await asyncio.sleep(after)
        part(panel, "stop").click()
        began = asyncio.get_running_loop().time()
        while part(panel, "send").disabled:
            await asyncio.sleep(0.01)
        return asyncio.get_running_loop().time() - began

    assert asyncio.run(clicked()) < 1
    assert "已停止" in text_of(part(panel, "error").value)
    assert part(panel, "stop").disabled
    assert part(panel, "reply").value == ""


# Any widget's duties


def test_closing_frees_every_widget(replay):
    before = {*_instances}
    panel = memory_explorer()
    send(panel)
    panel.close()
    assert {*_instances} == before


def test_closing_breaks_a_call_off_and_frees_what_was_added(live, server):
    url, replies = server
    replies["slow"] = [chat("好的"), Reply(200, "", after=2)]
    live(f"{url}/slow")
    before = {*_instances}
    panel = memory_explorer()
    send(panel)
    part(panel, "draft").value = "谢谢"

    async def closed() -> None:
        part(panel, "send").click()
        await asyncio.sleep(0.05)
        panel.close()
        [other] = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait([other], timeout=1)
        assert other.cancelled()

    asyncio.run(closed())
    assert {*_instances} == before


def test_two_explorers_do_not_interfere(replay):
    one, other = memory_explorer(), memory_explorer()
    part(one, "last").click()
    send(one)
    assert len(to_send(other)) == 4
    assert part(other, "reply").value == ""


def test_every_control_has_a_tooltip_that_is_shown(replay):
    """ipywidgets shows none where a control has a description, unless it is a button."""
    panel = memory_explorer()
    for name in ("send", "stop", "whole", "last"):
        assert part(panel, name).tooltip
    for control in (*parts(panel, "tick"), part(panel, "draft")):
        assert control.tooltip
        assert not control.description


def test_the_static_text_has_the_conversation_and_each_recorded_reply(replay):
    panel = memory_explorer()
    text = panel._static()
    for content in (SYSTEM, FIRST, ANSWER, SECOND):
        assert content in text
    assert "只发第 4 条，回复（据 2024-12-18 打印的输出重建）：\n1. 金牌最多的国家是美国。" in text
    assert "只发第 1、2、3、4 条，" in text
    part(panel, "last").click()
    assert panel._static() == text == memory_explorer()._static()
