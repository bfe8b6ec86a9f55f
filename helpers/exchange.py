"""What is written down of one exchange with a server: readable, where from, nothing secret."""

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from typing import Any
from urllib.parse import quote

import httpx2
from vcr.request import Request

from .cassette_file import check_interaction
from .not_recorded import json_of

REMOVED = "[removed]"
SECRET_HEADERS = re.compile(
    r"(proxy-)?authorization|(x-)?api-key|openai-(organization|project)|(set-)?cookie|.*request-id"
)
SECRET_SETTINGS = (
    "OPENAI_API_KEY",
    "OPENAI_ADMIN_KEY",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "OPENAI_WEBHOOK_SECRET",
)
# Error messages name keys (half of them masked), organisations, projects and requests.
SECRET_IDS = re.compile(rb"\b(sk-[\w*-]{6,}|(org|proj|req)[-_]\w{6,})")


class NotKeptError(Exception):
    """An exchange can't be written down. The message says why."""


def written_down(sent: Request, uri: str, response: dict[str, Any]) -> tuple[Request, dict]:
    """A request and its response as a cassette keeps them, the request with this `uri`.

    Of the headers only the reply's content-type stays. `recorded` in the response says when it
    came, and from which model and server software, where they say so. Raises NotKeptError for
    what could not be replayed, and for what can't be kept secret.
    """
    headers = [(name, value) for name, lines in response["headers"].items() for value in lines]
    status = response["status"]["code"]
    reply = httpx2.Response(status, headers=headers, content=response["body"]["string"])
    secrets = {*_secrets(sent.headers), *_secrets(reply.headers)}
    secrets |= {os.environ.get(name, "").strip() for name in SECRET_SETTINGS}
    # A short one is a placeholder, as in OPENAI_API_KEY=ollama: to take that word out
    # everywhere would spoil the recording.
    secrets = {secret for secret in secrets if len(secret) >= 8}

    body = _scrub(reply.content, secrets)  # `content` is decompressed
    documents = list(_documents(body))
    if any(secret in joined for joined in _joined(documents).values() for secret in secrets):
        raise NotKeptError("回复把密钥拆成几段写了出来，没法从中去掉。")
    if reply.is_error:
        body = SECRET_IDS.sub(REMOVED.encode(), body)
    asked = sent.body and _scrub(sent.body, secrets)
    request = Request(sent.method, _scrub(uri.encode(), secrets).decode(), asked, {})
    answering = [
        d for d in [*documents, json_of(request)] if isinstance(d, dict) and d.get("model")
    ]
    recorded = {
        "date": f"{date.today()}",
        "model": answering and answering[0]["model"],
        "server": reply.headers.get("server"),
    }
    kept = {
        "status": {"code": status, "message": reply.reason_phrase},
        "headers": {"content-type": reply.headers.get_list("content-type")},
        "recorded": {name: value for name, value in recorded.items() if value},
        "body": {"string": body},
    }
    try:
        check_interaction(request, kept)
    except (ValueError, TypeError) as error:
        raise NotKeptError(f"请求或回复不是它自称的 JSON（{error}）。") from error
    return request, kept


def _secrets(headers: Mapping[str, str]) -> Iterator[str]:
    """What is secret in headers: not the scheme of "Bearer KEY", nor a cookie's name."""
    for name, value in headers.items():
        if not SECRET_HEADERS.fullmatch(name.lower()):
            continue
        elif "cookie" not in name.lower():
            yield value.split()[-1] if value.split() else ""
        else:
            yield from re.findall(r"=([^;,\s]+)", value)


def _scrub(text: bytes, secrets: set[str]) -> bytes:
    """`text` without `secrets`, in whichever spelling."""
    for secret in sorted(secrets, key=len, reverse=True):
        for spelling in (secret, json.dumps(secret)[1:-1], quote(secret, safe="")):
            text = text.replace(spelling.encode(), REMOVED.encode())
    return text


def _documents(body: bytes) -> Iterator[Any]:
    """The JSON values in a reply: the one that it is, or one of each event of a stream."""
    try:
        yield json.loads(body)
    except ValueError:
        for line in body.splitlines():
            with suppress(ValueError):
                yield json.loads(line.removeprefix(b"data:"))


def _joined(value: Any, place: str = "", texts: dict | None = None) -> dict[str, str]:
    """The texts in a JSON value, those at the same place (`.choices.text`) joined.

    So are the chunks of a stream, and the tokens of a reply with log-probabilities.
    """
    texts = defaultdict(str) if texts is None else texts
    if isinstance(value, dict):
        for name, item in value.items():
            _joined(item, f"{place}.{name}", texts)
    elif isinstance(value, list):
        for item in value:
            _joined(item, place, texts)
    elif isinstance(value, str):
        texts[place] += value
    return texts
