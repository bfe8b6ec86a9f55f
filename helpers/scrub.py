"""What is secret in an exchange: patterns that find it, to be replaced before anything is written."""

import os
import re
from collections.abc import Iterable, Iterator

import httpx2

REMOVED = b"[removed]"
# Of headers, and of parameters in a URL.
SECRET_NAMES = re.compile(
    r"(proxy-)?authorization|.*(api[-_]?key|token|secret)|key|sig(nature)?"
    r"|openai-(organization|project)|(set-)?cookie|.*request-id"
)
SECRET_SETTINGS = (
    "OPENAI_API_KEY",
    "OPENAI_ADMIN_KEY",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "OPENAI_WEBHOOK_SECRET",
)
# Where a word begins, perhaps after \n or \u4e2d in a JSON text.
_BEGIN = r"(?:\b|(?<=\\[bfnrt])|(?<=\\u[\da-fA-F]{4}))"
# Whatever has the form of a key or of an id, whosesoever it is.
SECRET_FORM = (
    rf"{_BEGIN}(?:sk-(?=[\w-]*\d)[\w-]{{20,}}|(?:org|proj|req|user)[-_](?=\w*\d)[a-zA-Z0-9]{{16,}})"
)
# Error messages name keys (half of them masked), organisations, projects and requests.
SECRET_IN_ERROR = re.compile(
    rf"{_BEGIN}(?:sk-[\w*.-]{{5,}}[\w*]|(?:org|proj|req)[-_]\w{{6,}})"
    rf"|((?<!\\){_BEGIN}[\w-]+)?\*{{3,}}[\w*-]*".encode()
)


def secrets_in(url: httpx2.URL, headers: Iterable[tuple[str, str]]) -> re.Pattern[bytes]:
    """Finds the secrets of a request's URL and of an exchange's headers, and those in settings.

    In whichever spelling, and also what only has the form of a key or an id. Values of less
    than 8 characters are placeholders, as in OPENAI_API_KEY=ollama: to take that word out
    everywhere would spoil the recording.
    """
    values = {os.environ.get(name, "").strip() for name in SECRET_SETTINGS}
    values |= {url.username, url.password, *_values([*headers, *url.params.multi_items()])}
    longest_first = sorted((v for v in values if len(v) >= 8), key=len, reverse=True)
    known = ("".join(map(_spellings, value)) for value in longest_first)
    return re.compile("|".join([*known, SECRET_FORM]).encode())


def _values(named: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The values of secret headers and parameters: not the scheme of "Bearer KEY", nor a cookie's name and domain."""
    for name, value in named:
        name = name.lower()
        if not SECRET_NAMES.fullmatch(name):
            continue
        elif name == "set-cookie":
            yield value.partition(";")[0].partition("=")[2].strip('"')
        elif name == "cookie":
            yield from re.findall(r'="?([^";\s]+)', value)
        else:
            yield from value.split()[-1:]


def _spellings(char: str) -> str:
    """A pattern for a character as it is, escaped in JSON (also twice), and in a URL."""
    in_url = "".join(f"%{byte:02x}" for byte in char.encode())
    return rf"(?:\\*{re.escape(char)}|(?i:\\+u{ord(char):04x}|{in_url}))"
