"""A notebook of the course as a learner has it: in JupyterLab, in a real browser."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
from course import ROOT, copy_course
from playwright.sync_api import Browser, Page, sync_playwright

# Where macOS and Windows have Chrome, it isn't on PATH.
NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]

# All of a notebook's cells are in the page, also those far below.
SETTINGS = {"windowingMode": "none"}

# For each widget a chapter, and the code that makes one there.
WIDGETS = {
    "model_explorer": ("01_models", "model_explorer(OpenAI().models.list())"),
    "completion_playground": ("02_completions", "completion_playground()"),
    "chat_playground": ("03_chat", "chat_playground()"),
    "sampling_explorer": (
        "02_completions",
        """sampling_explorer(
    OpenAI().completions.create(
        model=lesson.experiment_model, prompt="The capital of France is",
        max_tokens=24, temperature=1, seed=4, logprobs=5,
    ),
    seed=1,
)""",
    ),
    "memory_explorer": ("03_chat", "memory_explorer()"),
}

READY = """() => {
  const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
  const kernel = context?.session?.kernel;
  return context?.isReady && kernel?.connectionStatus === 'connected' && kernel.status === 'idle';
}"""

# Counts that are stored say nothing. The command's end isn't waited for: it may never come.
RUN_ALL = """() => {
  for (const cell of jupyterapp.shell.currentWidget.content.model.cells)
    if (cell.type === 'code') cell.executionCount = null;
  jupyterapp.commands.execute('notebook:run-all-cells');
}"""
RAN = """() => {
  const notebook = jupyterapp.shell.currentWidget;
  const code = [...notebook.content.model.cells].filter(cell => cell.type === 'code');
  return code.every(cell => cell.executionCount)
    && notebook.sessionContext.session.kernel.status === 'idle';
}"""
CODE_CELLS = """() => [...jupyterapp.shell.currentWidget.content.widgets]
  .filter(cell => cell.model.type === 'code')
  .map(cell => ({
    source: cell.model.sharedModel.source,
    count: cell.model.executionCount,
    errors: cell.model.outputs.toJSON().filter(output => output.output_type === 'error'),
    shown: cell.outputArea.node.innerText,
    panels: cell.outputArea.node.querySelectorAll('.course-panel').length,
  }))"""
EXECUTE = """code => jupyterapp.shell.currentWidget.sessionContext.session.kernel
  .requestExecute({code}).done.then(reply => reply.content.status)"""
CLOSE = """() => {
  jupyterapp.shell.currentWidget?.dispose();
  return jupyterapp.serviceManager.sessions.shutdownAll();
}"""


@dataclass(frozen=True)
class Lab:
    """A JupyterLab that runs on a copy of the course."""

    course: Path
    url: str
    token: str

    def write(self, name: str, *cells: str) -> str:
        """Write a notebook of these code cells; returns its name."""
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        nb.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(nb, self.course / "notebooks" / f"{name}.ipynb")
        return name


def find_browser() -> str | None:
    """The system's Chromium or Chrome."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def browser(program: str) -> Iterator[Browser]:
    """Run the browser inside the `with` block."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield started
        started.close()


@contextmanager
def jupyter_lab(folder: Path) -> Iterator[Lab]:
    """Run JupyterLab inside the `with` block; all that it reads and writes is in `folder`."""
    course = copy_course(folder / "course")
    shutil.copytree(ROOT / "images", course / "images")
    own = {
        "JUPYTER_CONFIG_DIR": folder / "config",
        "JUPYTER_DATA_DIR": folder / "data",
        "JUPYTER_RUNTIME_DIR": folder / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": folder / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": folder / "workspaces",
        "IPYTHONDIR": folder / "ipython",
        "PYTHONPATH": os.pathsep.join([str(course), str(ROOT / "tests" / "offline")]),
    }
    settings = folder / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text(json.dumps(SETTINGS), "utf-8")
    token = secrets.token_hex()
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--port=0"]
    command += [f"--IdentityProvider.token={token}", "--LabApp.expose_app_in_browser=True"]
    env = os.environ | {name: str(value) for name, value in own.items()}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=course, env=env, stdout=log, stderr=log)
    try:
        yield Lab(course, _address(process, folder), token)
    finally:
        process.terminate()
        process.wait()


def open_lab(page: Page, lab: Lab) -> None:
    """Open JupyterLab, with nothing in it."""
    page.goto(f"{lab.url}lab?reset&token={lab.token}")
    page.wait_for_function("() => window.jupyterapp")
    page.evaluate("() => jupyterapp.restored.then(() => null)")


def open_notebook(page: Page, name: str) -> None:
    """Open a notebook in JupyterLab."""
    path = {"path": f"notebooks/{name}.ipynb", "factory": "Notebook"}
    page.evaluate("path => jupyterapp.commands.execute('docmanager:open', path) && null", path)
    wait_for_kernel(page)


def wait_for_kernel(page: Page) -> None:
    """Until the notebook that is open can be run."""
    page.wait_for_function(READY)


def run_all(page: Page) -> None:
    """Run All, to the end."""
    page.evaluate(RUN_ALL)
    page.wait_for_function(RAN, timeout=60000)


def code_cells(page: Page) -> list[dict]:
    """What the open notebook's code cells hold and show."""
    return page.evaluate(CODE_CELLS)


def execute(page: Page, code: str) -> None:
    """Run code in the open notebook's kernel, outside its cells."""
    assert page.evaluate(EXECUTE, code) == "ok", code


def close_notebook(page: Page) -> None:
    """Close the open notebook, and end its kernel."""
    page.evaluate(CLOSE)


def cells_for(widget: str, make: str | None = None) -> list[str]:
    """The cells of a notebook that shows a widget, or what `make` makes of it."""
    chapter, code = WIDGETS[widget]
    imports = f"from openai import OpenAI\n\nfrom helpers import {widget}, start\n\n"
    return [f'{imports}lesson = start("{chapter}")', make or code]


def _address(process: subprocess.Popen, folder: Path) -> str:
    """Where JupyterLab listens, once it does."""
    deadline = time.monotonic() + 60
    while True:
        for note in (folder / "runtime").glob("jpserver-*.json"):
            if note.stat().st_size:
                return json.loads(note.read_text("utf-8"))["url"]
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError((folder / "log").read_text("utf-8"))
        time.sleep(0.1)
