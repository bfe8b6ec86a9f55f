"""The commands that the READMEs give are those that are run, and do what they say."""

import json
import os
import re
import shutil
import subprocess
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
READMES = ["README.md", "README.zh-CN.md"]


def commands(readme: str) -> list[str]:
    """The commands that begin at nothing, in their order."""
    text = (ROOT / readme).read_text("utf-8")
    return re.findall(r"^pip install uv && .*$", text, re.MULTILINE)


OPEN, CHECK = commands("README.md")


def test_both_readmes_give_the_same_two_commands():
    assert commands("README.zh-CN.md") == [OPEN, CHECK]


def test_ci_runs_the_readme_s_test_command():
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    # `|| exit`, because `set -e` does not see a failure on the left of &&
    assert [line for line in script.splitlines() if line.startswith(f"{CHECK} || exit")]


def test_the_workflow_runs_the_readme_s_test_command():
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8")
    assert f"run: {CHECK}\n" in workflow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """JupyterLab as the README starts it, with no settings of a user: yields its own notes."""
    home = tmp_path_factory.mktemp("jupyter")
    own = dict.fromkeys(
        ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"), str(home)
    )
    command = OPEN.removeprefix("pip install uv && ").split()
    command[0] = os.environ.get("UV") or shutil.which("uv")  # uv run says where it is
    command += ["--no-browser", "--port=0"]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | own, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not (notes := [n for n in home.glob("jpserver-*.json") if n.stat().st_size]):
            assert process.poll() is None and time.monotonic() < deadline, "it did not start"
            time.sleep(0.1)
        yield json.loads(notes[0].read_text("utf-8"))
    finally:
        process.terminate()
        process.wait()


def get(server: dict, path: str, token: str | None = None):
    url = f"{server['url']}{path}"
    request = urllib.request.Request(url, headers={"Authorization": f"token {token}"})
    return urllib.request.urlopen(request, timeout=30)


def test_it_opens_the_first_chapter(server):
    with get(server, f"?token={server['token']}") as page:
        assert page.url.startswith(f"{server['url']}lab/tree/notebooks/01_models.ipynb")
    with get(server, "api/contents/notebooks/01_models.ipynb", server["token"]) as chapter:
        assert json.load(chapter)["type"] == "notebook"


def test_it_listens_on_this_machine_only_and_asks_for_a_token(server):
    assert server["hostname"] == "127.0.0.1"
    assert len(server["token"]) >= 32
    with pytest.raises(urllib.error.HTTPError, match="403"):
        get(server, "api/contents", "wrong")


def test_it_does_not_ask_about_news(server):
    path = "lab/api/settings/@jupyterlab/apputils-extension:notification"
    with get(server, path, server["token"]) as settings:
        schema = json.load(settings)["schema"]
    assert schema["properties"]["fetchNews"]["default"] == "false"


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
