"""What a cell says when a call fails: a few lines in place of a traceback, and Run All goes on."""

import ast
import dis
from contextlib import suppress
from types import TracebackType
from typing import Any

from IPython import get_ipython

from .failures import FAILURES, explanation

# What cells would have assigned, had a call not failed.
_unset: set[str] = set()


def explain_errors() -> None:
    """From now on, explain a failed call in its cell, and let the next cell run.

    What a server refuses is no mistake in the notebook, and would stop Run All. The names that
    the cell would have assigned are unset, so that no later cell takes an earlier reply for
    this one; a cell that needs such a name says so, and is left out in the same way. All other
    exceptions are shown as ever. Does nothing outside of IPython.
    """
    if shell := get_ipython():
        shell.set_custom_exc((*FAILURES, NameError), _show)
        shell.events.register("post_run_cell", _end_well)


def _show(
    shell: Any, kind: type, error: Exception, traceback: TracebackType, tb_offset: Any
) -> None:
    """Print the explanation where there is one, else the traceback."""
    name = getattr(error, "name", None)
    if isinstance(error, NameError) and name in _unset:
        text = f"跳过这个单元格：它要用 {name}，而前面有一步没有成功，没有得到 {name}。"
    else:
        text = explanation(error)
    if text is None:
        shell.showtraceback((kind, error, traceback), running_compiled_code=True)
        return
    print(text)
    while traceback.tb_frame.f_globals is not shell.user_ns:
        traceback = traceback.tb_next
    error.line_of_cell = traceback.tb_lineno


def _end_well(result: Any) -> None:
    """After a cell: if its error was explained, unset what it didn't assign, and call it a success."""
    shell = get_ipython()
    _unset.difference_update(shell.user_ns)
    line = getattr(result.error_in_exec, "line_of_cell", None)
    if line is not None:
        for name in _assigned_from(line, shell.transform_cell(result.info.raw_cell)):
            shell.user_ns.pop(name, None)
            _unset.add(name)
        result.error_in_exec = None


def _assigned_from(line: int, source: str) -> set[str]:
    """The global names that a cell's statements assign, from the one at this line on."""
    rest = [statement for statement in ast.parse(source).body if statement.end_lineno >= line]
    module = ast.Module(rest, [])
    code = compile(module, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names = {i.argval for i in dis.get_instructions(code) if i.opname == "STORE_NAME"}
    for node in ast.walk(module):
        match node:  # %time and %%time: the code is their last argument
            case ast.Call(
                ast.Attribute(attr="run_line_magic" | "run_cell_magic"),
                [*_, ast.Constant(str(inner))],
            ):
                with suppress(SyntaxError):
                    names |= _assigned_from(0, inner)
    return names
