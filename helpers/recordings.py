"""Answers from recordings: VCR.py below the SDK, so that a notebook's own code stays plain.

A cassette is a YAML file of requests and replies. Its request URIs are relative to the API's
base URL (`/models`), so that it plays for any host.
"""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from reprlib import Repr
from typing import Any

import httpx2
import yaml
from vcr.cassette import Cassette
from vcr.errors import UnhandledHTTPRequestError
from vcr.matchers import method, path, query
from vcr.patch import PATCHER_NAMES, CassettePatcherBuilder
from vcr.record_mode import RecordMode
from vcr.request import Request
from vcr.serialize import deserialize

OPENAI_URL = "https://api.openai.com/v1"

# What a cassette's `origin` may be, and how a learner is told.
ORIGINS = {"transcript": "据当时打印的输出重建", "recorded": "录自真实的服务器"}


class RecordingError(Exception):
    """A cassette is missing or can't be read. The message names the file."""


class ReplayCassette(Cassette):
    """A cassette that answers every request to the API itself: none goes on to the network."""

    @property
    def metadata(self) -> dict[str, str]:
        """Where the recordings come from: `origin`, `date`, `server`, `note`."""
        return self._metadata

    def can_play_response_for(self, request: Request) -> bool:
        return self.filter_request(request) is not None

    def play_response(self, request: Request) -> dict:
        try:
            return super().play_response(request)
        except UnhandledHTTPRequestError:
            return _not_recorded(self.filter_request(request), self.requests)


def load_cassette(file: Path) -> ReplayCassette:
    """Read a cassette for replay. Raises RecordingError where it is missing or broken."""
    return ReplayCassette.load(
        path=file,
        persister=_Utf8Persister,
        record_mode=RecordMode.NONE,
        match_on=[method, path, query, json_body],
        allow_playback_repeats=True,
        before_record_request=_relative_to_api,
        # The SDK speaks through httpx2; a learner's own requests or urllib is left alone.
        skip_patchers=[name for name in PATCHER_NAMES if name != "httpx2"],
    )


@contextmanager
def replaying(cassette: ReplayCassette) -> Iterator[None]:
    """Answer the SDK's requests from `cassette` inside the `with` block."""
    with ExitStack() as patches:
        for patch in CassettePatcherBuilder(cassette).build():
            patches.enter_context(patch)
        yield


def json_body(sent: Request, recorded: Request) -> None:
    """A VCR matcher: equal as JSON, whatever the order of keys and the white space."""
    assert _body(sent) == _body(recorded)


class _Utf8Persister:
    """Reads cassettes for VCR.

    VCR's own persister reads in the machine's encoding (not UTF-8 on many a Windows) and goes
    on with an empty cassette where the file is missing.
    """

    @staticmethod
    def load_cassette(file: Path, serializer: Any) -> tuple:
        try:
            requests, responses, *metadata = deserialize(file.read_text("utf-8"), serializer)
            if not metadata or metadata[0]["origin"] not in ORIGINS or not metadata[0]["date"]:
                raise ValueError("metadata should say origin and date")
            for request, response in zip(requests, responses, strict=True):
                _check_interaction(request, response)
        except OSError as error:
            problem = "不存在" if not file.exists() else f"读不了（{error.strerror}）"
        except yaml.MarkedYAMLError as error:
            problem = f"第 {error.problem_mark.line + 1} 行不是合法的 YAML（{error.problem}）"
        except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
            problem = f"内容不完整或已损坏（{type(error).__name__}: {error}）"
        else:
            return requests, responses, *metadata
        raise RecordingError(
            f"录制文件 {file.name} {problem}。请用 git checkout -- notebooks/recordings 恢复它。"
        )


def _check_interaction(request: Request, response: dict) -> None:
    """Raise what the SDK would only stumble over later, in the middle of a lesson."""
    if not request.uri.startswith("/"):
        raise ValueError(f"uri {request.uri!r} should be relative to the API: /models")
    if request.body:
        json.loads(request.body)
    if not isinstance(response["status"]["code"], int):
        raise TypeError(f"{request.uri}: status code {response['status']['code']!r}")
    body = response["body"]["string"]
    if "application/json" in response["headers"]["content-type"]:
        json.loads(body)


def _relative_to_api(request: Request) -> Request | None:
    """The request with its URI relative to the API; None if it goes to another host.

    All that goes to the API's host counts, so that no key can leave by a path that isn't
    the API's.
    """
    if request.uri.startswith("/"):  # from a cassette
        return request
    _api_urls.add(os.environ.get("OPENAI_BASE_URL", "").strip() or OPENAI_URL)
    url = httpx2.URL(request.uri)
    uri = None
    for api in map(httpx2.URL, tuple(_api_urls)):
        if (url.scheme, url.host, url.port) == (api.scheme, api.host, api.port):
            path = url.raw_path.decode()
            base = api.raw_path.decode().rstrip("/")
            uri = path.removeprefix(base) if path.startswith(f"{base}/") else uri or path
    return uri and Request(request.method, uri, request.body, request.headers)


def _body(request: Request) -> Any:
    """The parsed JSON body; None where there is no body, the bytes where they aren't JSON."""
    try:
        return json.loads(request.body) if request.body else None
    except ValueError:
        return request.body


def _not_recorded(sent: Request, recorded: list[Request]) -> dict:
    """A 404 in the API's own form: VCR's exception would surface as a connection error."""
    error = {
        "message": f"没有录制过这个请求（{sent.method} {sent.path}）。{_advice(sent, recorded)}"
        "想得到新的回复，见 README.zh-CN.md 的“连接真实的服务器”。",
        "type": "replay_error",
        "param": None,
        "code": "recording_not_found",
    }
    return {
        "status": {"code": 404, "message": "Not Found"},
        "headers": {"content-type": ["application/json"]},
        "body": {"string": json.dumps({"error": error}, ensure_ascii=False).encode()},
    }


def _advice(sent: Request, recorded: list[Request]) -> str:
    """What to change so that the request is one that was recorded."""
    same_place = [r for r in recorded if (r.method, r.path) == (sent.method, sent.path)]
    if not same_place:
        places = "、".join(dict.fromkeys(f"{r.method} {r.path}" for r in recorded))
        return f"现在打开的录制里有：{places}。别的章节的录制，要用 start() 打开。"
    nearest = min(
        (list(_differences(_body(sent), _body(request))) for request in same_place), key=len
    )
    return f"和最接近的录制相比：{'；'.join(nearest)}。改回录制的值就有回复。"


def _differences(sent: Any, recorded: Any, where: str = "") -> Iterator[str]:
    """One phrase for each place where two JSON values differ."""
    if isinstance(sent, dict) and isinstance(recorded, dict):
        for key in sent | recorded:
            place = f"{where}.{key}" if where else key
            yield from _differences(sent.get(key, _ABSENT), recorded.get(key, _ABSENT), place)
    elif isinstance(sent, list) and isinstance(recorded, list):
        if len(sent) != len(recorded):
            yield f"{where} 现在有 {len(sent)} 项，录制的有 {len(recorded)} 项"
        for i, pair in enumerate(zip(sent, recorded, strict=False)):
            yield from _differences(*pair, f"{where}[{i}]")
    elif sent != recorded:
        yield f"{where or '请求体'} 现在是 {_short(sent)}，录制的是 {_short(recorded)}"


class _Absent:
    def __repr__(self) -> str:
        return "（没有）"


_ABSENT = _Absent()
# Every base URL that a client may have got: it keeps its own when the setting changes.
_api_urls = {OPENAI_URL}
_short = Repr(maxstring=60, maxother=60, maxdict=4, maxlist=3).repr
