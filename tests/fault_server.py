"""A server on this machine whose replies are faulty, each in the way that its path names."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HTML = "text/html; charset=utf-8"
EVENTS = "text/event-stream"
PAGE = """<!DOCTYPE html>
<html><head><title>502 Bad Gateway</title><style>body {color: red}</style></head>
<body><h1>502 Bad Gateway</h1><hr>nginx</body></html>"""
CHUNK = 'data: {"choices":[{"text":"春"}]}\n\n'


@dataclass(frozen=True)
class Reply:
    """What the server answers. `missing`: bytes announced and never sent; `after`: seconds."""

    status: int
    body: object
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    missing: int = 0
    after: float = 0

    def content(self) -> bytes:
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


def error(message: str, code: str | None = None) -> dict:
    """An error in the form of OpenAI."""
    return {"error": {"message": message, "type": "a_type", "param": None, "code": code}}


GOOD = Reply(200, {"choices": [{"text": "天来了"}], "data": [{"id": "m"}]})

# By the first part of the path.
REPLIES = {
    "good": GOOD,
    "500": Reply(500, error("The server had an error")),
    "500-empty": Reply(500, ""),
    "502": Reply(502, PAGE, HTML),
    "429": Reply(429, error("Rate limit reached"), headers={"retry-after": "7"}),
    "429-date": Reply(
        429,
        error("Rate limit reached"),
        headers={"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"},
    ),
    "429-no-time": Reply(429, error("Rate limit reached")),
    "429-quota": Reply(429, error("You exceeded your current quota", "insufficient_quota")),
    "400": Reply(400, error("max_tokens is too large: 1000000.", "invalid_value")),
    "401-openai": Reply(401, error("Incorrect API key provided: {masked}.", "invalid_api_key")),
    "401-whole-key": Reply(401, error("Received API Key = {key}")),
    "401-llama.cpp": Reply(401, {"detail": "Invalid API key"}),
    "403": Reply(403, error("Country, region, or territory not supported")),
    "404-openai": Reply(404, error("The model `m` does not exist", "model_not_found")),
    "404-llama.cpp": Reply(404, {"detail": "Not Found"}),
    "404-ollama": Reply(404, {"error": {"message": "model 'm' not found", "type": "api_error"}}),
    "404-ollama-old": Reply(404, {"error": "model 'm' not found, try pulling it first"}),
    "404-text": Reply(404, "404 page not found", "text/plain"),
    "404-vllm": Reply(
        404, {"object": "error", "message": "The model `m` does not exist.", "code": 404}
    ),
    "409": Reply(409, error("Conflict of some kind")),
    "418": Reply(418, ""),
    "422": Reply(
        422,
        {
            "detail": [
                {"type": "missing", "loc": ["body", "prompt"], "msg": "Field required"},
                {"type": "int_type", "loc": ["body", "stop", 0], "msg": "Input should be text"},
            ]
        },
    ),
    "422-odd-list": Reply(422, {"detail": ["no prompt", {"reason": "none"}]}),
    "other-object": Reply(400, {"reason": "none"}),
    "long": Reply(400, error("很长" * 5000)),
    "list": Reply(400, ["not", "an", "object"]),
    "no-choices": Reply(200, {"error": "Unexpected endpoint"}),
    "page": Reply(200, PAGE, HTML),
    "truncated": Reply(200, '{"choices": [{"text": "天'),
    "too-short": Reply(200, '{"choices": [', missing=100),
    "slow": Reply(200, GOOD.body, after=0.3),
    "stream": Reply(200, CHUNK * 2 + "data: [DONE]\n\n", EVENTS),
    "stream-cut": Reply(200, CHUNK, EVENTS, missing=100),
    "stream-error": Reply(
        200, f"{CHUNK}data: {json.dumps(error('The model ran out of memory'))}\n\n", EVENTS
    ),
}


@contextmanager
def fault_server() -> Iterator[tuple[str, dict]]:
    """Run it inside the `with` block: yields its URL, and the replies it gives, by path.

    A list of replies is given one by one.
    """
    replies: dict[str, Reply | list[Reply]] = dict(REPLIES)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("content-length", 0)))
            reply = replies[self.path.split("/")[1]]
            if isinstance(reply, list):
                reply = reply.pop(0)
            time.sleep(reply.after)
            key = self.headers["authorization"].removeprefix("Bearer ")
            content = reply.content().replace(b"{key}", key.encode())
            content = content.replace(b"{masked}", f"{key[:8]}****{key[-4:]}".encode())
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-type", reply.kind)
            self.send_header("content-length", str(len(content) + reply.missing))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *args):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args):
            """A client that waited no longer is no news."""

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", replies
        server.shutdown()
