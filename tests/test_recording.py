"""Record mode: what is kept of each exchange, when, and how; and what is never written down."""

import asyncio
import errno
import gzip
import itertools
import json
import multiprocessing
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx2
import openai
import pytest
import yaml

from helpers.cassette_file import CassetteFile, RecordingError
from helpers.recordings import load_cassette, recording, replaying, sources

RECORDINGS = Path(__file__).parent.parent / "notebooks" / "recordings"
TODAY = f"{date.today()}"
MODELS = {"chat_model": "asked"}
PROMPT = {"model": "asked", "prompt": "春"}
MESSAGES = {"model": "asked", "messages": [{"role": "user", "content": "你好"}]}

# Of no real form, so that only its being the key in use makes it secret. JSON and URLs have
# other spellings for some of its characters.
KEY = "planted/4Kx9+b=Zq7"


@dataclass
class Reply:
    """What the server says. With `pieces` the body comes chunked, else at once."""

    body: bytes = b""
    status: int = 200
    kind: str = "application/json"
    headers: list[tuple[str, str]] = field(default_factory=list)
    pieces: list[bytes] | None = None
    cut: bool = False  # it breaks off before its end


@dataclass
class Server:
    """A server on this machine: `replies` are by path, or functions of the request's JSON."""

    url: str
    replies: dict[str, Reply | Callable[[Any], Reply]]
    requests: list[tuple[str, bytes]] = field(default_factory=list)


def answer(text="天来了", model="m-1", headers=(), **more: Any) -> Reply:
    """A completion."""
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": "stop"} | more
    body = {"id": "cmpl-1", "object": "text_completion", "model": model, "choices": [choice]}
    return Reply(json.dumps(body, ensure_ascii=False).encode(), headers=list(headers))


def refusal(message: str, status=401, headers=()) -> Reply:
    """An error in the API's form."""
    error = {"message": message, "type": "invalid_request_error", "code": "x", "param": None}
    body = json.dumps({"error": error}, ensure_ascii=False).encode()
    return Reply(body, status, headers=list(headers))


def stream(*texts: str, indexes: tuple[int, ...] = (0,), cut=False) -> Reply:
    """A chat's stream with one event for each text, `indexes` of its choices by turns."""
    events = [
        {"model": "m-1", "choices": [{"index": index, "delta": {"content": text}}]}
        for text, index in zip(texts, itertools.cycle(indexes), strict=False)
    ]
    lines = [*(json.dumps(event, ensure_ascii=False) for event in events), "[DONE]"]
    body = "".join(f"data: {line}\n\n" for line in lines).encode()
    pieces = [body[i : i + 7] for i in range(0, len(body), 7)]  # across characters and events
    return Reply(kind="text/event-stream", pieces=pieces[: -5 if cut else None], cut=cut)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "loopback", ""

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.said.requests.append((self.path, body))
        path = self.path.partition("?")[0].removeprefix("/v1")
        reply = self.server.said.replies.get(path) or refusal("not here", 404)
        with suppress(ConnectionError):  # whoever asked has been killed
            self.say(reply(json.loads(body)) if callable(reply) else reply)

    do_POST = do_GET

    def say(self, reply: Reply):
        self.send_response(reply.status)
        framing = (
            ("transfer-encoding", "chunked")
            if reply.pieces
            else ("content-length", f"{len(reply.body) + 10 * reply.cut}")
        )
        kind = ("content-type", reply.kind)
        for name, value in [kind, framing, ("connection", "close"), *reply.headers]:
            self.send_header(name, value)
        self.end_headers()
        for piece in reply.pieces or ():
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n" if reply.pieces and not reply.cut else reply.body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    """The server that OPENAI_BASE_URL names. Closed by `server.close()`, at the latest here."""
    replies = {
        "/completions": answer(),
        "/chat/completions": stream("天", "来", "了"),
        "/models": Reply(b'{"object": "list", "data": [{"id": "m-1"}]}'),
        "/files": Reply(b'{"id": "file-1", "object": "file"}'),
    }
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.said = said = Server(f"http://127.0.0.1:{http.server_port}/v1", replies)
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("OPENAI_BASE_URL", said.url)
        yield said
        http.shutdown()


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "lesson.yaml"


@pytest.fixture
def client(server) -> openai.OpenAI:
    return new_client()


@pytest.fixture
def kept(file, server):
    """Records what a function asks, which may fail, and returns the file's text."""

    def kept(ask: Callable[[], Any]) -> str:
        with recording(file, models=MODELS), suppress(openai.APIStatusError):
            ask()
        return file.read_text("utf-8") if file.exists() else ""

    return kept


