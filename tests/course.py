"""A copy of the course, and its chapters executed in it with settings of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).parent.parent
CHAPTERS = ["01_models", "02_completions", "03_chat"]


def copy_course(folder: Path) -> Path:
    """Copy helpers, chapters and recordings to `folder`."""
    shutil.copytree(ROOT / "helpers", folder / "helpers")
    shutil.copytree(
        ROOT / "notebooks", folder / "notebooks", ignore=shutil.ignore_patterns(".ipynb*")
    )
    return folder


def run_all(course: Path, chapter: str, **settings: str) -> list:
    """Execute a chapter of the copy, with `settings` as environment: its code cells.

    Fails the test where a cell ends in an error.
    """
    file = course / "notebooks" / f"{chapter}.ipynb"
    done = subprocess.run(
        [sys.executable, "-m", "jupyter", "execute", "--inplace", str(file)],
        cwd=course,
        env=os.environ | {"PYTHONPATH": str(course)} | settings,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cells = [c for c in nbformat.read(file, as_version=4).cells if c.cell_type == "code"]
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    assert not [o for c in cells for o in c.outputs if o.output_type == "error"]
    return cells


def text_of(cell) -> str:
    """What a cell shows, as text."""
    return "".join(o.get("text") or o.data["text/plain"] for o in cell.outputs)
