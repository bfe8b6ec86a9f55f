"""What a learner sees of a failed call, and what later cells find: in IPython, with a real server."""

import os
import re
import socket
import subprocess
import sys
import time

import nbformat
import pytest
from fault_server import GOOD, REPLIES, fault_server
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient
from traitlets.config import Config

from helpers import explain, lesson

KEY = "sk-Qx7Zv2Wj9K4b"
CALL = "data = client({!r}).completions.create(model='m', prompt='春')"
STREAM = "stream = client({!r}).completions.create(model='m', prompt='春', stream=True)"
RAISING_FROM = f"""
try:
    {CALL.format("500")}
except Exception as error:
    raise RuntimeError("mine") from error
"""
READ = "for chunk in stream:\n    print(chunk.choices[0].text)"


@pytest.fixture(scope="module")
def server():
    with fault_server() as started:
        yield started


@pytest.fixture
def replies(server):
    """What the server answers, by path; one test can change it."""
    _, replies = server
    before = dict(replies)
    yield replies
    replies.clear()
    replies.update(before)


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """A new IPython, and no trace of it afterwards."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(explain, "_unset", set())
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    yield InteractiveShell.instance(config=config, ipython_dir=str(tmp_path))
    InteractiveShell.clear_instance()
    lesson._recordings_on.close()
    lesson._set_by_start.clear()


@pytest.fixture
def run(shell, server, capsys):
    """Runs a cell that should count as a success, or not: returns what the learner sees."""

    def run(cell: str, success: bool = True) -> str:
        result = shell.run_cell(cell)
        seen, errors = capsys.readouterr()
        assert (result.success, errors) == (success, ""), seen
        assert ("Traceback" in seen) is not success
        return seen

    explain.explain_errors()
    shell.user_ns.update(url=server[0], key=KEY)
    run(
        "from openai import AsyncOpenAI, OpenAI\n"
        "def client(fault, kind=OpenAI, **options):\n"
        "    options = {'api_key': key, 'max_retries': 0} | options\n"
        "    return kind(base_url=f'{url}/{fault}/v1', **options)"
    )
    return run


SERVER_SAYS = [
    ("400", "服务器不接受这个请求", "max_tokens is too large: 1000000.", "看它说的是哪个参数"),
    ("401-openai", "服务器不接受这个密钥", "Incorrect API key provided", "OPENAI_API_KEY：抄全了"),
    ("401-llama.cpp", "服务器不接受这个密钥", "Invalid API key", "从这一章的第一个单元格起"),
    ("403", "服务器不允许这个请求", "Country, region, or territory not supported", "哪些地区能用"),
    (
        "404-openai",
        "没有这个接口（/404-openai/v1/completions）",
        "The model `m` does",
        "models.list",
    ),
    ("404-llama.cpp", "没有这个接口（/404-llama.cpp/v1/", "Not Found", "一般以 /v1 结尾"),
    ("404-ollama", "或者没有这个模型", "model 'm' not found", "CHAT_MODEL 和 COMPLETION_MODEL"),
    ("404-ollama-old", "或者没有这个模型", "model 'm' not found, try pulling", "client.models"),
    ("404-text", "服务器说没有", "404 page not found", "一般以 /v1 结尾"),
    ("404-vllm", "服务器说没有", "The model `m` does not exist.", "有的服务器确实没有这个接口"),
    ("409", "服务器拒绝了这个请求", "Conflict of some kind", "看它说了什么"),
    ("418", "服务器拒绝了这个请求", "", "就看服务器的说明"),
    ("422", "服务器不接受", "body.prompt: Field required；body.stop.0: Input should", "哪个参数"),
    ("422-odd-list", "服务器不接受这个请求", "no prompt；{'reason': 'none'}", "看它说的是哪个参数"),
    ("list", "服务器不接受这个请求", "not；an；object", "看它说的是哪个参数"),
    ("other-object", "服务器不接受这个请求", "{'reason': 'none'}", "看它说的是哪个参数"),
    ("429", "请求太多、太快", "Rate limit reached", "等 7 秒再运行"),
    ("429-date", "请求太多、太快", "Rate limit reached", "等一会儿再运行"),
    ("429-no-time", "请求太多、太快", "Rate limit reached", "等一会儿再运行"),
    ("429-quota", "额度用完了", "You exceeded your current quota", "重试没有用"),
    ("500", "服务器自己出了错", "The server had an error", "等一会儿再运行"),
    ("500-empty", "服务器自己出了错", "", "就看它的日志"),
    ("502", "服务器，或者它前面的网关、代理", "502 Bad Gateway 502 Bad Gateway nginx", "NO_PROXY"),
]


@pytest.mark.parametrize(("fault", "happened", "said", "todo"), SERVER_SAYS)
def test_a_refusal_says_what_happened_what_the_server_said_and_what_to_do(
    run, fault, happened, said, todo
):
    seen = run(CALL.format(fault))
    lines = seen.splitlines()
    assert happened in lines[0]
    assert re.search(rf"。（{fault[:3] if fault[0] == '4' else ''}.*Error）$", lines[0])
    assert lines[1:-1] == [line for line in lines if line.startswith("服务器说：")]
    assert len(lines) == 2 + bool(said)
    assert said in lines[1]
    assert lines[-1].startswith("怎么办：")
    assert todo in lines[-1]


SDK_SAYS = [
    (
        CALL.format("too-short"),
        "连接中途断了，没有收到完整的回复。（APIConnectionError）",
        "再运行",
    ),
    (CALL.format("truncated"), "不是完整、合法的 JSON。（JSONDecodeError）", "再运行一次"),
    (
        "data = client('slow', timeout=0.05).models.list()",
        "等得太久，没有等到回复。（APITimeoutError）",
        "OpenAI(timeout=秒数)",
    ),
    (
        "OpenAI(base_url='ftp://h', api_key=key, max_retries=0).models.list()",
        "请求没能发出去：地址或密钥的写法不对。（APIConnectionError）",
        "http:// 或 https:// 开头",
    ),
    (
        "client('good', api_key=f'{key}\\n').models.list()",
        "请求没能发出去：地址或密钥的写法不对。（APIConnectionError）",
        "OPENAI_API_KEY 里有没有空格、换行",
    ),
    ("client('good', api_key='')", "SDK 报了错：Missing credentials", "第一个单元格"),
]


@pytest.mark.parametrize(("cell", "happened", "todo"), SDK_SAYS)
def test_a_call_without_a_usable_reply_says_what_happened_and_what_to_do(run, cell, happened, todo):
    first, last = run(cell).splitlines()
    assert happened in first
    assert todo in last.removeprefix("怎么办：")


def test_a_server_that_is_not_there_is_named(run):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    seen = run(
        f"OpenAI(base_url='http://127.0.0.1:{port}', api_key=key, max_retries=0).models.list()"
    )
    assert seen.startswith(
        "连不上服务器 127.0.0.1。（APIConnectionError）\n怎么办：检查 OPENAI_BASE_URL"
    )


@pytest.mark.parametrize(
    "cell",
    [
        "data = client('page').models.list()",
        f"{CALL.format('page')}\nprint(data.choices[0].text)",
        "data = client('page').models.retrieve('m')\nprint(data.created)",
    ],
)
def test_a_web_page_in_place_of_a_reply_is_called_one(run, cell):
    first, last = run(cell).splitlines()
    assert first.startswith("服务器的回复不是 JSON，而是一个网页：502 Bad Gateway")
    assert "<" not in first and "color" not in first
    assert "少了结尾的 /v1" in last


def test_a_reply_without_choices_is_called_so_and_can_be_looked_at(run):
    """As some servers answer with 200 where they don't have the endpoint."""
    seen = run(f"{CALL.format('no-choices')}\ntext = data.choices[0].text")
    assert seen.startswith(
        "服务器的回复是空的：里面没有 choices，或者没有 data。（TypeError）\n怎么办：把回复打印出来"
    )
    assert "Unexpected endpoint" in run("print(data)")
    assert run("print(text)").startswith("跳过这个单元格：它要用 text")