def interactions(file: Path) -> list[dict]:
    """What is in the file, read without the helpers."""
    return yaml.safe_load(file.read_text("utf-8"))["interactions"]


def texts(file: Path) -> list[str]:
    """The completions' texts in a file."""
    bodies = [i["response"]["body"]["string"] for i in interactions(file)]
    return [json.loads(body)["choices"][0]["text"] for body in bodies]


def new_client(key: str | None = KEY, **options: Any) -> openai.OpenAI:
    """A client; without certificates, which take long to load."""
    http = openai.DefaultHttpxClient(verify=False)
    return openai.OpenAI(api_key=key, http_client=http, **options)


def ask(client: openai.OpenAI, **changes: Any) -> str:
    return client.completions.create(**PROMPT | changes).choices[0].text


def chunks(client: openai.OpenAI) -> list[str]:
    events = client.chat.completions.create(**MESSAGES, stream=True)
    return [event.choices[0].delta.content for event in events]


def replayed(file: Path, ask: Callable[[openai.OpenAI], Any]) -> Any:
    """What a client gets from the file, at an address where nobody answers."""
    with pytest.MonkeyPatch.context() as patch, replaying(load_cassette(file)):
        patch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
        return ask(new_client("no key", max_retries=0))


def assert_absent(text: str, secret: str) -> None:
    """No eight characters of a secret are in a file's text, however they are spelled there."""
    spellings = text, unquote(text), text.replace("\\", ""), unquote(text.replace("\\", ""))
    for part in (secret[i : i + 8] for i in range(len(secret) - 7)):
        assert not any(part in spelling for spelling in spellings), text


def assert_removed(text: str, *secrets: str) -> None:
    """An exchange was kept, and something was taken out of it."""
    assert len(yaml.safe_load(text)["interactions"]) == 1
    assert "[removed]" in text
    for secret in secrets:
        assert_absent(text, secret)


# An exchange is kept at once, and replays


def test_an_exchange_is_in_the_file_before_the_next_call_begins(file, server, client):
    server.replies["/completions"] = lambda sent: answer(f"{sent['prompt']}天")
    with recording(file, models=MODELS):
        for count, prompt in enumerate("春夏秋", 1):
            ask(client, prompt=prompt)
            assert texts(file) == ["春天", "夏天", "秋天"][:count]


def test_what_was_recorded_replays_without_the_server(file, client):
    with recording(file, models=MODELS):
        ask(client)
        client.models.list()
    assert replayed(file, ask) == "天来了"
    assert replayed(file, lambda client: client.models.list().data[0].id) == "m-1"


def test_the_async_client_is_recorded(file, server):
    async def both() -> None:
        async with openai.AsyncOpenAI(api_key=KEY) as client:
            create = client.completions.create
            await asyncio.gather(*(create(**PROMPT | {"prompt": p}) for p in "春夏"))
            assert sorted(texts(file)) == ["夏天", "春天"]
            async for _ in await client.chat.completions.create(**MESSAGES, stream=True):
                pass

    server.replies["/completions"] = lambda sent: answer(f"{sent['prompt']}天")
    with recording(file, models=MODELS):
        asyncio.run(both())
    assert replayed(file, lambda client: ask(client, prompt="夏")) == "夏天"
    assert replayed(file, chunks) == ["天", "来", "了"]


def test_a_stream_replays_in_its_chunks(file, server, client):
    parts = ["天", "😀👩‍🚀", "\n", "  ", "\u2028", "了 ", '"\\n']
    server.replies["/chat/completions"] = stream(*parts)
    with recording(file, models=MODELS):
        assert chunks(client) == parts
    assert replayed(file, chunks) == parts


def test_a_stream_replays_byte_for_byte(file, server, client):
    def raw(client: openai.OpenAI) -> bytes:
        create = client.chat.completions.with_raw_response.create
        return create(**MESSAGES, stream=True).http_response.read()

    sent = stream("天", "😀", "来")
    windows = [p.replace(b"\n", b"\r\n") for p in sent.pieces]
    for pieces in (sent.pieces, windows, [b": a comment\n\n", *sent.pieces, b"event: x\n\n"]):
        server.replies["/chat/completions"] = Reply(kind="text/event-stream", pieces=pieces)
        with recording(file, models=MODELS):
            raw(client)
        assert replayed(file, raw) == b"".join(pieces)


