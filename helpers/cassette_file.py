"""Cassettes on disk: YAML that a person can review, checked when read, written whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any

import yaml
from vcr.request import Request
from vcr.serialize import deserialize

# What a cassette's `origin` may be, and how a learner is told.
ORIGINS = {"transcript": "据 {date} 打印的输出重建", "recorded": "{date} 录自真实的服务器"}


class RecordingError(Exception):
    """A cassette is missing or can't be read. The message names the file."""


class CassetteFile:
    """Reads and writes cassettes for VCR, in the place of its own persister.

    That one writes in the machine's encoding (not UTF-8 on many a Windows), can be interrupted
    halfway, and goes on with an empty cassette where a file is missing.
    """

    @staticmethod
    def load_cassette(file: Path, serializer: Any) -> tuple:
        """Requests, responses and metadata. Raises RecordingError where they can't be used."""
        try:
            requests, responses, *metadata = deserialize(file.read_text("utf-8"), serializer)
            about = metadata[0] if metadata else {}
            if about["origin"] not in ORIGINS or not about["date"] or not dict(about["models"]):
                raise ValueError("metadata should say origin, date and models")
            for request, response in zip(requests, responses, strict=True):
                check_interaction(request, response)
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

    @staticmethod
    def save_cassette(file: Path, cassette: dict[str, Any], serializer: Any) -> None:
        """Put a whole new file in the old one's place: a kill leaves the one or the other."""
        interactions = [
            {
                "request": {
                    "method": request.method,
                    "uri": request.uri,
                    "body": _readable(request.body),
                    "headers": dict(request.headers),
                },
                "response": response | {"body": {"string": _readable(response["body"]["string"])}},
            }
            for request, response in zip(cassette["requests"], cassette["responses"], strict=True)
        ]
        content = {"version": 1, "metadata": cassette["metadata"], "interactions": interactions}
        new = file.with_name(f".{file.name}.{os.getpid()}.tmp")
        try:
            with new.open("w", encoding="utf-8", newline="\n") as stream:
                yaml.dump(
                    content,
                    stream,
                    _Dumper,
                    default_flow_style=None,  # the innermost collections on one line
                    allow_unicode=True,
                    sort_keys=False,
                    width=100,
                )
                stream.flush()
                os.fsync(stream.fileno())
            new.replace(file)
        finally:
            new.unlink(missing_ok=True)


def check_interaction(request: Request, response: dict) -> None:
    """Raise what the SDK would only stumble over later, in the middle of a lesson.

    That is ValueError, KeyError or TypeError.
    """
    if not request.uri.startswith("/"):
        raise ValueError(f"uri {request.uri!r} should be relative to the API: /models")
    if request.body:
        json.loads(request.body)
    if not isinstance(response["status"]["code"], int):
        raise TypeError(f"{request.uri}: status code {response['status']['code']!r}")
    body = response["body"]["string"]
    if any("application/json" in kind for kind in response["headers"]["content-type"]):
        json.loads(body)


def _readable(body: bytes | None) -> str | bytes | None:
    """A body as text, JSON indented; what isn't UTF-8 as it is."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False).encode().decode()
    except (ValueError, TypeError):  # no JSON, or JSON with halves of a character
        try:
            return body.decode()
        except (UnicodeDecodeError, AttributeError):
            return body


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as literal blocks; libyaml won't where there is an emoji."""


def _text(dumper: yaml.Dumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else "")


_Dumper.add_representer(str, _text)
