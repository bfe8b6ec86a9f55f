"""What all the widgets share: one box that frees itself, and that can be read without a kernel."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from html import escape

import ipywidgets as widgets

STYLE = """<style>
.course-panel {border: 1px solid #d5d9de; border-radius: 6px; padding: 10px; max-width: 900px;}
.course-panel .widget-label {min-width: 0;}
.course-text {white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.5;}
.course-code {white-space: pre-wrap; overflow-wrap: anywhere; font-family: monospace;
  line-height: 1.4; background: #f6f7f9; color: #1f2328; padding: 8px; user-select: all;}
.course-error {color: var(--jp-error-color1, #b42318); overflow-wrap: anywhere;}
.course-hint {color: var(--jp-ui-font-color2, #5f6b7a); font-size: 90%; line-height: 1.5;
  white-space: pre-line;}
</style>"""


class Panel(widgets.VBox):
    """A box of widgets, of the CSS class `name`.

    `static` gives the text that stands for it where no kernel runs. Only that is stored in a
    notebook which is executed with `LESSON_WIDGETS=static` in the environment: a stored view
    without its kernel would be shown as an error.
    """

    def __init__(self, name: str, children: list[widgets.Widget], static: Callable[[], str]):
        super().__init__([widgets.HTML(STYLE), *children])
        self.add_class("course-panel")
        self.add_class(name)
        self._static = static
        self._task: asyncio.Task | None = None

    def start(self, call: Coroutine) -> None:
        """Run a call beside the kernel's other work."""
        self._task = asyncio.get_running_loop().create_task(call)

    def stop(self) -> None:
        """Break off the call that runs, where one does.

        JupyterLab has clicks handled in several threads: not always in the one of the call.
        """
        task = self._task
        if task and not task.done():
            task.get_loop().call_soon_threadsafe(task.cancel)

    def _repr_mimebundle_(self, **kwargs: object) -> dict:
        text = self._static()
        bundle = {"text/plain": text, "text/html": f"<pre>{escape(text)}</pre>"}
        if os.environ.get("LESSON_WIDGETS") == "static":
            return bundle
        return super()._repr_mimebundle_(**kwargs) | bundle

    def close(self) -> None:
        """Free the box and all that is in it; break off a call that runs."""
        self.stop()
        for widget in [*_inside(self)]:
            for part in ("layout", "style"):
                if isinstance(getattr(widget, part, None), widgets.Widget):
                    getattr(widget, part).close()
            if widget is not self:
                widget.close()
        super().close()


def label(control: widgets.Widget, name: str, tip: str) -> None:
    """Name a control, and explain it where the mouse rests on the name.

    ipywidgets shows the tooltip of a control that has a name in some cases only.
    """
    control.description_allow_html = True
    control.description = f'<abbr title="{escape(tip)}">{escape(name)}</abbr>'
    control.tooltip = tip


def show_text(text: str, kind: str = "text") -> str:
    """HTML that shows a text as it is: nothing in it is markup. `kind`: text, code, error, hint."""
    return f'<div class="course-{kind}">{escape(text)}</div>'


def show_error(line: str, detail: str) -> str:
    """HTML that shows an error in one line, and its detail when that is unfolded."""
    unfolded = f"<details><summary>详情</summary>{show_text(detail)}</details>" if detail else ""
    return show_text(line, "error") + unfolded


def _inside(box: widgets.Widget) -> Iterator[widgets.Widget]:
    yield box
    for child in getattr(box, "children", ()):
        yield from _inside(child)