def test_threads_that_record_at_once_lose_nothing(file, server, client):
    server.replies["/completions"] = lambda sent: answer(sent["prompt"])
    prompts = [f"{n}" for n in range(40)]
    with recording(file, models=MODELS), ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda prompt: ask(client, prompt=prompt), prompts))
    assert sorted(texts(file)) == sorted(prompts)
    assert replayed(file, lambda client: [ask(client, prompt=p) for p in prompts]) == prompts


def test_one_exchange_is_saved_after_the_other(file, client, monkeypatch):
    """Else the one of two threads that began first may put its older file in the place last."""
    save, saving, most = CassetteFile.save_cassette, [], []

    def slow(*arguments: Any, serializer: Any) -> None:
        saving.append(1)
        most.append(len(saving))
        time.sleep(0.01)
        save(*arguments, serializer)
        saving.pop()

    monkeypatch.setattr(CassetteFile, "save_cassette", slow)
    with recording(file, models=MODELS), ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda prompt: ask(client, prompt=prompt), "春夏秋冬"))
    assert most == [1] * 4


def test_a_compressed_reply_is_kept_readable_and_replays(file, server, client):
    plain = answer()
    server.replies["/completions"] = Reply(
        gzip.compress(plain.body), headers=[("content-encoding", "gzip")]
    )
    with recording(file, models=MODELS):
        assert ask(client) == "天来了"
    assert "天来了" in file.read_text("utf-8")
    assert replayed(file, ask) == "天来了"


# Recording again


def test_the_same_request_gets_the_new_reply_in_its_place(file, server, client):
    server.replies["/completions"] = answer("旧")
    with recording(file, models=MODELS):
        for prompt in "春夏秋":
            ask(client, prompt=prompt)
    server.replies["/completions"] = answer("新")
    with recording(file, models=MODELS):
        ask(client, prompt="夏")
    assert texts(file) == ["旧", "新", "旧"]


def test_the_order_of_keys_makes_no_other_request(file, server, client):
    with recording(file, models=MODELS):
        client.post("/completions", body={"model": "m", "prompt": "春"}, cast_to=object)
        server.replies["/completions"] = answer("新")
        client.post("/completions", body={"prompt": "春", "model": "m"}, cast_to=object)
    assert texts(file) == ["新"]


@pytest.mark.parametrize("name", ["03_chat.yaml", "experiments.yaml"])
def test_recording_one_more_leaves_the_others_byte_for_byte(file, client, name):
    before = (RECORDINGS / name).read_bytes()
    file.write_bytes(before)
    with recording(file, models=load_cassette(file).metadata["models"]):
        ask(client)
    after = file.read_bytes()
    assert after.startswith(before) and "天来了" in after[len(before) :].decode()


def test_recording_one_again_changes_no_other(file, client):
    shutil.copy(RECORDINGS / "03_chat.yaml", file)
    before = interactions(file)
    with recording(file, models=load_cassette(file).metadata["models"]):
        client.post("/chat/completions", body=json.loads(before[1]["request"]["body"]), cast_to=str)
    after = interactions(file)
    assert after[1]["request"] == before[1]["request"]
    assert after[1]["response"] != before[1]["response"]
    assert [after[0], *after[2:]] == [before[0], *before[2:]]


def test_nothing_is_written_when_nothing_is_asked(file):
    with recording(file, models=MODELS):
        pass
    assert not file.exists()


# Provenance


def test_a_new_file_says_origin_date_and_models(file, client):
    with recording(file, models=MODELS, note="注"):
        ask(client)
    assert load_cassette(file).metadata == {
        "origin": "recorded",
        "date": TODAY,
        "models": MODELS,
        "note": "注",
    }


def test_an_older_file_keeps_its_origin_and_its_date(file, client):
    shutil.copy(RECORDINGS / "03_chat.yaml", file)
    old = load_cassette(file)
    with recording(file, models={"chat_model": "new"}):
        ask(client)
    new = load_cassette(file)
    assert new.metadata == old.metadata | {"models": {"chat_model": "new"}}
    assert sources(new) == f"{sources(old)}；1 条，{TODAY} 录自 m-1"