def test_another_mistake_with_choices_is_shown_as_ever(run):
    run(CALL.format("good"))
    assert "list indices must be integers" in run("data.choices['a']", success=False)


def test_a_long_message_is_cut(run):
    assert len(run(CALL.format("long"))) < 700
    assert "很长很长……\n" in run(CALL.format("long"))


def test_a_stream_that_breaks_is_explained_after_what_came(run):
    run(STREAM.format("stream-cut"))
    assert run(READ).startswith("春\n连接中途断了，没有收到完整的回复。")


def test_an_error_inside_a_stream_is_explained_after_what_came(run):
    run(STREAM.format("stream-error"))
    assert run(READ).startswith(
        "春\n服务器答到一半，自己报了错。（APIError）\n服务器说：The model ran out of memory\n"
    )


def test_a_good_stream_is_left_alone(run):
    assert run(f"{STREAM.format('stream')}\n{READ}") == "春\n春\n"


# The key


@pytest.mark.parametrize("fault", REPLIES)
def test_nothing_of_the_key_is_said(run, fault):
    seen = run(CALL.format(fault).replace("client(", "client(timeout=0.2, fault="))
    parts = {KEY[i : i + 4] for i in range(3, len(KEY) - 3)}
    assert not [part for part in parts if part in seen]


