"""The widgets in a real JupyterLab in a real browser: each control, by mouse and by keyboard."""

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from browser import (
    WIDGETS,
    browser,
    cells_for,
    close_notebook,
    code_cells,
    execute,
    find_browser,
    jupyter_lab,
    open_lab,
    open_notebook,
    run_all,
)
from course import CHAPTERS
from course import run_all as execute_chapter
from playwright.sync_api import Locator, Page, expect

from helpers.local_model import KEY, MODEL

PLAYGROUNDS = ["completion_playground", "chat_playground"]
FIRST_REPLY = {
    "completion_playground": "Paris.\n- The United States has a population",
    "chat_playground": "The sea is a vast and mysterious realm",
}
HOSTILE = (
    '<img src=x onerror="window.hacked=1"><script>window.hacked=2</script>'
    "![](http://127.0.0.1:9/x)</textarea></style>"
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab, where there is a browser to look at it."""
    if not find_browser():
        reason = "needs Chromium or Chrome: chromium, chromium-browser or google-chrome on PATH"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with jupyter_lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(scope="module")
def page(lab) -> Iterator[Page]:
    """JupyterLab in a browser; `noted` has what it asks for and what goes wrong in it."""
    expect.set_options(timeout=8_000)
    with browser(find_browser()) as started:
        page = started.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(15_000)
        page.noted = []
        page.on("request", lambda request: note_request(page, request.url))
        page.on("console", lambda said: said.type == "error" and note_error(page, said.text))
        page.on("pageerror", lambda error: page.noted.append(f"{error}"))
        open_lab(page, lab)
        yield page


@pytest.fixture
def show(page, lab) -> Iterator[Callable[..., Locator]]:
    """Shows cells in JupyterLab, and runs them: the widgets. Nothing may go wrong in the browser."""
    page.noted.clear()

    def show(*cells: str) -> Locator:
        open_notebook(page, lab.write("try", *cells))
        run_all(page)
        assert [cell["errors"] for cell in code_cells(page) if cell["errors"]] == []
        return page.locator(".course-panel")

    yield show
    noted = [*page.noted]
    close_notebook(page)  # which breaks off what JupyterLab still asks the kernel
    assert noted == []


@pytest.fixture(scope="class", params=CHAPTERS)
def chapter(request, page) -> Iterator[dict]:
    """A chapter: its code cells before and after Run All, and what was noted meanwhile."""
    page.noted.clear()
    open_notebook(page, request.param)
    before = code_cells(page)
    try:
        run_all(page)
        yield {"before": before, "after": code_cells(page), "noted": [*page.noted]}
    finally:
        close_notebook(page)


def note_request(page: Page, url: str) -> None:
    """Other machines, and the address in HOSTILE."""
    if urlsplit(url).scheme not in ("data", "blob") and (
        urlsplit(url).hostname != "127.0.0.1" or urlsplit(url).port == 9
    ):
        page.noted.append(f"request to {url}")


def note_error(page: Page, text: str) -> None:
    """All but one: a notebook may be closed before JupyterLab has asked its debugger."""
    if not text.startswith("Could not restore the debugger state"):
        page.noted.append(text)


@contextmanager
def model_server(answer: Callable[[dict], object]) -> Iterator[tuple[str, list[dict]]]:
    """A model's server inside the `with` block: yields a cell that goes live on it, the requests.

    `answer` gives for a request a text, or a status and an object, or the pieces of a stream.
    """
    requests: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            requests.append(request)
            chat = "messages" in request
            given = answer(request)
            status, reply = given if isinstance(given, tuple) else (200, given)
            self.send_response(status)
            kind = "application/json" if isinstance(reply, str | dict) else "text/event-stream"
            self.send_header("content-type", kind)
            self.end_headers()
            if isinstance(reply, dict):
                self.say(reply)
            elif isinstance(reply, str):
                text = {"message": {"role": "assistant", "content": reply}}
                self.say(body({"finish_reason": "stop"} | (text if chat else {"text": reply})))
            else:
                for piece in reply:
                    text = {"delta": {"content": piece}} if chat else {"text": piece}
                    self.say(body({"finish_reason": None} | text), "data: ")
                self.wfile.write(b"data: [DONE]\n\n")

        def say(self, reply: dict, before: str = "") -> None:
            self.wfile.write(f"{before}{json.dumps(reply)}\n\n".encode())

        def log_message(self, *args):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *args):
            """A client that waited no longer is no news."""

    def body(choice: dict) -> dict:
        usage = {"prompt_tokens": 11, "completion_tokens": 22, "total_tokens": 33}
        return {"model": "small", "choices": [{"index": 0} | choice], "usage": usage}

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        settings = {
            "LESSON_MODE": "live",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1",
            "OPENAI_API_KEY": "any",
            "CHAT_MODEL": "small",
            "COMPLETION_MODEL": "small",
        }
        yield f"import os\n\nos.environ |= {settings}", requests
        server.shutdown()


@contextmanager
def gate() -> Iterator[threading.Event]:
    """Something that a server waits for; opened at the end, whatever comes."""
    event = threading.Event()
    try:
        yield event
    finally:
        event.set()


def click(button: Locator, times: int = 1) -> None:
    for _ in range(times):
        button.click()


def drag(slider: Locator, share: float) -> None:
    """Drag a slider's handle with the mouse to a share of its way."""
    slider.locator(".noUi-handle").hover()
    track = slider.locator(".noUi-base").bounding_box()
    slider.page.mouse.down()
    slider.page.mouse.move(track["x"] + share * track["width"], track["y"] + 2, steps=4)
    slider.page.mouse.up()


def type_into(field: Locator, text: str) -> None:
    """Replace what a field has by typing."""
    field.click()
    field.press("ControlOrMeta+a")
    field.press_sequentially(text)


def choose(control: Locator, label: str) -> None:
    """Choose from a drop-down list."""
    control.locator("select").select_option(label)


def choose_next(control: Locator, down: int) -> None:
    """Choose from a drop-down list by keyboard: open it, take the one so far below."""
    control.locator("select").press("Enter")
    for _ in range(down):
        control.page.keyboard.press("ArrowDown")
    control.page.keyboard.press("Enter")


def press(slider: Locator, key: str) -> None:
    """Press a key on a slider's handle."""
    slider.locator(".noUi-handle").press(key)


def run(panel: Locator) -> Locator:
    """Click on Run, and wait for its end: where the reply is shown."""
    newest = panel.locator(".playground-left option").first
    number = int(newest.inner_text().split()[1]) + 1 if newest.count() else 1
    panel.locator(".playground-run").click()
    expect(newest).to_contain_text(f"第 {number} 次")
    return panel.locator(".playground-output")


def code_of(panel: Locator) -> Locator:
    return panel.locator(".playground-code")


def makes_a_widget(cell: dict) -> bool:
    return bool(re.search(rf"^({'|'.join(WIDGETS)})\(", cell["source"], re.MULTILINE))


class TestChapters:
    def test_stored_widgets_can_be_read_before_anything_runs(self, chapter):
        assert any(map(makes_a_widget, chapter["before"]))
        for cell in chapter["before"]:
            assert not re.search("Error displaying|Loading widget", cell["shown"])
            if makes_a_widget(cell):
                assert len(cell["shown"]) > 20, cell["source"]

    def test_run_all_executes_every_cell_without_an_error(self, chapter):
        cells = chapter["after"]
        assert [cell["count"] for cell in cells] == list(range(1, len(cells) + 1))
        assert [cell["errors"] for cell in cells if cell["errors"]] == []

    def test_run_all_shows_the_widgets(self, chapter):
        for cell in chapter["after"]:
            assert cell["panels"] == makes_a_widget(cell), cell["source"]

    def test_nothing_goes_wrong_in_the_browser_and_no_request_leaves_this_machine(self, chapter):
        assert chapter["noted"] == []


# What is done to which control, and what the request then has.
STEPS = {
    "completion_playground": [
        (choose, "prompt", "Once upon a time", "prompt='Once upon a time'"),
        (drag, "temperature", 0.5, "temperature=1,"),
        (press, "top_p", "ArrowRight", "top_p=0.1,"),
        (drag, "top_p", 1, "top_p=1,"),
        (choose_next, "prompt", 1, "prompt='My favorite color is'"),
        (drag, "max_tokens", 0, "max_tokens=12,"),
        (press, "n", "ArrowRight", "n=3,"),
        (drag, "n", 0, "seed=1,"),
        (choose, "其他", "user='again'", "user='again',"),
        (drag, "seed", 1, "seed=3,"),
        (choose, "prompt", "The capital of France is", "France"),
        (press, "stream", "ArrowRight", "stream=True,"),
        (choose, "prompt", "1, 2, 3, 4,", "prompt='1, 2, 3, 4,'"),
        (choose_next, "stop", 1, "stop=['8'],"),
        (choose, "model", "gpt-3.5-turbo-instruct", "model='gpt-3.5-turbo-instruct'"),
    ],
    "chat_playground": [
        (drag, "temperature", 0.5, "temperature=1,"),
        (press, "top_p", "ArrowRight", "top_p=0.1,"),
        (drag, "temperature", 0, "temperature=0,"),
        (drag, "max_tokens", 0, "max_tokens=4,"),
        (drag, "max_tokens", 1, "max_tokens=20,"),
        (press, "stream", "ArrowLeft", "logprobs=True,"),
        (press, "stream", "ArrowRight", "stream=True,"),
        (choose, "user", "Count from 1 to 10.", "Count from 1 to 10."),
        (choose_next, "stop", 1, "stop=['5'],"),
        (choose, "user", "Give me a name for a cat.", "Give me a name for a cat."),
        (press, "n", "ArrowRight", "n=3,"),
        (drag, "n", 0, "seed=1,"),
        (press, "seed", "ArrowRight", "seed=2,"),
        (choose, "user", "What is the capital of France?", "France?"),
        (drag, "max_tokens", 0, "max_completion_tokens=4,"),
        (press, "max_tokens", "ArrowRight", " max_tokens=4,"),
        (choose_next, "system", 1, "{'role': 'system',"),
        (choose, "model", "gpt-3.5-turbo", "model='gpt-3.5-turbo'"),
    ],
}


class TestPlaygroundsInReplay:
    @pytest.mark.parametrize("widget", PLAYGROUNDS)
    def test_every_control_changes_the_request_by_mouse_and_keyboard(self, show, widget):
        panel = show(*cells_for(widget))
        for do, name, what, sent in STEPS[widget]:
            do(panel.locator(f".control-{name}"), what)
            expect(code_of(panel), f"{name}: {what}").to_contain_text(sent)
        moved = {name for _, name, _, _ in STEPS[widget]} | {"其他"}  # of chats, it has one value
        expect(panel.locator("[class*=control-]")).to_have_count(len(moved))

    @pytest.mark.parametrize("widget", PLAYGROUNDS)
    def test_run_shows_the_recorded_reply_and_what_it_took(self, show, widget):
        panel = show(*cells_for(widget))
        output = run(panel)
        expect(output).to_contain_text(FIRST_REPLY[widget])
        expect(output).to_contain_text(re.compile(r"finish_reason：(stop|length)"))
        expect(output).to_contain_text(re.compile(r"usage：\d+ \+ \d+ token"))
        expect(panel.locator(".playground-stop")).to_be_disabled()

    def test_run_can_be_pressed_by_the_keyboard(self, show):
        panel = show(*cells_for("chat_playground"))
        panel.locator(".playground-run").press("Enter")
        expect(panel.locator(".playground-output")).to_contain_text("finish_reason")

    def test_two_runs_stand_side_by_side_and_others_can_be_chosen(self, show):
        panel = show(*cells_for("completion_playground"))
        choose(panel.locator(".control-prompt"), "1, 2, 3, 4,")
        for stop in ("（不给）", "['8']", "['\\n']"):
            choose(panel.locator(".control-stop"), stop)
            expect(code_of(panel)).to_contain_text("stop=" if "[" in stop else "temperature=")
            run(panel)
        panel.get_by_text("比较（最近 10 次运行）").click()
        sides = [panel.locator(f".playground-{side}") for side in ("left", "right")]
        shown = panel.locator(".playground-compare .course-text")
        for side, name in zip(sides, ("第 2 次", "第 3 次"), strict=True):
            expect(side.locator("option:checked")).to_contain_text(name)
            expect(side.locator("option")).to_have_count(3)
        expect(shown).to_have_count(2)
        before = shown.first.inner_text()
        choose_next(sides[0], 1)
        expect(sides[0].locator("option:checked")).to_contain_text("第 1 次")
        expect(shown.first).not_to_have_text(before)


class TestPlaygroundsLive:
    @pytest.mark.parametrize("widget", PLAYGROUNDS)
    def test_a_streamed_reply_grows_piece_by_piece(self, show, widget):
        with gate() as go, model_server(lambda request: in_two(go)) as (live, _):
            panel = show(live, *cells_for(widget))
            panel.locator(".control-stream input").check()
            panel.locator(".playground-run").click()
            output = panel.locator(".playground-output")
            expect(output).to_contain_text("从前，")
            expect(panel.locator(".playground-run")).to_have_text("运行中……")
            expect(panel.locator(".playground-run")).to_be_disabled()
            assert "有座山" not in output.inner_text()
            go.set()
            expect(output).to_contain_text("从前，有座山。")
            expect(panel.locator(".playground-run")).to_have_text("运行")

    @pytest.mark.parametrize("widget", PLAYGROUNDS)
    @pytest.mark.parametrize("stream", [False, True])
    def test_stop_breaks_off_a_slow_reply_and_run_works_again(self, show, widget, stream):
        with gate() as go, gate() as asked:

            def answer(request):
                asked.set()
                return in_two(go) if stream else "".join(in_two(go))

            with model_server(answer) as (live, requests):
                panel = show(live, *cells_for(widget))
                panel.locator(".control-stream input").set_checked(stream)
                button, output = (panel.locator(f".playground-{n}") for n in ("run", "output"))
                button.click()
                expect(button).to_have_text("运行中……")
                assert asked.wait(15)
                if stream:
                    expect(output).to_contain_text("从前，")
                panel.locator(".playground-stop").click()
                expect(output).to_contain_text("已停止")
                assert ("从前，" in output.inner_text()) == stream
                expect(button).to_have_text("运行")
                expect(panel.locator(".playground-stop")).to_be_disabled()
                go.set()
                button.click()
                expect(output).to_contain_text("从前，有座山。")
                assert len(requests) == 2

    def test_the_controls_send_what_they_show_and_nothing_that_is_not_ticked(self, show):
        with model_server(lambda request: "好。") as (live, requests):
            panel = show(live, *cells_for("completion_playground"))
            run(panel)
            assert requests.pop() == {
                "model": "small", "prompt": "Once upon a time", "max_tokens": 64,
            }  # fmt: skip
            panel.get_by_label("给 max_tokens").uncheck()
            for name, number in {"temperature": "0.3", "top_p": "0.85", "n": "3"}.items():
                panel.get_by_label(f"给 {name}").check()
                type_into(panel.locator(f".control-{name} .widget-readout"), f"{number}\n")
                expect(code_of(panel)).to_contain_text(f"{name}={number},")
            type_into(panel.locator(".control-prompt textarea"), "很久以前，x")
            type_into(panel.locator(".control-model textarea"), "大模型")
            type_into(panel.locator(".control-stop textarea"), "。\n\\n")
            expect(code_of(panel)).to_contain_text("stop=['。', '\\n'],")
            run(panel)
            assert requests.pop() == {
                "model": "大模型", "prompt": "很久以前，x", "temperature": 0.3, "top_p": 0.85, "n": 3,
                "stop": ["。", "\n"],
            }  # fmt: skip

    def test_the_sliders_move_by_mouse_and_keyboard(self, show):
        with model_server(lambda request: "好。") as (live, _):
            panel = show(live, *cells_for("chat_playground"))
            for name, most, less in (
                ("max_tokens", "2048", "2047"),
                ("temperature", "2.0", "1.95"),
                ("n", "8", "7"),
            ):
                slider = panel.locator(f".control-{name}")
                panel.get_by_label(f"给 {name}").press("Space") if name != "max_tokens" else None
                drag(slider, 1)
                expect(code_of(panel)).to_contain_text(f"{name}={most},")
                press(slider, "ArrowLeft")
                expect(code_of(panel)).to_contain_text(f"{name}={less},")

    def test_a_chat_has_a_system_message_where_one_is_typed(self, show):
        with model_server(lambda request: "好。") as (live, requests):
            panel = show(live, *cells_for("chat_playground"))
            type_into(panel.locator(".control-user textarea"), "你好")
            run(panel)
            type_into(panel.locator(".control-system textarea"), "简短地答")
            expect(code_of(panel)).to_contain_text("'role': 'system'")
            run(panel)
        user = {"role": "user", "content": "你好"}
        system = {"role": "system", "content": "简短地答"}
        assert [r["messages"] for r in requests] == [[user], [system, user]]

    @pytest.mark.parametrize("widget", PLAYGROUNDS)
    def test_a_refused_parameter_is_one_line_as_the_server_said_it_and_unfolds_to_advice(
        self, show, widget
    ):
        error = {"error": {"message": "Unsupported parameter: 'max_tokens'."}}
        with model_server(lambda request: (400, error)) as (live, _):
            panel = show(live, *cells_for(widget))
            output = run(panel)
            line = output.locator(".course-error")
            expect(line).to_contain_text("服务器说：Unsupported parameter: 'max_tokens'.")
            assert line.bounding_box()["height"] < 30
            advice = output.get_by_text("看它说的是哪个参数")
            expect(advice).to_be_hidden()
            output.locator("summary").click()
            expect(advice).to_be_visible()

    def test_the_last_ten_runs_can_be_compared(self, show):
        with model_server(lambda request: f"prompt: {request['prompt']}") as (live, _):
            panel = show(live, *cells_for("completion_playground"))
            for number in range(1, 12):
                type_into(panel.locator(".control-prompt textarea"), f"{number}.")
                expect(code_of(panel)).to_contain_text(f"prompt='{number}.'")
                panel.locator(".playground-run").click()
                expect(panel.locator(".playground-output")).to_contain_text(f"prompt: {number}.")
            panel.get_by_text("比较（最近 10 次运行）").click()
            left = panel.locator(".playground-left")
            expect(left.locator("option")).to_have_count(10)
            choose_next(left, 10)
            shown = panel.locator(".playground-compare .course-text")
            expect(shown).to_have_text(["prompt: 2.", "prompt: 11."])


def in_two(go: threading.Event) -> Iterator[str]:
    """A reply whose end comes when it may."""
    yield "从前，"
    go.wait(30)
    yield "有座山。"


class TestAnyWidget:
    def test_a_stored_one_can_be_read_without_a_kernel(self, show, page, lab):
        cells = [cell for widget in WIDGETS for cell in cells_for(widget)]
        name = lab.write("stored", *cells)
        execute_chapter(lab.course, name, LESSON_WIDGETS="static")
        open_notebook(page, name)
        shown = [cell["shown"] for cell in code_cells(page)][1::2]
        words = ["gpt-4o", "Paris", "The sea is", "写下的 token 和概率", "2008"]
        for text, word in zip(shown, words, strict=True):
            assert word in text
            assert not re.search("Error displaying|Loading widget", text)

    @pytest.mark.parametrize("widget", WIDGETS)
    def test_two_do_not_interfere_and_closing_one_removes_only_it(self, show, page, widget):
        start, make = cells_for(widget)
        panels = show(start, f"first = {make}\nfirst", make)
        expect(panels).to_have_count(2)
        untouched = panels.last.inner_text()
        do, selector, what = TOUCH[widget]
        before = panels.first.inner_text()
        do(panels.first.locator(selector), what)
        expect(panels.first).not_to_have_text(before, use_inner_text=True)
        assert panels.last.inner_text() == untouched
        execute(page, "first.close()")
        expect(panels).to_have_count(1)
        do(panels.locator(selector), what)
        expect(panels).not_to_have_text(untouched, use_inner_text=True)

    @pytest.mark.parametrize("widget", PLAYGROUNDS)
    @pytest.mark.parametrize("stream", [False, True])
    def test_what_a_model_writes_is_shown_as_text(self, show, page, widget, stream):
        with model_server(lambda request: [HOSTILE] if stream else HOSTILE) as (live, _):
            panel = show(live, *cells_for(widget))
            panel.locator(".control-stream input").set_checked(stream)
            expect(run(panel)).to_contain_text(HOSTILE)
            run(panel)
            panel.get_by_text("比较（最近 10 次运行）").click()
            expect(panel.locator(".playground-compare .course-text").last).to_have_text(HOSTILE)
        assert page.evaluate("window.hacked") is None

    @pytest.mark.parametrize("widget", PLAYGROUNDS)
    def test_what_a_server_complains_of_is_shown_as_text(self, show, page, widget):
        error = {"error": {"message": f"no: {HOSTILE}", "code": HOSTILE, "type": HOSTILE}}
        with model_server(lambda request: (400, error)) as (live, _):
            panel = show(live, *cells_for(widget))
            expect(run(panel)).to_contain_text(f"no: {HOSTILE}")
        assert page.evaluate("window.hacked") is None


# Something that changes what a widget shows.
TOUCH = {
    "model_explorer": (type_into, ".model-search input", "4o mini"),
    "completion_playground": (choose, ".control-prompt", "Once upon a time"),
    "chat_playground": (choose, ".control-user", "Who are you?"),
    "sampling_explorer": (click, ".sampling-next", 1),
    "memory_explorer": (click, ".memory-send", 1),
}


MODELS = """from datetime import date

from openai.types import Model

def model(id, created):
    return Model(id=id, created=created, object="model", owned_by="system")

models = [model("gpt-4o", 1), model("o1-mini", 1e9), model("dall-e-2", 1.7e9)]"""


class TestModelExplorer:
    def test_every_control_changes_what_is_listed(self, show):
        make = 'model_explorer(models, {"o1-mini": date(2025, 1, 1)}, today=date(2025, 6, 1))'
        panel = show(MODELS, *cells_for("model_explorer", make))
        options = panel.locator(".model-list option")
        ids = re.compile
        expect(options).to_have_text([ids("dall-e-2"), ids("gpt-4o"), ids("o1-mini")])
        choose(
            panel.locator(".model-sort"), panel.locator(".model-sort option").nth(1).inner_text()
        )
        panel.locator(".model-descending").click()
        for name, label, found in (
            ("family", "推理", "o1-mini"),
            ("state", "已停用", "o1-mini"),
            ("family", "图像", "dall-e-2"),
        ):
            control = panel.locator(f".model-{name}")
            everything = control.locator("option").first.inner_text()
            choose(control, control.locator("option", has_text=label).last.inner_text())
            expect(options).to_have_text([ids(found)])
            choose(control, everything)
            expect(options).to_have_count(3)
        type_into(panel.locator(".model-search input"), "4O")
        expect(options).to_have_text([ids("gpt-4o")])
        expect(panel.locator(".model-object")).to_contain_text('"id": "gpt-4o"')
        type_into(panel.locator(".model-search input"), "llama")
        expect(panel.locator(".model-object")).to_contain_text("没有")

    def test_a_model_is_chosen_by_mouse_and_by_arrow_keys(self, show, page):
        panel = show(MODELS, *cells_for("model_explorer", "model_explorer(models)"))
        panel.locator(".model-list select").click(position={"x": 40, "y": 30})
        expect(panel.locator(".model-object")).to_contain_text('"id": "gpt-4o"')
        page.keyboard.press("ArrowDown")
        expect(panel.locator(".model-object")).to_contain_text('"id": "o1-mini"')
        expect(panel.locator(".model-code")).to_contain_text('client.models.retrieve("o1-mini")')

    def test_what_a_server_calls_its_models_is_shown_as_text(self, show, page):
        make = f"model_explorer([Model(id={HOSTILE!r}, created=1, object='model', owned_by='')])"
        panel = show(MODELS, *cells_for("model_explorer", make))
        expect(panel.locator(".model-code")).to_contain_text("<img src=x onerror=")
        assert page.evaluate("window.hacked") is None


class TestSamplingExplorer:
    def test_every_control_changes_the_bars_by_mouse_and_keyboard(self, show):
        panel = show(*cells_for("sampling_explorer"))
        bars = panel.locator(".sampling-bars")
        for do, selector, what in (
            (drag, ".sampling-temperature", 0.25),
            (press, ".sampling-temperature", "ArrowRight"),
            (type_into, ".sampling-temperature .widget-readout", "1.5\n"),
            (drag, ".sampling-top-p", 0.5),
            (press, ".sampling-top-p", "ArrowLeft"),
            (click, ".sampling-draw-one", 1),
            (click, ".sampling-draw", 1),
            (click, ".sampling-clear", 1),
            (click, ".sampling-next", 1),
            (click, ".sampling-previous", 1),
        ):
            before = bars.inner_text()
            do(panel.locator(selector), what)
            expect(bars, f"{selector} {what}").not_to_have_text(before, use_inner_text=True)

    def test_a_token_is_chosen_by_mouse_and_by_keyboard(self, show):
        panel = show(*cells_for("sampling_explorer"))
        tokens, bars = panel.locator(".sampling-token"), panel.locator(".sampling-bars")
        expect(panel.locator(".sampling-previous")).to_be_disabled()
        tokens.nth(2).click()
        expect(bars).to_contain_text("第 3 个 token")
        expect(tokens.nth(2)).to_have_class(re.compile("sampling-current"))
        tokens.nth(4).press("Enter")
        expect(bars).to_contain_text("第 5 个 token")

    def test_draws_are_counted_and_cleared(self, show):
        panel = show(*cells_for("sampling_explorer"))
        bars = panel.locator(".sampling-bars")
        for button, drawn in (("draw", 100), ("draw-one", 101), ("clear", 0)):
            panel.locator(f".sampling-{button}").click()
            expect(bars).to_contain_text(f"抽到 {drawn} 次")

    def test_tokens_are_shown_as_text(self, show, page):
        logprobs = {
            "tokens": [HOSTILE], "token_logprobs": [-0.1], "top_logprobs": [{HOSTILE: -0.1}],
        }  # fmt: skip
        choice = {"index": 0, "finish_reason": "stop", "text": "", "logprobs": logprobs}
        make = (
            "from openai.types import Completion\n"
            f"sampling_explorer(Completion.construct(**{ {'choices': [choice]} }))"
        )
        panel = show(*cells_for("sampling_explorer", make))
        expect(panel.locator(".sampling-bars")).to_contain_text('onerror="window.hacked=1">')
        assert page.evaluate("window.hacked") is None


class TestMemoryExplorer:
    def test_what_is_ticked_is_what_is_sent(self, show):
        panel = show(*cells_for("memory_explorer"))
        messages = panel.locator(".memory-messages")
        ticks = panel.locator(".memory-tick input")
        bubbles = panel.locator(".memory-row .memory-bubble")
        count = ticks.count()
        first = bubbles.first.locator(".course-text").inner_text()
        expect(messages).to_contain_text(first)
        ticks.first.click()
        expect(messages).not_to_contain_text(first)
        expect(bubbles.first).to_contain_text("不发送")
        expect(panel.locator(".memory-send")).to_be_disabled()
        ticks.first.press("Space")
        expect(messages).to_contain_text(first)
        expect(panel.locator(".memory-send")).to_be_enabled()
        panel.locator(".memory-last").click()
        expect(panel.locator(".memory-off")).to_have_count(count - 1)
        panel.locator(".memory-whole").click()
        expect(panel.locator(".memory-off")).to_have_count(0)

    def test_with_and_without_the_history_the_recorded_replies_differ(self, show):
        panel = show(*cells_for("memory_explorer"))
        reply = panel.locator(".memory-reply .course-text")
        panel.locator(".memory-send").click()
        expect(reply).to_be_visible()
        whole = reply.inner_text()
        panel.locator(".memory-last").click()
        expect(panel.locator(".memory-off").first).to_be_visible()
        expect(panel.locator(".memory-send")).to_be_enabled()
        panel.locator(".memory-send").press("Enter")
        expect(reply).not_to_have_text(whole)

    def test_a_live_conversation_goes_on_with_what_is_typed(self, show, page):
        with model_server(lambda request: HOSTILE) as (live, requests):
            panel = show(live, *cells_for("memory_explorer"))
            panel.locator(".memory-send").click()
            expect(panel.locator(".memory-reply")).to_contain_text(HOSTILE)
            type_into(panel.locator(".memory-draft input"), "再说一遍")
            expect(panel.locator(".memory-messages")).to_contain_text("再说一遍")
            panel.locator(".memory-send").click()
            expect(panel.locator(".memory-bar")).to_have_count(2)
        assert requests[1]["messages"] == [
            *requests[0]["messages"],
            {"role": "assistant", "content": HOSTILE},
            {"role": "user", "content": "再说一遍"},
        ]
        assert page.evaluate("window.hacked") is None

    def test_stop_breaks_off_a_slow_reply(self, show):
        with gate() as go, gate() as asked:

            def answer(request):
                asked.set()
                return "".join(in_two(go))

            with model_server(answer) as (live, _):
                panel = show(live, *cells_for("memory_explorer"))
                panel.locator(".memory-send").click()
                expect(panel.locator(".memory-send")).to_have_text("等待回复…")
                assert asked.wait(15)
                panel.locator(".memory-stop").click()
                expect(panel.locator(".memory-error")).to_contain_text("已停止")
                expect(panel.locator(".memory-send")).to_be_enabled()


@pytest.mark.live
@pytest.mark.parametrize("widget", PLAYGROUNDS)
def test_the_model_on_this_machine_answers_in_a_playground(show, model_server, widget):
    settings = {"LESSON_MODE": "live", "OPENAI_BASE_URL": model_server, "OPENAI_API_KEY": KEY}
    settings |= {"CHAT_MODEL": MODEL, "COMPLETION_MODEL": MODEL}
    panel = show(f"import os\n\nos.environ |= {settings}", *cells_for(widget))
    output = run(panel)
    expect(output).to_contain_text(MODEL, timeout=60_000)
    expect(output).to_contain_text("usage：")
    expect(output.locator(".course-error")).to_have_count(0)