@pytest.mark.parametrize(
    ("path", "reply", "model"),
    [
        ("/completions", answer(model="m-1"), {"model": "m-1"}),
        ("/completions", refusal("no such model", 404), {"model": "asked"}),
        ("/chat/completions", stream("天"), {"model": "m-1"}),
        ("/models", Reply(b'{"data": []}'), {}),
        ("/models", Reply(b"[1]"), {}),
    ],
    ids=["reply", "request", "stream", "neither", "no object"],
)
def test_the_response_says_when_it_came_and_from_whom(server, client, kept, path, reply, model):
    server.replies[path] = reply
    body = {"model": "asked"} if model else {}
    text = kept(lambda: client.post(path, body=body, cast_to=object))
    (exchange,) = yaml.safe_load(text)["interactions"]
    expected = {"date": TODAY, **model, "server": "loopback"}
    assert exchange["response"]["recorded"] == expected


def test_a_server_that_does_not_name_itself_is_not_named(client, kept, monkeypatch):
    monkeypatch.setattr(Handler, "send_response", Handler.send_response_only)
    assert "server" not in kept(lambda: ask(client))


# kill -9


def record_for_ever(file: Path, url: str, report: Any) -> None:
    """Record until killed, and report each call that has returned. For a process of its own."""
    os.environ["OPENAI_BASE_URL"] = url
    client = new_client()
    with recording(file, models=MODELS):
        for n in itertools.count():
            ask(client, prompt=f"{n}")
            report.send(n)


def sizes(folder: Path) -> dict[str, int]:
    """The files in a folder, and how long they are at this moment."""
    found = {}
    for entry in os.scandir(folder):
        with suppress(FileNotFoundError):  # renamed since
            found[entry.name] = entry.stat().st_size
    return found


@pytest.mark.skipif(os.name == "nt", reason="Windows has no kill -9")
def test_a_kill_at_any_moment_loses_at_most_the_exchange_in_flight(tmp_path, server):
    chance = random.Random(1)
    server.replies["/completions"] = lambda sent: answer("很长的回复\n" * 4000)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["openai", "httpcore2", "pytest", "helpers.recordings"])
    while_writing = 0
    for round_ in range(40):
        folder = tmp_path / f"{round_}"
        folder.mkdir()
        file = folder / "lesson.yaml"
        reports, report = processes.Pipe(duplex=False)
        arguments = (file, server.url, report)
        child = processes.Process(target=record_for_ever, args=arguments, daemon=True)
        child.start()
        report.close()
        finished = {reports.recv()}
        time.sleep(chance.uniform(0, 0.04))
        if round_ % 2:  # as soon as something is being written
            before = sizes(folder)
            while sizes(folder) == before:
                pass
        child.kill()
        child.join()
        with suppress(EOFError):
            while True:
                finished.add(reports.recv())
        while_writing += len(sizes(folder)) > 1
        found = {int(json.loads(r.body)["prompt"]) for r in load_cassette(file).requests}
        assert found == set(range(len(found)))
        assert finished <= found
        assert len(found - finished) <= 1  # saved, but killed before it could say so
        shutil.rmtree(folder)
    assert while_writing >= 5


# Nothing secret is written


def with_key(text: bytes, spelled: str) -> Reply:
    """A reply whose text holds the key in some spelling that JSON allows."""
    return Reply(answer("KEY").body.replace(b"KEY", text + spelled.encode()))


SPELLINGS = {
    "plain": KEY,
    "escaped slash": KEY.replace("/", r"\/"),
    "escaped characters": "".join(f"\\u{ord(c):04x}" for c in KEY),
    "escaped characters in capitals": "".join(f"\\u{ord(c):04X}" for c in KEY),
    "JSON in JSON": KEY.replace("/", r"\\/"),
    "percent": quote(KEY, safe=""),
    "percent in small letters": quote(KEY, safe="")
    .lower()
    .replace("kx9", "Kx9")
    .replace("zq", "Zq"),
    "percent in parts": quote(KEY, safe="/="),
    "percent for all": "".join(f"%{ord(c):02x}" for c in KEY),
    "after a line break": r"\n" + KEY,
}


@pytest.mark.parametrize("spelled", SPELLINGS.values(), ids=SPELLINGS)
def test_the_key_is_removed_from_a_reply_however_it_is_spelled(server, client, kept, spelled):
    server.replies["/completions"] = with_key("密钥：".encode(), spelled)
    assert_removed(kept(lambda: ask(client)), KEY)


def test_the_sdks_own_header_is_not_kept(client, kept):
    text = kept(lambda: ask(client))
    assert_absent(text, KEY)
    assert "uthorization" not in text and "Bearer" not in text
    assert "headers: {}" in text


