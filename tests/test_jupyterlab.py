"""The README's first command: what JupyterLab shows, and to whom."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """JupyterLab as `uv run jupyter lab` starts it, with an empty home: yields its own notes."""
    home = tmp_path_factory.mktemp("home")
    env = os.environ | {"HOME": str(home), "JUPYTER_RUNTIME_DIR": str(home)}
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--port=0"]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.DEVNULL)
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