@pytest.mark.parametrize("fault", ["401-whole-key", "401-openai"])
def test_a_key_in_any_form_is_taken_out(run, fault):
    seen = run(f"key = key[3:]\n{CALL.format(fault)}")
    assert "***" in seen
    assert KEY[3:7] not in seen and KEY[-4:] not in seen


def test_a_word_that_serves_as_a_key_is_left_in_the_message(run):
    seen = run(CALL.format("404-vllm").replace("client(", "client(api_key='model', fault="))
    assert "服务器说：The model `m` does not exist." in seen


# Trying again


def test_a_429_with_retry_after_is_waited_for_and_then_succeeds(run, replies, monkeypatch):
    waits = []
    replies["busy"] = [REPLIES["429"], GOOD]
    monkeypatch.setattr(time, "sleep", waits.append)
    run(CALL.format("busy").replace("client(", "client(max_retries=2, fault="))
    assert run("print(data.choices[0].text)") == "天来了\n"
    assert 7 in waits


@pytest.mark.parametrize("fault", ["500", "429"])
def test_it_says_how_often_the_sdk_has_tried_again(run, fault, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    seen = run(CALL.format(fault).replace("client(", "client(max_retries=2, fault="))
    assert "Error，SDK 已经自动重试了 2 次）" in seen


def test_it_claims_no_retries_where_there_were_none(run):
    assert "已经" not in run(CALL.format("500"))


# What later cells find


def test_an_earlier_reply_is_not_taken_for_the_failed_one(run, shell):
    run(CALL.format("good"))
    run(CALL.format("500"))
    assert "data" not in shell.user_ns


def test_a_cell_that_needs_the_reply_is_left_out_and_says_so(run):
    run(CALL.format("500"))
    assert (
        run("print(data)") == "跳过这个单元格：它要用 data，而前面有一步没有成功，没有得到 data。\n"
    )


def test_what_the_left_out_cell_would_have_assigned_is_unset_too(run):
    run("text = 'an earlier one'")
    run(CALL.format("500"))
    run("text = data.choices[0].text")
    assert "它要用 text" in run("print(text)")


def test_a_function_that_needs_the_reply_is_left_out(run):
    run("def show():\n    print(data)")
    run(CALL.format("500"))
    assert "它要用 data" in run("show()")


def test_after_a_success_all_is_well_again(run):
    run(CALL.format("500"))
    run("text = data.choices[0].text")
    run(CALL.format("good"))
    run("text = data.choices[0].text")
    assert run("print(text)") == "天来了\n"


def test_a_name_that_the_learner_deletes_later_is_a_plain_name_error(run):
    run(CALL.format("500"))
    run(CALL.format("good"))
    run("del data")
    assert "NameError: name 'data' is not defined" in run("data", success=False)


def test_what_the_cell_assigned_before_stays(run):
    run(f"before = 1\n{CALL.format('500')}\nafter = 2")
    assert run("print(before)") == "1\n"
    assert "它要用 after" in run("after")


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("a, (b, *c) = {}", "c"),
        ("import json\nx = {}\nimport string as s", "s"),
        ("if (w := {}):\n    pass", "w"),
        ("for item in {}:\n    last = item", "last"),
        ("with {} as reply:\n    pass", "reply"),
        ("x = {}\ndef helper():\n    pass", "helper"),
        ("x: object = {}", "x"),
        ("x = await {}\ny = [i async for i in x]", "y"),
    ],
)
def test_whatever_form_the_assignment_has(run, statement, name):
    kind = "AsyncOpenAI" if "await" in statement else "OpenAI"
    run(f"{name} = 'an earlier one'")
    run(statement.format(f"client('500', {kind}).models.retrieve('m')"))
    assert f"它要用 {name}" in run(name)


