"""Replay below the SDK: what is answered from a cassette, what isn't, and what is said then."""

import asyncio
import json
import threading
import time
import urllib.request
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import openai
import pytest
import yaml

from helpers.cassette_file import RecordingError
from helpers.recordings import load_cassette, replaying

PROMPT = {"model": "m", "prompt": "春", "max_tokens": 5}
REPLY = {"choices": [{"text": "天来了"}]}
STREAM = (
    'data: {"choices":[{"text":"天"}]}\n\ndata: {"choices":[{"text":"来了"}]}\n\ndata: [DONE]\n\n'
)


def interaction(body: dict | None, reply: str, uri="/completions", kind="application/json") -> dict:
    return {
        "request": {
            "method": "POST" if body else "GET",
            "uri": uri,
            "body": json.dumps(body) if body else None,
            "headers": {},
        },
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {"content-type": [kind]},
            "body": {"string": reply},
        },
    }


def content(*interactions: dict) -> dict:
    """What a cassette of these interactions holds."""
    return {
        "version": 1,
        "metadata": {"origin": "recorded", "date": "2026-11-22", "models": {"chat_model": "m"}},
        "interactions": list(interactions),
    }


@pytest.fixture
def write(tmp_path):
    """Writes a cassette of some interactions, and returns its file."""

    def write(*interactions: dict) -> Path:
        file = tmp_path / "lesson.yaml"
        file.write_text(yaml.safe_dump(content(*interactions), allow_unicode=True), "utf-8")
        return file

    return write


@pytest.fixture
def cassette(write) -> Path:
    return write(
        interaction(PROMPT, json.dumps(REPLY, ensure_ascii=False)),
        interaction(PROMPT | {"stream": True}, STREAM, kind="text/event-stream"),
        interaction(None, '{"data": [{"id": "m"}]}', uri="/models"),
    )


@pytest.fixture
def replay(cassette):
    with replaying(load_cassette(cassette)):
        yield


@pytest.fixture
def client() -> openai.OpenAI:
    return openai.OpenAI(api_key="not a key")


@contextmanager
def loopback_server(reply: dict):
    """A server on this machine that notes the requests it gets: yields (URL, requests)."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append((self.path, dict(self.headers)))
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(reply).encode())

        do_POST = do_GET

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()


def test_the_sync_client_gets_the_recorded_reply(replay, client):
    assert client.completions.create(**PROMPT).choices[0].text == "天来了"


def test_the_async_client_gets_the_recorded_reply(replay):
    async def ask() -> str:
        async with openai.AsyncOpenAI(api_key="not a key") as client:
            return (await client.completions.create(**PROMPT)).choices[0].text

    assert asyncio.run(ask()) == "天来了"


def test_a_stream_comes_in_its_chunks(replay, client):
    chunks = client.completions.create(**PROMPT, stream=True)
    assert [chunk.choices[0].text for chunk in chunks] == ["天", "来了"]


def test_an_async_stream_comes_in_its_chunks(replay):
    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(api_key="not a key") as client:
            chunks = await client.completions.create(**PROMPT, stream=True)
            return [chunk.choices[0].text async for chunk in chunks]

    assert asyncio.run(ask()) == ["天", "来了"]


def test_a_request_can_be_repeated(replay, client):
    replies = [client.completions.create(**PROMPT).choices[0].text for _ in range(3)]
    assert replies == ["天来了"] * 3


def test_a_client_made_before_replay_began_is_answered_too(client, cassette):
    with replaying(load_cassette(cassette)):
        assert client.models.list().data[0].id == "m"


def test_the_order_of_keys_and_the_headers_do_not_matter(replay, client):
    reply = client.completions.create(
        max_tokens=5, prompt="春", model="m", extra_headers={"x-new": "header"}
    )
    assert reply.choices[0].text == "天来了"


@pytest.mark.parametrize(
    "base_url",
    [
        "http://127.0.0.1:1/v1",
        "http://127.0.0.1:1/a/b/v2/",
        "http://LOCALHOST:80/v1",
        "http://h/中 文",
    ],
)
def test_a_recording_plays_for_any_base_url(replay, monkeypatch, base_url):
    monkeypatch.setenv("OPENAI_BASE_URL", base_url)
    client = openai.OpenAI(api_key="not a key")
    assert client.completions.create(**PROMPT).choices[0].text == "天来了"


def test_after_replay_requests_go_out_again(cassette, monkeypatch):
    with loopback_server({"data": [{"id": "live"}]}) as (url, requests):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        with replaying(load_cassette(cassette)):
            assert openai.OpenAI(api_key="k").models.list().data[0].id == "m"
        assert requests == []
        assert openai.OpenAI(api_key="k").models.list().data[0].id == "live"
        assert len(requests) == 1


def test_another_host_is_left_alone(replay):
    """For the SDK with a base_url of its own, and for a learner's own requests."""
    with loopback_server({"data": [{"id": "other"}]}) as (url, requests):
        other = openai.OpenAI(api_key="k", base_url=url)
        assert other.models.list().data[0].id == "other"
        assert httpx2.get(f"{url}/httpx2").json()["data"]
        with urllib.request.urlopen(f"{url}/urllib") as reply:
            assert json.load(reply)["data"]
        assert [path for path, _ in requests] == ["/models", "/httpx2", "/urllib"]


