"""The check that CI relies on can fail: nbval notices one changed word, wherever it stands."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
CHAPTER = "03_chat"


@pytest.fixture
def copy(tmp_path) -> Path:
    """A copy of the course, with one chapter."""
    shutil.copytree(ROOT / "helpers", tmp_path / "helpers")
    shutil.copytree(ROOT / "notebooks" / "recordings", tmp_path / "notebooks" / "recordings")
    shutil.copy(ROOT / "notebooks" / f"{CHAPTER}.ipynb", tmp_path / "notebooks")
    return tmp_path


def nbval(course: Path) -> subprocess.CompletedProcess:
    """Run nbval over the copy, whose helpers come before the installed ones."""
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", course]
    command += ["-q", "--color=no", "-p", "no:cacheprovider", "--nbval", course / "notebooks"]
    path = os.pathsep.join([str(course), os.environ["PYTHONPATH"]])
    env = os.environ | {"PYTHONPATH": path}
    return subprocess.run(command, cwd=course, env=env, capture_output=True, text=True, check=False)


def test_an_unchanged_chapter_passes(copy):
    done = nbval(copy)
    assert done.returncode == 0, done.stdout


def test_one_word_changed_in_a_recording_fails(copy):
    cassette = copy / "notebooks" / "recordings" / f"{CHAPTER}.yaml"
    text = cassette.read_text("utf-8")
    assert text.count("银牌21枚") == 1
    cassette.write_text(text.replace("银牌21枚", "银牌22枚"), "utf-8")
    done = nbval(copy)
    assert done.returncode == 1
    assert "银牌22枚" in done.stdout


def test_one_word_changed_in_a_stored_output_fails(copy):
    notebook = copy / "notebooks" / f"{CHAPTER}.ipynb"
    nb = nbformat.read(notebook, as_version=4)
    [cell] = [c for c in nb.cells if c.source == "messages.append(new_message_dict)"]
    [output] = nb.cells[nb.cells.index(cell) + 1].outputs
    output.text = output.text.replace("assist", "resist")
    nbformat.write(nb, notebook)
    done = nbval(copy)
    assert done.returncode == 1
    assert "1 failed" in done.stdout
    assert "resist" in done.stdout


def test_a_request_that_is_not_recorded_fails(copy):
    """Although the cell explains it and counts as a success, and had no output to compare."""
    notebook = copy / "notebooks" / f"{CHAPTER}.ipynb"
    nb = nbformat.read(notebook, as_version=4)
    cell = next(c for c in nb.cells if '"content": "Hello!"' in c.source and "create(" in c.source)
    assert cell.outputs == []
    cell.source = cell.source.replace("Hello!", "Good bye!")
    nb.cells = nb.cells[: nb.cells.index(cell) + 1]
    nbformat.write(nb, notebook)
    done = nbval(copy)
    assert done.returncode == 1
    assert "1 failed" in done.stdout
    assert "Unexpected output fields from running code: {'stdout'}" in done.stdout


def test_the_network_is_out_of_reach_in_the_kernels(copy):
    """What the other checks rest on: a cell that reaches for another machine fails."""
    notebook = copy / "notebooks" / f"{CHAPTER}.ipynb"
    reach = "import socket\nsocket.create_connection(('example.com', 80))"
    cell = nbformat.v4.new_code_cell(reach, execution_count=1)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), notebook)
    done = nbval(copy)
    assert done.returncode == 1
    assert "the tests are offline: example.com is not this machine" in done.stdout