def test_the_key_is_removed_from_the_prompt(client, kept):
    text = kept(lambda: ask(client, prompt=f"我的密钥是 {KEY}。"))
    assert_removed(text, KEY)
    assert "我的密钥是 [removed]。" in text


@pytest.mark.parametrize("name", ["api-key", "api_key", "key", "access_token", "anything"])
def test_the_key_is_removed_from_the_query(client, kept, name):
    text = kept(lambda: client.models.list(extra_query={name: KEY, "page": "2"}))
    assert_removed(text, KEY)
    assert "page=2" in text


@pytest.mark.parametrize("name", ["api-key", "api_key", "key", "access_token", "sig"])
def test_another_key_in_the_query_is_secret_too(server, client, kept, name):
    other = "another-4Kx9bZq7"
    server.replies["/models"] = refusal(f"no such key: {other}", 400)
    assert_removed(kept(lambda: client.models.list(extra_query={name: other})), other)


def test_the_user_info_of_the_base_url_is_removed(server, kept, monkeypatch):
    user, password = "user-name", "pass/word+1"
    info = f"{user}:{quote(password, safe='')}@"
    monkeypatch.setenv("OPENAI_BASE_URL", server.url.replace("//", f"//{info}"))
    server.replies["/completions"] = answer(f"{user}, {password}, {info}")
    assert_removed(kept(lambda: ask(new_client())), user, password)


def test_the_key_from_the_environment_is_removed_though_another_one_is_sent(
    client, kept, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "environment/4Kx9")
    text = kept(lambda: ask(client, prompt=f"{KEY}, environment/4Kx9"))
    assert_removed(text, KEY, "environment/4Kx9")


@pytest.mark.parametrize("name", ["X-Api-Key", "api-key", "x-goog-api-key", "X-Auth-Token"])
def test_a_key_in_another_header_is_secret_too(server, client, kept, name):
    other = "another-4Kx9bZq7"
    server.replies["/completions"] = answer(f"你的密钥：{other}")
    assert_removed(kept(lambda: ask(client, extra_headers={name: other})), other)


MASKED = [
    "sk-ab***wxyz",
    "sk-proj-" + "*" * 120 + "wxyz",
    "planted/***Zq7x",
    "sk-...wxyz",
]


@pytest.mark.parametrize("masked", [KEY, *MASKED])
@pytest.mark.parametrize("before", ["", "provided:\n", "provided: "])
def test_a_key_is_removed_from_an_error_message_also_when_masked(
    server, client, kept, masked, before
):
    server.replies["/completions"] = refusal(f"{before}{masked}. You can find it at http://x")
    text = kept(lambda: ask(client))
    assert_removed(text)
    assert masked not in text and masked[-4:] not in text
    assert "You can find it at http://x" in text


def test_the_key_is_removed_from_a_streams_chunk(server, client, kept):
    server.replies["/chat/completions"] = stream("密钥", KEY, "完")
    assert_removed(kept(lambda: chunks(client)), KEY)


def test_a_streams_error_is_cleared_as_other_errors_are(server, client, kept):
    event = {"error": {"message": "failed: req_4f2a9c81d, org-4f2A9c"}}
    body = f"data: {json.dumps(event)}\n\n".encode()
    server.replies["/chat/completions"] = Reply(body, kind="text/event-stream")
    text = kept(lambda: pytest.raises(openai.APIError, chunks, client))
    assert_removed(text, "req_4f2a9c81d", "org-4f2A9c")


# One token for each part of the key.
PARTS = [KEY[i : i + 3] for i in range(0, len(KEY), 3)]
LOGPROBS = {
    "tokens": {"tokens": PARTS},
    "chat tokens": {"content": [{"token": part, "top_logprobs": []} for part in PARTS]},
    "bytes": {"content": [{"bytes": list(part.encode())} for part in PARTS]},
}
SPLIT = {
    "a stream": stream(*PARTS),
    "a stream character by character": stream(*KEY),
    "one of two choices": stream(*"".join(f"{a}x" for a in KEY), indexes=(0, 1)),
    **{name: answer("", logprobs=logprobs) for name, logprobs in LOGPROBS.items()},
}


