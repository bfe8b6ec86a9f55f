"""Code as models write it prints in the sandbox what it prints in plain Python."""

import subprocess
import sys

import pytest
from snippet_file import read_snippets

from helpers import Sandbox

SNIPPETS = read_snippets("models_write.txt")


@pytest.fixture(scope="module")
def box():
    with Sandbox(timeout_s=30) as box:
        yield box


@pytest.mark.parametrize("name", SNIPPETS)
def test_prints_the_same_as_plain_python(name, box):
    plain = subprocess.run(
        [sys.executable, "-I", "-X", "utf8", "-c", SNIPPETS[name]],
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    assert plain.stdout
    assert box.run(SNIPPETS[name]).stdout == plain.stdout


def test_there_are_forty():
    assert len(SNIPPETS) >= 40
