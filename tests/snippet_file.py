"""Snippets of code kept in one text file, each under a line `=== name`."""

import re
from pathlib import Path


def read_snippets(name: str) -> dict[str, str]:
    """Name -> code, of a file in tests/snippets."""
    text = (Path(__file__).parent / "snippets" / name).read_text(encoding="utf-8")
    _, *parts = re.split(r"^=== (.+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))
