"""Every chapter runs to its end on a server that can do little, and says what that can't do."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from course import CHAPTERS, copy_course, run_all, text_of

CHAT = {"id": "c", "object": "chat.completion", "created": 1, "model": "small"}
HELLO = {"role": "assistant", "content": "Hello, I speak English only."}
NOT_FOUND = 404, {"detail": "Not Found"}


def only_chat(method: str, path: str, request: dict) -> tuple[int, dict | list]:
    """Replies in English to /chat/completions, and knows nothing else."""
    if (method, path) != ("POST", "/v1/chat/completions"):
        return NOT_FOUND
    if request.get("stream"):
        return 200, [CHAT | {"choices": [{"index": 0, "delta": HELLO, "finish_reason": None}]}]
    return 200, CHAT | {"choices": [{"index": 0, "message": HELLO, "finish_reason": "stop"}]}


def only_the_required(method: str, path: str, request: dict) -> tuple[int, dict | list]:
    """Has every endpoint, and refuses every parameter that can be left out."""
    if path == "/v1/models":
        return 200, {"object": "list", "data": [{"id": "small", "object": "model"}]}
    if method != "POST":
        return NOT_FOUND
    for parameter in sorted(request.keys() - {"model", "messages", "prompt"}):
        message = f"Unsupported parameter: '{parameter}'."
        return 400, {"error": {"message": message, "param": parameter, "code": None}}
    return only_chat(method, path, request)


def says_nothing(method: str, path: str, request: dict) -> tuple[int, dict | list]:
    """Has every endpoint, no model, no usage and no stream; its replies have no text."""
    if method == "GET":
        return 200, {"object": "list", "data": []}
    silence = {"index": 0, "text": None, "message": {"role": "assistant", "content": None}}
    return 200, CHAT | {"choices": [silence]}


@contextmanager
def serving(answer) -> Iterator[dict[str, str]]:
    """A server that answers so: yields the settings for it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, reply = answer(self.command, self.path, json.loads(body or b"{}"))
            self.send_response(status)
            if isinstance(reply, list):
                self.send_header("content-type", "text/event-stream")
                text = "".join(f"data: {json.dumps(event)}\n\n" for event in reply)
                text += "data: [DONE]\n\n"
            else:
                self.send_header("content-type", "application/json")
                text = json.dumps(reply)
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1",
            "OPENAI_API_KEY": "any",
            "CHAT_MODEL": "small",
            "COMPLETION_MODEL": "small",
            "LESSON_MODE": "live",
        }
        server.shutdown()


@pytest.mark.parametrize(
    ("chapter", "said"),
    [
        ("01_models", ["没有这个接口（/v1/models）", "它要用 models", "status_code: 404"]),
        ("02_completions", ["没有这个接口（/v1/completions）", "它要用 data", "I speak"]),
        ("03_chat", ["I speak English only.", "回复里没有中文", "这个服务器没有给出 logprobs"]),
    ],
)
def test_on_a_server_that_has_only_chat(tmp_path, chapter, said):
    with serving(only_chat) as settings:
        cells = run_all(copy_course(tmp_path), chapter, **settings)
    shown = "\n".join(map(text_of, cells))
    assert [words for words in said if words not in shown] == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_on_a_server_that_refuses_parameters(tmp_path, chapter):
    with serving(only_the_required) as settings:
        cells = run_all(copy_course(tmp_path), chapter, **settings)
    shown = "\n".join(map(text_of, cells))
    if chapter == "01_models":
        assert "['small']" in shown
    else:
        assert "服务器说：Unsupported parameter: '" in shown
        assert "看它说的是哪个参数" in shown


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_on_a_server_that_says_nothing(tmp_path, chapter):
    with serving(says_nothing) as settings:
        cells = run_all(copy_course(tmp_path), chapter, **settings)
    shown = "\n".join(map(text_of, cells))
    said = {
        "01_models": "服务器的回复是空的",
        "02_completions": "回复里没有找到 Python 代码",
        "03_chat": "没有收到事件",
    }
    assert said[chapter] in shown


def test_where_nobody_listens(tmp_path):
    nobody = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": "any"}
    models = {"CHAT_MODEL": "small", "COMPLETION_MODEL": "small"}
    cells = run_all(copy_course(tmp_path), "01_models", LESSON_MODE="live", **nobody, **models)
    shown = "\n".join(map(text_of, cells))
    assert "连不上" in shown