def test_the_variables_of_functions_and_comprehensions_are_no_names_of_the_cell(run):
    run("model = chunk = inner = 'mine'")
    run(
        f"{CALL.format('500')}\nnames = [model for model in data]\n"
        "more = [chunk async for chunk in data]\ndef f():\n    inner = 1"
    )
    assert run("print(model, chunk, inner)") == "mine mine mine\n"


def test_an_error_inside_a_function_counts_where_the_cell_calls_it(run):
    """However far down in its own cell the function stands."""
    run("\n" * 20 + "def ask():\n    " + CALL.format("500"))
    seen = run("before = 1\nanswer = ask()\nafter = 2")
    assert seen.startswith("服务器自己出了错")
    assert run("print(before)") == "1\n"
    assert "它要用 answer" in run("answer")
    assert "它要用 after" in run("after")


def test_top_level_await_is_explained(run):
    run("data = 'an earlier one'")
    call = CALL.format("500").replace("= client(", "= await client(kind=AsyncOpenAI, fault=")
    assert run(f"before = 1\n{call}").startswith("服务器自己出了错")
    assert run("print(before)") == "1\n"
    assert "它要用 data" in run("data")


def test_a_broken_async_stream_is_explained(run):
    call = STREAM.format("stream-cut").replace(
        "= client(", "= await client(kind=AsyncOpenAI, fault="
    )
    assert run(f"{call}\nasync {READ}").startswith("春\n连接中途断了")


@pytest.mark.parametrize("magic", ["%time ", "%%time\n"])
def test_a_timed_call_is_explained_and_unset(run, magic):
    run("data = 'an earlier one'")
    assert "服务器自己出了错" in run(f"{magic}{CALL.format('500')}")
    assert "它要用 data" in run("data")


def test_a_magic_whose_argument_is_no_python_is_left_alone(run):
    assert run(f"{CALL.format('500')}\n%pdb off is no code").startswith("服务器自己出了错")
    assert "它要用 data" in run("data")


def test_a_cell_with_a_shell_command_is_explained(run):
    run(f"before = !echo hello\n{CALL.format('500')}\nafter = !echo hello")
    assert run("print(before)") == "['hello']\n"
    assert "它要用 after" in run("after")


# What is shown as ever


