"""The playgrounds without a browser: what they offer, what they send, what they show."""

import asyncio
import html
import json
import re

import ipywidgets as widgets
import pytest
from fault_server import EVENTS, Reply, fault_server
from ipywidgets.widgets.widget import _instances

from helpers import chat_playground, completion_playground, start
from helpers.recordings import ReplayCassette
from helpers.widgets.controls import recorded_controls
from helpers.widgets.panel import _inside
from helpers.widgets.recorded import recorded

KINDS = {"completions": completion_playground, "chat/completions": chat_playground}
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>![](http://127.0.0.1:9/x) & 你好"


pytestmark = pytest.mark.usefixtures("own_lesson")


@pytest.fixture(params=KINDS)
def offline(request):
    """A playground on the recordings of its chapter, and the path it asks."""
    start({"completions": "02_completions", "chat/completions": "03_chat"}[request.param])
    return KINDS[request.param](), f"/{request.param}"


@pytest.fixture
def live(monkeypatch):
    """Makes a live playground, whose server answers with the given reply."""
    with fault_server() as (url, replies):

        def live(reply: Reply | list[Reply], kind=completion_playground):
            replies["live"] = reply
            settings = {"OPENAI_API_KEY": "planted-key", "OPENAI_BASE_URL": f"{url}/live/v1"}
            settings |= {"LESSON_MODE": "live", "CHAT_MODEL": "m", "COMPLETION_MODEL": "m"}
            for name, value in settings.items():
                monkeypatch.setenv(name, value)
            start("02_completions")
            return kind()

        yield live


@pytest.fixture
def sent(monkeypatch) -> list[dict]:
    """The requests that replay gets."""
    requests = []
    play = ReplayCassette.play_response

    def note(self, request):
        requests.append(json.loads(request.body))
        return play(self, request)

    monkeypatch.setattr(ReplayCassette, "play_response", note)
    return requests


def part(panel, name: str) -> widgets.Widget:
    [found] = [w for w in _inside(panel) if name in getattr(w, "_dom_classes", ())]
    return found


def run(panel) -> str:
    """Click on Run, and wait: what is shown then."""

    async def click() -> None:
        part(panel, "playground-run").click()
        await panel._task

    asyncio.run(click())
    return part(panel, "playground-output").value


def text_of(shown: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", shown))


def in_order(request: dict) -> str:
    return json.dumps(request, sort_keys=True)


def code(panel) -> str:
    return text_of(part(panel, "playground-code").value)


def choices(panel) -> dict[str, widgets.Widget]:
    """The controls that offer recorded values, by name."""
    controls = {}
    for widget in _inside(panel):
        for name in getattr(widget, "_dom_classes", ()):
            if name.startswith("control-"):
                controls[name.removeprefix("control-")] = widget
    return controls


def every_choice(panel):
    """Choose all that can be chosen, one after the other."""

    def walk(controls: list) -> None:
        if not controls:
            return (yield)
        first, *others = controls
        for _, value in first.options:
            first.value = value
            yield from walk(others)

    return walk(list(choices(panel).values()))


def test_every_recorded_request_can_be_chosen_and_no_other(offline, sent):
    panel, path = offline
    for _ in every_choice(panel):
        run(panel)
    expected = [
        exchange.request
        for exchange in recorded(path)
        if exchange.status != 401
        and len(exchange.request.get("messages", [])) <= 2
        and [m["role"] for m in exchange.request.get("messages", [])] != ["user", "assistant"]
    ]
    assert sorted(map(in_order, sent)) == sorted(map(in_order, expected))


def test_nothing_is_listed_twice(offline):
    panel, _ = offline
    for _ in every_choice(panel):
        for control in choices(panel).values():
            labels = [label for label, _ in control.options]
            assert len(set(labels)) == len(labels)


def test_a_control_with_one_value_cannot_be_moved(offline):
    panel, _ = offline
    for control in choices(panel).values():
        assert control.disabled == (len(control.options) == 1)


def test_numbers_are_in_their_order_and_begin_where_the_recordings_do(offline):
    panel, _ = offline
    temperature = choices(panel)["temperature"]
    assert [label for label, _ in temperature.options] == ["0", "0.5", "1", "1.5", "2"]
    assert temperature.value == "0"


def test_a_change_above_keeps_what_is_chosen_below_where_it_is_recorded():
    rows = [{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 2}, {"a": 3, "b": 1}]
    names = {"a": "temperature", "b": "top_p"}
    rows = [{names[k]: v for k, v in row.items()} for row in rows]
    seen = []
    (a, b), chosen = recorded_controls(rows, lambda: seen.append(1))
    b.value = "2"
    a.value = "2"
    assert chosen() == {"temperature": 2, "top_p": 2}
    a.value = "3"
    assert chosen() == {"temperature": 3, "top_p": 1}
    assert len(seen) == 3


def test_the_code_shown_runs_and_makes_the_same_request(offline, sent, capsys):
    panel, _ = offline
    for _ in every_choice(panel):
        if "word word" in code(panel):  # it ends in an error, as it should
            continue
        shown = run(panel)
        exec(code(panel), {})  # noqa: S102
        assert sent[-1] == sent[-2]
        assert capsys.readouterr().out.strip() in text_of(shown)


def test_nothing_is_sent_until_it_is_asked_for(offline, sent):
    panel, _ = offline
    choices(panel)["temperature"].value = "1"
    assert sent == []
    assert part(panel, "playground-output").value == ""


def test_a_run_shows_reply_finish_reason_usage_time_model_and_source():
    start("02_completions")
    panel = completion_playground()
    shown = text_of(run(panel))
    assert "Paris." in shown
    assert "finish_reason：length" in shown
    assert "usage：5 + 24 token" in shown
    assert re.search(r"用时 \d+ ms", shown)
    assert "录自 smollm2-135m-instruct" in shown


def test_a_recorded_error_is_one_line_with_detail():
    start("02_completions")
    panel = completion_playground()
    prompt = choices(panel)["prompt"]
    prompt.value = next(value for label, value in prompt.options if label.startswith("word"))
    shown = run(panel)
    line, _, detail = shown.partition("<details>")
    assert "服务器说：This model&#x27;s maximum context length" in line
    assert "服务器不接受这个请求" in detail


def test_the_last_ten_runs_are_kept_and_two_are_compared(offline):
    panel, _ = offline
    for number in range(12):
        choices(panel)["temperature"].value = ["0", "1"][number % 2]
        run(panel)
    left, right = part(panel, "playground-left"), part(panel, "playground-right")
    assert len(left.options) == len(right.options) == 10
    assert left.label.startswith("第 11 次　") and right.label.startswith("第 12 次　")
    assert "temperature=0" in left.label and "temperature=1" in right.label


def test_closing_frees_all_of_it():
    start("02_completions")
    before = len(_instances)
    panel = completion_playground()
    run(panel)
    panel.close()
    assert len(_instances) == before


def test_two_of_them_do_not_interfere(offline):
    panel, path = offline
    other = KINDS[path[1:]]()
    choices(panel)["temperature"].value = "2"
    run(panel)
    assert choices(other)["temperature"].value == "0"
    assert part(other, "playground-output").value == ""


def test_it_does_not_go_on_in_another_mode(offline, sent):
    """What says that it replays would else spend money."""
    panel, _ = offline
    start("01_models")
    assert "请重新运行这个单元格" in run(panel)
    assert sent == []


def test_it_needs_a_lesson():
    with pytest.raises(RuntimeError, match="第一个单元格"):
        completion_playground()


def test_where_no_kernel_runs_there_is_the_code_and_its_reply(offline, monkeypatch):
    panel, _ = offline
    monkeypatch.setenv("LESSON_WIDGETS", "static")
    bundle = panel._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert code(panel) in bundle["text/plain"]
    assert "2026-11-22 录自 smollm2-135m-instruct" in bundle["text/plain"]


def test_live_what_is_not_given_is_not_sent(live):
    panel = live(Reply(200, {"choices": [{"index": 0, "text": "天来了"}]}))
    assert "max_tokens=64" in code(panel)
    choices(panel)["stop"].value = "甲\n\\n"
    choices(panel)["prompt"].value = "春"
    assert "prompt='春'" in code(panel)
    assert "stop=['甲', '\\n']" in code(panel)
    assert "temperature" not in code(panel) and "stream" not in code(panel)
    assert "天来了" in run(panel)


def test_live_a_stream_is_put_together(live):
    panel = live(Reply(200, 'data: {"choices":[{"index":0,"text":"春"}]}\n\n' * 3, EVENTS))
    choices(panel)["stream"].value = True
    assert "春春春" in run(panel)


def test_live_several_replies_are_told_apart(live):
    texts = [{"index": i, "text": text, "finish_reason": "stop"} for i, text in enumerate("甲乙")]
    shown = text_of(run(live(Reply(200, {"choices": texts}))))
    assert re.search("甲第 1 份，.*乙第 2 份，", shown)


def test_live_stop_ends_the_waiting(live):
    panel = live(Reply(200, {"choices": []}, after=3))

    async def click() -> None:
        part(panel, "playground-run").click()
        await asyncio.sleep(0.05)
        assert part(panel, "playground-run").disabled
        assert part(panel, "playground-run").description == "运行中……"
        part(panel, "playground-stop").click()
        await asyncio.wait_for(panel._task, 1)

    asyncio.run(click())
    assert "已停止" in part(panel, "playground-output").value
    assert not part(panel, "playground-run").disabled


def test_a_second_click_sends_nothing(offline, sent):
    panel, _ = offline

    async def click_twice() -> None:
        part(panel, "playground-run").click()
        part(panel, "playground-run").click()
        await panel._task

    asyncio.run(click_twice())
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(400, {"error": {"message": "no parameter n"}}), "服务器说：no parameter n"),
        (Reply(200, "<html>hello</html>", "text/html"), "服务器的回复不是 JSON，而是一个网页"),
        (Reply(200, {"error": "what?"}), "服务器的回复是空的"),
    ],
)
def test_live_an_error_is_one_line_with_detail(live, reply, said):
    line, _, detail = run(live(reply)).partition("<details>")
    assert said in line and "\n" not in text_of(line)
    assert "</details>" in detail


def test_hostile_text_of_a_model_stays_text(live):
    panel = live(Reply(200, {"choices": [{"index": 0, "text": HOSTILE}], "model": HOSTILE}))
    shown = run(panel)
    assert "<img" not in shown and "<script" not in shown
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown
