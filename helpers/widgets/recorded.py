"""Which exchanges the current lesson can replay, for widgets that offer nothing else."""

import json
from dataclasses import dataclass
from typing import Any

from ..lesson import current_lesson
from ..recordings import source


@dataclass(frozen=True)
class Recorded:
    """A request as JSON, its reply as it came, and where that comes from."""

    request: dict[str, Any]
    status: int
    reply: bytes
    source: str


def recorded(path: str) -> list[Recorded]:
    """The exchanges at a path of the API, such as "/completions"; none where nothing replays.

    Where two cassettes hold the same request, the first one answers, and only it is listed.
    """
    found: dict[str, Recorded] = {}
    for cassette in current_lesson().cassettes:
        for request, response in cassette.data:
            if request.path == path and request.body:
                body, reply = json.loads(request.body), response["body"]["string"]
                where = source(cassette, response)
                exchange = Recorded(body, response["status"]["code"], reply, where)
                found.setdefault(json.dumps(body, sort_keys=True), exchange)
    return list(found.values())