@pytest.mark.parametrize(
    "base_url",
    [
        "{url}",
        "{url}/v1/",
        "{url}/v1 ",
        "{url}/a path/中文",
        "{url}/v1?x=1",
        "{URL}/v1",
        "http://LOCALHOST:{port}/v1",
        "",
    ],
)
def test_a_real_key_is_sent_nowhere(replay, monkeypatch, base_url):
    """Neither for a recorded request nor for one that isn't, however the base URL is written."""
    with loopback_server({}) as (url, requests):
        monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
        port = url.rpartition(":")[2]
        written = base_url.format(url=url, URL=url.replace("http", "HTTP"), port=port)
        monkeypatch.setenv("OPENAI_BASE_URL", written)
        client = openai.OpenAI()
        with suppress(openai.NotFoundError):  # a base URL with a query leads to no recording
            assert client.models.list().data[0].id == "m"
        for ask in (
            lambda: client.models.retrieve("not recorded"),
            lambda: client.embeddings.create(model="m", input="not recorded"),
            lambda: client.files.create(file=b"not recorded", purpose="user_data"),
            lambda: client.get("/../elsewhere", cast_to=object),
        ):
            with pytest.raises(openai.NotFoundError):
                ask()
        assert requests == []


def test_what_does_not_go_through_the_sdk_is_left_alone(replay, monkeypatch):
    with loopback_server({"data": "live"}) as (url, requests):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        assert openai.OpenAI(api_key="k").models.list().data[0].id == "m"
        with urllib.request.urlopen(f"{url}/models") as reply:
            assert json.load(reply) == {"data": "live"}
        assert len(requests) == 1


def test_a_client_of_before_the_base_url_changed_is_still_answered(replay, monkeypatch):
    with loopback_server({}) as (url, requests):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        client = openai.OpenAI(api_key="sk-real")
        client.models.list()
        monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
        client.models.list()
        assert requests == []


def test_the_same_path_with_another_method_or_query_is_another_request(replay, client):
    with pytest.raises(openai.NotFoundError):
        client.post("/models", cast_to=object)
    with pytest.raises(openai.NotFoundError):
        client.models.list(extra_query={"page": 2})


