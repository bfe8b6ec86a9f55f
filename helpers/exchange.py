"""What is written down of one exchange with a server: readable, where from, nothing secret."""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from functools import partial
from typing import Any

import httpx2
from vcr.request import Request

from .cassette_file import check_interaction
from .not_recorded import json_of
from .scrub import REMOVED, SECRET_IN_ERROR, secrets_in


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
    if reply.has_redirect_location:
        raise NotKeptError("服务器把它转到了别的地址，请把 OPENAI_BASE_URL 改成那个地址。")
    secret = secrets_in(httpx2.URL(sent.uri), [*sent.headers.items(), *headers])
    scrub = partial(secret.sub, REMOVED)
    body = scrub(reply.content)  # `content` is decompressed
    documents = list(_documents(body))
    texts = (text.encode(errors="replace") for text in _joined(documents).values())
    if any(map(secret.search, texts)):
        raise NotKeptError("回复把密钥拆成几段写了出来，没法从中去掉。")
    if reply.is_error or any(isinstance(d, dict) and d.get("error") for d in documents):
        body = SECRET_IN_ERROR.sub(REMOVED, body)
    request = Request(sent.method, scrub(uri.encode()).decode(), scrub(sent.body or b""), {})
    answering = [
        d for d in [*documents, json_of(request)] if isinstance(d, dict) and d.get("model")
    ]
    recorded = {
        "date": f"{date.today()}",
        "model": answering and answering[0]["model"],
        "server": scrub(reply.headers.get("server", "").encode()).decode(),
    }
    kept = {
        "status": {"code": status, "message": reply.reason_phrase},
        "headers": {"content-type": reply.headers.get_list("content-type")},
        "recorded": {name: value for name, value in recorded.items() if value},
        "body": {"string": body},
    }
    try:
        check_interaction(request, kept)
        json.dumps(kept["recorded"], ensure_ascii=False).encode()  # no half of a character
    except (ValueError, TypeError) as error:
        raise NotKeptError(f"请求或回复不是它自称的 JSON（{error}）。") from error
    return request, kept


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

    So are the chunks of a stream, each choice for itself, and the tokens of a reply with
    log-probabilities, which are there as lists of bytes, too.
    """
    texts = defaultdict(str) if texts is None else texts
    if isinstance(value, dict):
        for name, item in value.items():
            _joined(item, f"{place}.{name}", texts)
    elif isinstance(value, list):
        with suppress(TypeError, ValueError):  # not numbers, or none of bytes
            texts[place] += bytes(value).decode(errors="replace")
        for item in value:
            index = item.get("index", "") if isinstance(item, dict) else ""
            _joined(item, f"{place}{index}", texts)
    elif isinstance(value, str):
        texts[place] += value
    return texts
