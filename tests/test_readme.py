"""The commands that the READMEs give are those that are run."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OPEN, CHECK = "pip install uv && uv run jupyter lab", "pip install uv && uv run pytest"
READMES = ["README.md", "README.zh-CN.md"]


@pytest.mark.parametrize("readme", READMES)
def test_the_two_commands_come_first(readme):
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / readme).read_text("utf-8"), re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines() if line.startswith("pip")]
    assert commands[:2] == [OPEN, CHECK]


def test_ci_runs_the_readme_s_test_command():
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    # `|| exit`, because `set -e` does not see a failure on the left of &&
    assert [line for line in script.splitlines() if line.startswith(f"{CHECK} || exit")]


def test_the_workflow_runs_the_readme_s_test_command():
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8")
    assert f"run: {CHECK}\n" in workflow


def test_the_first_page_is_the_first_chapter():
    config = (ROOT / "jupyter_lab_config.py").read_text("utf-8")
    page = re.search(r'default_url = "/lab/tree/(.*)"', config)[1]
    assert page == "notebooks/01_models.ipynb"
    assert (ROOT / page).is_file()


def test_jupyterlab_finds_its_settings_where_the_package_puts_them():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    for source in shared:
        assert (ROOT / source).is_file()
        # a changed setting must be installed again
        assert {"file": source} in project["tool"]["uv"]["cache-keys"]


@pytest.mark.parametrize("readme", READMES)
def test_every_linked_file_exists(readme):
    text = (ROOT / readme).read_text("utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    assert links
    for link in links:
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_the_lock_file_is_ignored():
    """It would write down the addresses of a package registry."""
    assert "uv.lock" in (ROOT / ".gitignore").read_text("utf-8").splitlines()