@pytest.mark.parametrize("reply", SPLIT.values(), ids=SPLIT)
def test_a_reply_that_spells_the_key_in_parts_is_not_kept(server, client, kept, capsys, reply):
    server.replies["/completions"] = reply
    assert kept(lambda: client.completions.with_raw_response.create(**PROMPT)) == ""
    said = capsys.readouterr().out
    assert "没有录下这次请求（POST /completions）：回复把密钥拆成几段" in said
    assert_absent(said, KEY)


@pytest.mark.parametrize("by", ["option", "environment"])
def test_organisation_and_project_are_removed(server, kept, monkeypatch, by):
    names = {"organization": "org-4f2A9cAb", "project": "proj_4f2A9cAb"}
    if by == "environment":
        monkeypatch.setenv("OPENAI_ORG_ID", names["organization"])
        monkeypatch.setenv("OPENAI_PROJECT_ID", names["project"])
    client = new_client(**names if by == "option" else {})
    server.replies["/completions"] = answer("".join(names.values()))
    assert_removed(kept(lambda: ask(client)), *names.values())


@pytest.mark.parametrize(
    "name", ["openai-organization", "openai-project", "x-request-id", "request-id"]
)
@pytest.mark.parametrize("say", [answer, refusal])
def test_what_the_replys_headers_say_of_the_account_is_removed(server, client, kept, name, say):
    value = "my-company-4f2a"
    server.replies["/completions"] = say(f"For {value}.", headers=[(name, value)])
    text = kept(lambda: ask(client))
    assert_removed(text, value)
    assert "For [removed]." in text and name not in text


@pytest.mark.parametrize("identity", ["org-4f2A9cAb", "proj_4f2A9cAb", "req_4f2a9cab"])
def test_ids_are_removed_from_an_error_message(server, client, kept, identity):
    server.replies["/completions"] = refusal(f"Of\n{identity}", 403)
    assert_removed(kept(lambda: ask(client)), identity)


def test_an_error_that_is_no_json_is_cleared_too(server, client, kept):
    server.replies["/completions"] = Reply(b"<p>req_4f2a9cab, sk-ab***wxyz</p>", 403, "text/html")
    assert_removed(kept(lambda: ask(client)), "req_4f2a9cab", "sk-ab***wxyz")


def test_an_error_in_ascii_is_cleared_too(server, client, kept):
    error = {"error": {"message": "密钥sk-ab***wxyz，组织org-4f2A9cAb"}}
    server.replies["/completions"] = Reply(json.dumps(error).encode(), 401)
    text = kept(lambda: ask(client))
    assert_removed(text, "sk-ab***wxyz", "org-4f2A9cAb")
    assert "密钥[removed]，组织[removed]" in text


FORMS = ["-".join(("sk", "proj", "4f2A" * 9)), "org-" + "4f2A" * 6, "user-" + "4f2A" * 6]


@pytest.mark.parametrize("form", FORMS)
def test_what_has_the_form_of_a_key_or_an_id_is_removed_whosesoever_it_is(
    server, client, kept, form
):
    server.replies["/completions"] = answer(f"一\n{form}")
    text = kept(lambda: ask(client, prompt=f"{form}！"))
    assert_removed(text, form)
    assert text.count("[removed]") == 2


def test_cookies_are_removed(server, client, kept):
    sent, set_ = "sent-4Kx9bZq7", "set-4Kx9bZq7=="
    header = f'_sid={set_}; Domain=api.example.com; Max-Age=31536000; Path="/"; HttpOnly'
    text = f"{sent} {set_} api.example.com 31536000"
    server.replies["/completions"] = answer(text, headers=[("Set-Cookie", header)])
    kept_text = kept(lambda: ask(client, extra_headers={"Cookie": f'a=b; sid="{sent}"'}))
    assert_removed(kept_text, sent, set_)
    assert "[removed] [removed] api.example.com 31536000" in kept_text