@pytest.mark.parametrize(
    ("cell", "last"),
    [
        ("undefined", "NameError: name 'undefined' is not defined"),
        ("'春'.choices", "AttributeError: 'str' object has no attribute 'choices'"),
        ("import json\njson.loads('{')", "JSONDecodeError: "),
        ("raise ValueError('mine')", "ValueError: mine"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("client('good').complete()", "AttributeError: 'OpenAI' object has no attribute"),
        (RAISING_FROM, "RuntimeError: mine"),
    ],
)
def test_a_learners_own_exception_has_its_traceback(run, cell, last):
    run("kept = 1")
    seen = run(f"{cell}\nkept = 2", success=False)
    assert seen.splitlines()[-1].startswith(last)
    assert "怎么办" not in seen
    assert run("print(kept)") == "1\n"


def test_a_syntax_error_is_shown_as_ever(shell, run, capsys):
    assert not shell.run_cell("data = (").success
    assert "SyntaxError" in capsys.readouterr().out


def test_a_local_name_that_is_called_like_an_unset_one_is_a_plain_error(run):
    run(CALL.format("500"))
    seen = run("def f():\n    print(data)\n    data = 1\nf()", success=False)
    assert "UnboundLocalError: " in seen


# Errors of this course


def test_a_request_that_is_not_recorded_is_the_message_alone(run):
    run("from helpers import start\nlesson = start('01_models')")
    seen = run("OpenAI().models.retrieve('gpt-9')")
    assert seen.startswith("没有录制过这个请求（GET /models/gpt-9）。")
    assert seen.count("\n") == 1
    assert "服务器" not in seen.replace("连接真实的服务器", "")


def test_a_message_about_a_missing_recording_is_not_cut(run):
    run("from helpers import start\nlesson = start('03_chat')")
    more = {f"parameter_{i}": "很长" * 30 for i in range(9)}
    seen = run(f"OpenAI().chat.completions.create(model='m', messages=[], extra_body={more})")
    assert len(seen) > 500
    assert seen.endswith("README.zh-CN.md 的“连接真实的服务器”。\n")


def test_start_begins_to_explain(run, shell):
    shell.set_custom_exc((), None)
    run("from helpers import start\nlesson = start('01_models')")
    assert run("OpenAI().models.retrieve('gpt-9')").startswith("没有录制过这个请求")


def test_start_twice_explains_once(run):
    run("from helpers import start\nlesson = start('01_models')\nlesson = start('01_models')")
    assert run("OpenAI().models.retrieve('gpt-9')").count("没有录制过") == 1


def test_explaining_twice_explains_once(run):
    explain.explain_errors()
    explain.explain_errors()
    assert run(CALL.format("500")).count("怎么办") == 1


def test_an_error_in_the_sandbox_is_shown_in_its_own_words(run):
    run("from helpers import SandboxError")
    seen = run("data = 1\nraise SandboxError('error', '代码运行时出错了', stdout='printed\\n')")
    assert seen == "printed\nSandboxError: 代码运行时出错了\n"


def test_a_reply_without_code_is_shown_in_its_own_words(run):
    run("from helpers import extract_code")
    seen = run("code = extract_code('抱歉，我不会。')")
    assert seen == "回复里没有找到 Python 代码，它的开头是：'抱歉，我不会。'\n"
    assert "它要用 code" in run("code")


# Other places


def test_in_a_notebook_the_cells_after_a_failed_call_run(server):
    sources = [
        "from helpers.explain import explain_errors\nexplain_errors()",
        "from openai import AsyncOpenAI, OpenAI",
        f"client = OpenAI(base_url='{server[0]}/500', api_key='k', max_retries=0)",
        "data = client.models.list()",
        "print(data)",
        "data = await AsyncOpenAI(max_retries=0, base_url=client.base_url, api_key='k').models.list()",
        "print('after')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, sources)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    said = ["".join(output.text for output in cell.outputs) for cell in notebook.cells]
    assert [text[:5] for text in said] == [
        "",
        "",
        "",
        "服务器自己",
        "跳过这个单",
        "服务器自己",
        "after",
    ]


def test_outside_of_ipython_nothing_changes(server):
    script = (
        "from helpers.explain import explain_errors\nfrom openai import OpenAI\nexplain_errors()\n"
        f"OpenAI(base_url='{server[0]}/500', api_key='k', max_retries=0).models.list()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Traceback")
    assert "openai.InternalServerError: " in done.stderr
