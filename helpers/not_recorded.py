"""The answer to a request that no cassette holds: what differs from the nearest one that does."""

import json
from collections.abc import Iterator
from reprlib import Repr
from typing import Any

from vcr.request import Request


def json_of(request: Request) -> Any:
    """The parsed JSON body; None where there is no body, the bytes where they aren't JSON."""
    try:
        return json.loads(request.body) if request.body else None
    except ValueError:
        return request.body


def not_recorded(sent: Request, recorded: list[Request]) -> dict:
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
        (list(_differences(json_of(sent), json_of(request))) for request in same_place), key=len
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
_short = Repr(maxstring=60, maxother=60, maxdict=4, maxlist=3).repr