@pytest.mark.parametrize("key", ["ollama", "local", "x"])
def test_a_placeholder_key_does_not_spoil_a_recording(server, kept, monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    server.replies["/completions"] = answer(f"{key}：天来了")
    text = kept(lambda: ask(new_client(None), prompt=key))
    assert f'"{key}：天来了"' in text and f'"{key}"' in text and "[removed]" not in text


def test_ordinary_words_are_kept(server, client, kept):
    words = f"org-chart proj_a ri{'sk-'}free-rate-of-2024-and-more sk-learn ** user_name a***b"
    server.replies["/completions"] = answer(words)
    assert words in kept(lambda: ask(client))


# What is not kept


def outcome(ask: Callable[[], Any]) -> tuple:
    """What a learner sees of a call: its value, or its exception."""
    try:
        return ("value", ask())
    except Exception as error:  # noqa: BLE001
        return type(error), f"{error}", type(error.__cause__)


PASSING = (408, 409, 429, 500, 502, 503, 529)


@pytest.mark.parametrize("status", PASSING)
def test_a_reply_of_the_moment_is_not_kept_and_an_earlier_one_stays(file, server, client, status):
    client = client.with_options(max_retries=0)
    with recording(file, models=MODELS):
        ask(client)
        before = file.read_bytes()
        server.replies["/completions"] = refusal("later", status)
        with pytest.raises(openai.APIStatusError, match="later"):
            ask(client)
    assert file.read_bytes() == before


def test_what_the_sdk_gets_when_it_tries_again_is_kept(file, server, client):
    replies = iter([refusal("later", 429, [("retry-after-ms", "1")]), answer()])
    server.replies["/completions"] = lambda sent: next(replies)
    with recording(file, models=MODELS):
        assert ask(client) == "天来了"
    assert texts(file) == ["天来了"]
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_an_error_that_says_something_of_the_request_is_kept(file, server, client, status):
    server.replies["/completions"] = refusal("no", status)
    with recording(file, models=MODELS):
        live = outcome(lambda: ask(client))
    assert replayed(file, lambda client: outcome(lambda: ask(client))) == live


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_wipes_out_no_reply(file, server, client, status):
    with recording(file, models=MODELS):
        ask(client)
        before = file.read_bytes()
        server.replies["/completions"] = refusal("no", status)
        with pytest.raises(openai.APIStatusError, match="no"):
            ask(client)
    assert file.read_bytes() == before


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_model_that_never_answers_does_not_become_the_chapters(file, server, client, status):
    """Else a wrong key, or a slip in a name, would leave none of its cells a reply."""
    with recording(file, models=MODELS):
        ask(client)
    server.replies["/completions"] = refusal("no", status)
    with recording(file, models={"chat_model": "wrong"}):
        with pytest.raises(openai.APIStatusError):
            client.completions.create(model="wrong", prompt="春")
        assert load_cassette(file).metadata["models"] == MODELS
        server.replies["/completions"] = answer()
        client.completions.create(model="wrong", prompt="春")
        assert load_cassette(file).metadata["models"] == {"chat_model": "wrong"}


UNUSABLE = {
    "shorter than it says": Reply(answer().body, cut=True),
    "a stream that is cut": stream("天", "来", cut=True),
    "half of JSON": Reply(answer().body[:40]),
    "no JSON": Reply(b"<html>"),
    "broken gzip": Reply(b"no gzip", headers=[("content-encoding", "gzip")]),
    "nested too deep": Reply(b"[" * 5000 + b"]" * 5000),
}


@pytest.mark.parametrize("reply", UNUSABLE.values(), ids=UNUSABLE)
def test_a_reply_that_cannot_be_used_is_not_kept_and_fails_as_ever(file, server, client, reply):
    client = client.with_options(max_retries=0)
    server.replies["/completions"] = reply
    unrecorded = outcome(lambda: ask(client))
    with recording(file, models=MODELS):
        assert outcome(lambda: ask(client)) == unrecorded
    assert len(server.requests) == 2
    assert not file.exists()


def test_a_stream_that_breaks_off_is_not_kept_and_fails_as_ever(file, server, client):
    client = client.with_options(max_retries=0)
    server.replies["/chat/completions"] = stream("天", "来", cut=True)
    unrecorded = outcome(lambda: chunks(client))
    with recording(file, models=MODELS):
        assert outcome(lambda: chunks(client)) == unrecorded
    assert not file.exists()


def test_a_name_with_half_a_character_does_not_spoil_later_exchanges(file, server, client):
    with recording(file, models=MODELS):
        server.replies["/completions"] = Reply(b'{"model": "\\ud83d", "choices": []}')
        client.completions.create(**PROMPT)
        server.replies["/completions"] = answer()
        ask(client, prompt="夏")
    assert texts(file) == ["天来了"]


def test_an_uploaded_file_is_not_kept(file, server, client, capsys):
    with recording(file, models=MODELS):
        assert client.files.create(file=b"secret", purpose="user_data").id == "file-1"
    assert not file.exists()
    assert len(server.requests) == 1
    assert "没有录下这次请求（POST /files）" in capsys.readouterr().out


def test_a_redirect_is_followed_but_not_kept(file, server, client, capsys):
    server.replies["/completions"] = Reply(status=307, headers=[("location", "/v1/elsewhere")])
    server.replies["/elsewhere"] = answer()
    with recording(file, models=MODELS):
        assert ask(client) == "天来了"
    assert [i["request"]["uri"] for i in interactions(file)] == ["/elsewhere"]
    assert "没有录下这次请求（POST /completions）：服务器把它转到" in capsys.readouterr().out


def test_requests_to_other_hosts_are_not_kept(file, server, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    with recording(file, models=MODELS):
        assert ask(new_client(base_url=server.url)) == "天来了"
        assert httpx2.get(f"{server.url}/models").json()["data"]
    assert not file.exists()


def test_after_the_with_block_nothing_is_kept(file, client):
    with recording(file, models=MODELS):
        ask(client)
    before = file.read_bytes()
    ask(client, prompt="夏")
    assert file.read_bytes() == before


# What goes wrong with the file


@pytest.mark.parametrize("text", [b"", b"version: 1\na: b: c\n", b"version: 1\ninteractions: []\n"])
def test_a_broken_cassette_is_an_error_and_stays_as_it_is(file, server, text):
    file.write_bytes(text)
    with (
        pytest.raises(RecordingError, match=r"录制文件 lesson\.yaml"),
        recording(file, models=MODELS),
    ):
        pytest.fail("it began")
    assert file.read_bytes() == text


def failing(number: int) -> Callable[..., None]:
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


FAILURES = {
    "the disk is full": (os, "fsync", errno.ENOSPC),
    "the folder is read-only": (Path, "open", errno.EACCES),
    "the file is in use": (Path, "replace", errno.EPERM),
}


@pytest.mark.parametrize(("where", "name", "number"), FAILURES.values(), ids=FAILURES)
def test_what_could_not_be_saved_is_said_and_saved_with_the_next(
    file, server, client, capsys, monkeypatch, where, name, number
):
    server.replies["/completions"] = lambda sent: answer(f"{sent['prompt']}天")
    with recording(file, models=MODELS):
        with monkeypatch.context() as patch:
            patch.setattr(where, name, failing(number))
            assert ask(client) == "春天"
        assert len(server.requests) == 1
        assert list(file.parent.iterdir()) == []
        said = capsys.readouterr().out
        assert "没有录下这次请求（POST /completions）" in said and os.strerror(number) in said
        ask(client, prompt="夏")
    assert texts(file) == ["春天", "夏天"]
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_could_not_be_replaced_is_as_it_was(file, client, monkeypatch):
    with recording(file, models=MODELS):
        ask(client)
        before = file.read_bytes()
        monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
        ask(client, prompt="夏")
    assert file.read_bytes() == before


# The file itself


def test_the_file_is_yaml_with_literal_blocks_and_chinese_as_chinese(file, client):
    with recording(file, models=MODELS, note="注"):
        ask(client, prompt="春\n天")
        chunks(client)
    text = file.read_text("utf-8")
    assert load_cassette(file).requests[1].path == "/chat/completions"
    assert "  note: 注\n" in text
    assert '    body: |-\n      {\n        "model": "asked",\n' in text
    assert '      string: |-\n        {\n          "id": "cmpl-1",\n' in text
    assert '"text": "天来了"' in text and '"prompt": "春\\n天"' in text
    assert '      string: |+\n        data: {"model": "m-1"' in text
    assert "\\u" not in text and "!!" not in text and "\r" not in text


@pytest.mark.parametrize("recorded", sorted(RECORDINGS.glob("*.yaml")), ids=lambda f: f.stem)
def test_saving_a_recording_of_the_course_again_changes_no_byte(file, recorded):
    cassette = load_cassette(recorded)
    content = cassette._as_dict() | {"metadata": cassette.metadata}
    CassetteFile.save_cassette(file, content, None)
    assert file.read_bytes() == recorded.read_bytes()


def test_any_text_comes_back_as_it_was(file, server, client):
    odd = [
        "\0\x07\x1b",
        "\x85\u2028\u2029\ufeff",
        " 前后 \n\n \t",
        "😀\U0010ffff",
        "- :#|>'\"",
        "~",
    ]
    server.replies["/completions"] = lambda sent: answer(sent["prompt"])
    with recording(file, models=MODELS):
        for text in odd:
            ask(client, prompt=text)
    assert replayed(file, lambda client: [ask(client, prompt=text) for text in odd]) == odd
