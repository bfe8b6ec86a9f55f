"""The rules that every notebook keeps."""

import ast
import getpass
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))

# What nbval doesn't compare (chapter, first line of the cell, tag or type), and why.
DRAWN = "drawn from the chart beside it, which is compared"
NOT_COMPARED = {
    ("01_models", "from helpers import show_chart", "image/png"): DRAWN,
    ("02_completions", "from helpers import show_chart", "image/png"): DRAWN,
}
SKIPPED_TAGS = {"nbval-skip", "nbval-ignore-output", "raises-exception"}
SKIPPED_COMMENT = re.compile(
    r"^\s*#+\s*(NBVAL_\w+|PYTEST_VALIDATE_IGNORE_OUTPUT)\s*$", re.MULTILINE
)
SKIPPED_TYPES = {"image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json"}

pytestmark = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.stem)


def read(notebook: Path) -> nbformat.NotebookNode:
    nb = nbformat.read(notebook, as_version=4)
    nbformat.validate(nb)
    return nb


def code_cells(notebook: Path) -> list:
    return [cell for cell in read(notebook).cells if cell.cell_type == "code"]


def test_every_cell_was_executed_in_order_from_a_fresh_kernel(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_no_cell_ended_in_an_error(notebook):
    for cell in code_cells(notebook):
        assert not [o for o in cell.outputs if o.output_type == "error"], cell.source


def test_every_request_was_recorded(notebook):
    """A cell that shows errors on purpose would show this one, too."""
    assert "recording_not_found" not in notebook.read_text("utf-8")


def test_no_cell_wrote_to_stderr(notebook):
    """A warning in a lesson is one more thing that a beginner can't place."""
    for cell in code_cells(notebook):
        assert not [o for o in cell.outputs if o.get("name") == "stderr"], cell.source


def test_the_kernel_is_the_one_that_every_machine_has(notebook):
    assert read(notebook).metadata.kernelspec.name == "python3"


def test_no_metadata_of_a_machine_or_a_widget_is_stored(notebook):
    nb = read(notebook)
    assert set(nb.metadata) == {"kernelspec", "language_info"}
    for cell in nb.cells:
        assert set(cell.metadata) <= {"tags", "jupyter"}, cell.source


def test_nothing_of_a_machine_or_a_key_stands_in_it(notebook):
    text = notebook.read_text("utf-8")
    assert not re.search(r"/(home|Users|root|work|tmp)/\w", text)
    assert not re.search(r"[A-Z]:\\\\", text)
    assert not re.search(r"\bsk-[\w-]{8,}", text)
    if len(getpass.getuser()) > 4:  # "root" is in too many words
        assert getpass.getuser() not in text


def test_every_linked_file_exists(notebook):
    for cell in read(notebook).cells:
        if cell.cell_type == "markdown":
            for link in re.findall(r"\]\(([^)]+)\)", cell.source):
                if not link.startswith("http"):
                    assert (notebook.parent / link).is_file(), link


def test_every_picture_says_in_words_what_it_shows(notebook):
    for cell in read(notebook).cells:
        if cell.cell_type == "markdown":
            assert all(len(alt) > 10 for alt in re.findall(r"!\[([^]]*)\]\(", cell.source))


def test_the_first_code_cell_starts_the_lesson(notebook):
    first = code_cells(notebook)[0].source
    assert first == f'from helpers import start\n\nlesson = start("{notebook.stem}")'


def test_every_cell_that_is_not_compared_is_known_and_has_a_reason(notebook):
    found = []
    for cell in code_cells(notebook):
        skipped = [*SKIPPED_TAGS.intersection(cell.metadata.get("tags", []))]
        skipped += SKIPPED_COMMENT.findall(cell.source)
        for output in cell.outputs:
            pictures = SKIPPED_TYPES.intersection(output.get("data", {}))
            if pictures:
                assert set(output.data) - SKIPPED_TYPES - {"text/plain"}, "only a picture"
            skipped += pictures
        found += [(notebook.stem, cell.source.partition("\n")[0], what) for what in skipped]
    # Lists: a second one in a cell that is known must not hide behind the first.
    assert sorted(found) == sorted(known for known in NOT_COMPARED if known[0] == notebook.stem)


def test_no_generated_code_is_executed_outside_the_sandbox(notebook):
    for cell in code_cells(notebook):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Call):
                assert getattr(node.func, "id", "") not in {"exec", "eval", "compile"}
