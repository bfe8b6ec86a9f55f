"""Recordings: VCR.py below the SDK answers from a cassette, or writes one down.

A cassette is a YAML file of requests and replies. Its request URIs are relative to the API's
base URL (`/models`), so that it plays for any host.
"""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import copy
from datetime import date
from pathlib import Path
from threading import Lock
from typing import Any

import httpx2
from vcr.cassette import Cassette
from vcr.errors import UnhandledHTTPRequestError
from vcr.matchers import method, path, query
from vcr.patch import PATCHER_NAMES, CassettePatcherBuilder
from vcr.record_mode import RecordMode
from vcr.request import Request

from .cassette_file import ORIGINS, CassetteFile
from .exchange import written_down
from .not_recorded import json_of, not_recorded

OPENAI_URL = "https://api.openai.com/v1"

# Every base URL that a client may have got: it keeps its own when the setting changes.
_api_urls = {OPENAI_URL}


class ReplayCassette(Cassette):
    """A cassette that answers every request to the API itself: none goes on to the network."""

    @property
    def metadata(self) -> dict[str, Any]:
        """What is said of the whole file: `origin`, `date`, `server`, `models`, `note`."""
        return self._metadata

    def can_play_response_for(self, request: Request) -> bool:
        return self.filter_request(request) is not None

    def play_response(self, request: Request) -> dict:
        try:
            return super().play_response(request)
        except UnhandledHTTPRequestError:
            return not_recorded(self.filter_request(request), self.requests)


class RecordingCassette(Cassette):
    """A cassette that lets every request go to the server, and writes down each exchange."""

    _saving = Lock()
    models: dict[str, str]

    def can_play_response_for(self, request: Request) -> bool:
        return False

    def append(self, request: Request, response: dict) -> None:
        if not self._metadata:  # VCR is reading the file, its metadata last
            super().append(request, response)
        elif (sent := self.filter_request(request)) and not _is_temporary(
            response["status"]["code"]
        ):
            try:
                self._keep(*written_down(request, sent.uri, response))
            # Any exception here would make the SDK ask again, and pay again.
            except Exception as error:  # noqa: BLE001
                why = getattr(error, "strerror", None) or error  # without this machine's paths
                print(f"没有录下这次请求（{sent.method} {sent.path}）：{why}")

    def _keep(self, request: Request, response: dict) -> None:
        """Save the exchange in the place of the one with the same request, or else at the end.

        But no 401 or 403 replaces a reply: they speak of the key, and a wrong one would else
        wipe out a chapter.
        """
        with self._saving:
            old = next((index for index, _ in self._responses(request)), len(self))
            if old < len(self) and response["status"]["code"] in (401, 403):
                return
            self.data[old : old + 1] = [(request, response)]
            if response["status"]["code"] < 400:  # else the earlier ones' replies still play
                self._metadata["models"] = self.models
            self._persist(self._as_dict())


def load_cassette(file: Path) -> ReplayCassette:
    """Read a cassette for replay. Raises RecordingError where it is missing or broken."""
    return ReplayCassette.load(**_options(file), record_mode=RecordMode.NONE)


@contextmanager
def replaying(*cassettes: ReplayCassette) -> Iterator[None]:
    """Answer the SDK's requests inside the `with` block, from the first cassette that can."""
    together = copy(cassettes[0])
    together.data = [exchange for cassette in cassettes for exchange in cassette.data]
    with _patched(together):
        yield


@contextmanager
def recording(file: Path, models: dict[str, str], **metadata: Any) -> Iterator[None]:
    """Let the SDK's requests go out inside the `with` block, and keep each exchange in `file`.

    An exchange is written as soon as its reply is complete, in the place of an earlier one of
    the same request; the others stay. Nothing secret is written. `models`, the names that
    replay gives as a Lesson's once one of them has answered, and `metadata` go into what the
    file says of itself.
    Raises RecordingError where the file is there but broken.

    Not kept is what can't be replayed (a body that isn't what its type says), and errors that
    are temporary, after which the SDK itself tries again (status 408, 409, 429, 500 and more).
    """
    cassette = RecordingCassette(**_options(file), record_mode=RecordMode.ALL)
    if file.exists():
        cassette._load()
    else:
        today = f"{date.today()}"
        cassette._metadata = {"origin": "recorded", "date": today, "models": models}
    cassette._metadata |= metadata
    cassette.models = models
    with _patched(cassette):
        yield


def source(cassette: ReplayCassette, response: dict) -> str:
    """Where a reply comes from, for a learner."""
    if made := response.get("recorded"):
        return f"{made['date']} 录自 {made.get('model', '服务器')}"
    return ORIGINS[cassette.metadata["origin"]].format(date=cassette.metadata["date"])


def sources(cassette: ReplayCassette) -> str:
    """Where all of a cassette's replies come from, and how many."""
    counts = Counter(source(cassette, response) for response in cassette.responses)
    return "；".join(f"{count} 条，{where}" for where, count in counts.items())


def json_body(sent: Request, recorded: Request) -> None:
    """A VCR matcher: equal as JSON, whatever the order of keys and the white space."""
    assert json_of(sent) == json_of(recorded)


def _options(file: Path) -> dict[str, Any]:
    """VCR's options for both ways."""
    return {
        "path": file,
        "persister": CassetteFile,
        "match_on": [method, path, query, json_body],
        "allow_playback_repeats": True,
        "before_record_request": _relative_to_api,
        # The SDK speaks through httpx2; a learner's own requests or urllib is left alone.
        "skip_patchers": [name for name in PATCHER_NAMES if name != "httpx2"],
    }


@contextmanager
def _patched(cassette: Cassette) -> Iterator[None]:
    with ExitStack() as patches:
        for patch in CassettePatcherBuilder(cassette).build():
            patches.enter_context(patch)
        yield


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


def _is_temporary(status: int) -> bool:
    """Whether an error says something about the moment only: the SDK then asks again."""
    return status in (408, 409, 429) or status >= 500
