"""Take the pictures of JupyterLab and of each widget again: uv run python images/screenshot.py

It needs Chromium and a Chinese font.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser import (
    Lab,
    browser,
    close_notebook,
    find_browser,
    jupyter_lab,
    open_lab,
    open_notebook,
    run_all,
    wait_for_kernel,
)

IMAGES = ROOT / "images"

# For each widget its chapter and its place there, what is clicked, and what then can be seen.
PICTURES = {
    "model_explorer": ("01_models", ".model-explorer", None, ".model-code"),
    "completion_playground": (
        "02_completions",
        ".course-playground",
        ".playground-run",
        ".playground-output .course-text",
    ),
    "sampling_explorer": (
        "02_completions",
        ".sampling-explorer",
        ".sampling-draw",
        ".sampling-drawn",
    ),
    "chat_playground": (
        "03_chat",
        ".course-playground",
        ".playground-run",
        ".playground-output .course-text",
    ),
    "memory_explorer": (
        "03_chat",
        ".memory-explorer",
        ".memory-send",
        ".memory-reply .course-text",
    ),
}


def take_lesson(started: Browser, lab: Lab) -> None:
    """What a JupyterLab of its own opens first."""
    page = started.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{lab.url}?token={lab.token}")
    wait_for_kernel(page)
    page.wait_for_timeout(2000)  # charts are drawn
    page.screenshot(path=IMAGES / "lesson.png")
    page.close()


def take_widget(page: Page, name: str) -> None:
    """A widget in its chapter, with a reply."""
    chapter, place, button, shown = PICTURES[name]
    open_notebook(page, chapter)
    run_all(page)
    panel = page.locator(place)
    panel.wait_for()
    if button:
        panel.locator(button).click()
    panel.locator(shown).first.wait_for()
    page.locator(".jp-Notebook").click(position={"x": 5, "y": 5})  # the focus goes elsewhere
    page.wait_for_timeout(500)
    panel.screenshot(path=IMAGES / f"{name}.png")
    close_notebook(page)


def take_all() -> None:
    """All the pictures, the widgets' about 900 pixels wide."""
    with (
        tempfile.TemporaryDirectory() as home,
        browser(find_browser()) as started,
        jupyter_lab(Path(home)) as lab,
    ):
        take_lesson(started, lab)
        page = started.new_page(viewport={"width": 1100, "height": 1400})
        open_lab(page, lab)
        page.evaluate("() => jupyterapp.commands.execute('application:toggle-left-area') && null")
        for name in PICTURES:
            take_widget(page, name)


if __name__ == "__main__":
    take_all()