def test_the_official_host_is_answered_even_if_another_one_is_configured(replay, monkeypatch):
    """Else a client with an explicit base_url would spend money in replay mode."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    client = openai.OpenAI(api_key="k", base_url="https://api.openai.com/v1")
    assert client.models.list().data[0].id == "m"


def test_a_request_that_is_not_recorded_is_an_api_error_at_once(replay, client, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it was tried again"))
    with pytest.raises(openai.NotFoundError) as caught:
        client.completions.create(**PROMPT | {"prompt": "秋", "temperature": 0})
    assert caught.value.code == "recording_not_found"
    assert caught.value.status_code == 404
    message = caught.value.body["message"]
    assert "没有录制过这个请求（POST /completions）" in message
    assert "prompt 现在是 '秋'，录制的是 '春'" in message
    assert "temperature 现在是 0，录制的是 （没有）" in message
    assert "max_tokens" not in message
    assert "README" in message


def test_a_missing_recording_names_the_place_of_a_difference_inside_messages(write, client):
    sent = [{"role": "user", "content": "甲"}, {"role": "user", "content": "乙"}]
    recorded = {"model": "m", "messages": [sent[0], {"role": "user", "content": "丙"}]}
    file = write(interaction(recorded, "{}", uri="/chat/completions"))
    with replaying(load_cassette(file)), pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="m", messages=sent)
    assert "messages[1].content 现在是 '乙'，录制的是 '丙'" in caught.value.body["message"]


def test_a_longer_conversation_is_said_to_be_longer(write, client):
    """As when a cell that appends is run twice: one difference, not one for each message."""
    turns = [{"role": "user", "content": text} for text in "甲乙丙丁"]
    recorded = {"model": "m", "messages": turns[:3]}
    file = write(interaction(recorded, "{}", uri="/chat/completions"))
    with replaying(load_cassette(file)), pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="m", messages=turns)
    assert "相比：messages 现在有 4 项，录制的有 3 项。" in caught.value.body["message"]


def test_a_path_that_is_not_recorded_names_those_that_are(replay, client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("other")
    assert "GET /models/other" in caught.value.body["message"]
    assert "现在打开的录制里有：POST /completions、GET /models。" in caught.value.body["message"]


def test_the_nearest_recording_is_the_one_with_the_fewest_differences(write, client):
    near, far = PROMPT | {"prompt": "春天"}, {"model": "x", "prompt": "y", "max_tokens": 9}
    file = write(interaction(far, "{}"), interaction(near, "{}"), interaction(far, "{}"))
    with replaying(load_cassette(file)), pytest.raises(openai.NotFoundError) as caught:
        client.completions.create(**PROMPT)
    assert "相比：prompt 现在是 '春'，录制的是 '春天'。" in caught.value.body["message"]


def test_a_long_value_is_shortened_in_the_message(replay, client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.completions.create(**PROMPT | {"prompt": "很长" * 5000})
    assert len(caught.value.body["message"]) < 500


def test_a_missing_cassette_is_an_error_that_names_it(tmp_path):
    with pytest.raises(RecordingError, match=r"录制文件 none\.yaml 不存在.*git checkout"):
        load_cassette(tmp_path / "none.yaml")


def test_broken_yaml_is_an_error_that_names_file_and_line(cassette):
    cassette.write_text("version: 1\nmetadata:\n  origin: recorded\n  note: a: b\n", "utf-8")
    with pytest.raises(RecordingError, match=r"录制文件 lesson\.yaml 第 4 行不是合法的 YAML"):
        load_cassette(cassette)


def damaged(change) -> bytes:
    """A good cassette's text after a change to its content."""
    good = content(interaction(PROMPT, "{}"))
    change(good)
    return yaml.safe_dump(good, allow_unicode=True).encode()


BROKEN = {
    "empty": b"",
    "a list": b"- 1\n- 2\n",
    "not UTF-8": "version: 1\nnote: 中文".encode("gbk"),
    "no interactions": damaged(lambda c: c.pop("interactions")),
    "no metadata": damaged(lambda c: c.pop("metadata")),
    "no models": damaged(lambda c: c["metadata"].pop("models")),
    "no date": damaged(lambda c: c["metadata"].pop("date")),
    "no status": damaged(lambda c: c["interactions"][0]["response"].pop("status")),
    "a status in words": damaged(
        lambda c: c["interactions"][0]["response"]["status"].update(code="OK")
    ),
    "no reply": damaged(lambda c: c["interactions"][0]["response"]["body"].clear()),
    "unknown origin": damaged(lambda c: c["metadata"].update(origin="a dream")),
    "no response": damaged(lambda c: c["interactions"][0].pop("response")),
    "a reply cut in half": damaged(
        lambda c: c["interactions"][0]["response"]["body"].update(string='{"id": ')
    ),
    "a request cut in half": damaged(
        lambda c: c["interactions"][0]["request"].update(body='{"model": ')
    ),
    "an absolute URI": damaged(
        lambda c: c["interactions"][0]["request"].update(uri="https://api.openai.com/v1/models")
    ),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_cassette_is_an_error_that_names_it(tmp_path, text):
    file: Path = tmp_path / "broken.yaml"
    file.write_bytes(text)
    with pytest.raises(RecordingError, match=r"录制文件 broken\.yaml .*git checkout"):
        load_cassette(file)
