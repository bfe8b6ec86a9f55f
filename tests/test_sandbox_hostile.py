"""Hostile code: it sees nothing of its host, it ends, and the next run works."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from snippet_file import read_snippets

from helpers import Sandbox, SandboxError

SNIPPETS = read_snippets("hostile.txt")
SECRET = "secret-that-must-never-be-seen"


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """The secret in the environment and in files: in a folder, the current and the temporary."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        temporary = tmp_path_factory.mktemp("tmp")
        patch.chdir(tmp_path_factory.mktemp("work"))
        patch.setenv("HOME", str(home))
        patch.setenv("TMPDIR", str(temporary))
        patch.setenv("OPENAI_API_KEY", SECRET)
        patch.setenv("SANDBOX_SECRET", SECRET)
        paths = [home / "secret.txt", temporary / "secret.txt", Path.cwd() / ".env"]
        for path in paths:
            path.write_text(SECRET)
        yield [path.as_posix() for path in paths] + [".env"]


@pytest.fixture(scope="module")
def box(planted):
    with Sandbox(timeout_s=0.5, memory_mb=64) as box:
        yield box


@pytest.mark.parametrize("name", SNIPPETS)
def test_hostile(name, box, planted):
    started = time.monotonic()
    try:
        result = box.run(f"PATHS = {planted}\n{SNIPPETS[name]}")
        seen = result.stdout + result.stderr
    except SandboxError as error:
        seen = f"{error}{error.stdout}{error.stderr}"
    assert time.monotonic() - started < 10
    assert SECRET not in seen and SECRET not in repr(seen)
    assert "harmed" not in seen  # the library that all workers share
    assert all(Path(path).read_text() == SECRET for path in planted)
    assert box.run("__import__('sys').stdout.write('next')").stdout == "next"


def test_there_are_a_hundred():
    assert len(SNIPPETS) >= 100


@pytest.mark.parametrize("name", ["open", "environment", "os-open", "os-popen"])
@pytest.mark.skipif(os.name == "nt", reason="the snippets use POSIX names")
def test_the_same_code_sees_the_secret_in_plain_python(name, planted):
    code = f"PATHS = {planted}\n{SNIPPETS[name]}"
    command = [sys.executable, "-I", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert SECRET in done.stdout
