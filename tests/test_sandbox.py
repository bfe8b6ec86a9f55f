"""The Sandbox's limits, its errors, and the life of its worker."""

import _thread
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import platformdirs
import psutil
import pytest

from helpers import Sandbox, SandboxError

RESTARTED = "之前定义的变量和函数都没有了"


@pytest.fixture(scope="module")
def shared():
    """A Sandbox for tests that leave it in order."""
    with Sandbox(timeout_s=30) as box:
        yield box


@pytest.fixture
def box():
    with Sandbox(timeout_s=1) as box:
        yield box


def failure(box: Sandbox, code: str) -> SandboxError:
    with pytest.raises(SandboxError) as caught:
        box.run(code)
    return caught.value


def assert_restarted(box: Sandbox, error: SandboxError) -> None:
    """The error says that definitions are gone; they are; and the next run works."""
    assert RESTARTED in str(error)
    assert box.run("print('defined' in globals())").stdout == "False\n"


# --- what run() returns ---------------------------------------------------------------


def test_output_is_returned_and_timed(shared):
    result = shared.run("import sys\nprint('out')\nprint('err', file=sys.stderr)")
    assert (result.stdout, result.stderr) == ("out\n", "err\n")
    assert 0 < result.duration_ms < 30_000


def test_result_shows_itself_as_what_was_printed(shared):
    assert repr(shared.run("print(1)\nprint(2)")) == "1\n2\n"
    assert repr(shared.run("x = 1")) == "（没有输出；想看某个值，请用 print）"


def test_chinese_in_code_identifiers_and_output(shared):
    code = "def 问候(名字):\n    return f'你好，{名字} 🐍'\nprint(问候('小明'))"
    assert shared.run(code).stdout == "你好，小明 🐍\n"
    assert shared.call("问候", "小红") == "你好，小红 🐍"


def test_empty_code_does_nothing(shared):
    assert shared.run("").stdout == shared.run("\n  \n# 注释").stdout == ""


def test_what_one_run_defines_the_next_can_use(shared):
    shared.run("import math\nradius = 2")
    assert shared.run("print(round(math.pi * radius**2, 2))").stdout == "12.57\n"


def test_definitions_survive_an_exception_and_sys_exit(shared):
    shared.run("kept = 7")
    failure(shared, "1 / 0")
    failure(shared, "import sys\nsys.exit(3)")
    failure(shared, "raise KeyboardInterrupt")
    assert shared.run("print(kept)").stdout == "7\n"


def test_stdout_has_what_real_code_uses_of_it(shared):
    code = """
    import sys
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.buffer.write("字节\\n".encode())
    sys.__stdout__.write("原来的\\n")
    print("end", end="", flush=True)
    """
    assert shared.run(textwrap.dedent(code)).stdout == "字节\n原来的\nend"


def test_a_file_can_be_written_and_read_in_the_sandbox_alone(shared):
    code = "with open('note.txt', 'w') as f: f.write('hi')\nprint(open('note.txt').read())"
    assert shared.run(code).stdout == "hi\n"
    assert not Path("note.txt").exists()


def test_a_variable_named_result_is_like_any_other(shared):
    shared.run("result = {1, 2}")
    assert shared.run("print(result)").stdout == "{1, 2}\n"


def test_all_of_a_long_output_arrives_in_order(shared):
    lines = "".join(f"第 {n} 行\n" for n in range(5000))
    assert shared.run("for n in range(5000): print(f'第 {n} 行')").stdout == lines


def test_main_block_runs(shared):
    assert shared.run("if __name__ == '__main__':\n    print('main')").stdout == "main\n"


def test_unittest_main_finds_the_tests(shared):
    code = """
    import unittest

    class Addition(unittest.TestCase):
        def test_small(self):
            self.assertEqual(1 + 1, {})

    if __name__ == "__main__":
        unittest.main()
    """
    code = textwrap.dedent(code)
    passed = shared.run(code.format(2))
    assert "Ran 1 test" in passed.stderr and "OK" in passed.stderr
    failed = failure(shared, code.format(3))
    assert failed.kind == "error" and "AssertionError: 2 != 3" in failed.stderr


def test_doctest_finds_the_tests(shared):
    code = '''
    import doctest

    def double(x):
        """
        >>> double(2)
        5
        """
        return 2 * x

    print(doctest.testmod())
    '''
    assert "TestResults(failed=1, attempted=1)" in shared.run(textwrap.dedent(code)).stdout


def test_asyncio_run_works_at_top_level(shared):
    code = """
    import asyncio

    async def square(n):
        await asyncio.sleep(0.01 * (3 - n))
        return n * n

    async def main():
        print(await asyncio.gather(*map(square, range(3))))
        try:
            await asyncio.wait_for(asyncio.sleep(60), 0.01)
        except TimeoutError:
            print("timeout")

    asyncio.run(main())
    """
    assert shared.run(textwrap.dedent(code)).stdout == "[0, 1, 4]\ntimeout\n"


def test_lru_cache_recursion_goes_as_deep_as_in_plain_python(shared):
    code = """
    from functools import lru_cache

    @lru_cache(maxsize=None)
    def depth(n):
        return 0 if n == 0 else 1 + depth(n - 1)

    print(depth(450), depth.cache_info().misses)
    """
    assert shared.run(textwrap.dedent(code)).stdout == "450 451\n"


def test_plain_recursion_goes_as_deep_as_in_plain_python(shared):
    shared.run("def depth(n): return 0 if n == 0 else 1 + depth(n - 1)")
    assert shared.call("depth", 900) == 900
    assert "RecursionError" in str(failure(shared, "depth(5000)"))


# --- call() ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [None, True, 0, -1.5, 10**30, "文", [], [1, [2, {"a": None}]], {"键": [1]}]
)
def test_call_takes_and_returns_json_values(shared, value):
    shared.run("def same(x): return x")
    assert shared.call("same", value) == value


def test_call_shows_what_the_function_prints(shared, capsys):
    shared.run("import sys\ndef shout(): print('喂'); print('嘘', file=sys.stderr)")
    assert shared.call("shout") is None
    assert capsys.readouterr() == ("喂\n", "嘘\n")


@pytest.mark.parametrize("value", ["{1, 2}", "object()", "b'x'", "float('nan')", "lambda: 0"])
def test_call_says_so_if_the_result_is_not_json(shared, value):
    shared.run(f"def odd(): return {value}")
    with pytest.raises(SandboxError, match="odd 返回的 .* 不能写成 JSON") as caught:
        shared.call("odd")
    assert caught.value.kind == "error"


def test_call_says_so_if_there_is_no_such_function(shared):
    shared.run("number = 3")
    for name in ("nowhere", "number", "len"):
        with pytest.raises(SandboxError, match=f"没有叫 {name} 的函数"):
            shared.call(name)


@pytest.mark.parametrize("value", [{1}, object(), float("inf"), b"x"])
def test_call_refuses_arguments_that_are_not_json(shared, value):
    with pytest.raises(TypeError, match="参数只能是"):
        shared.call("same", value)


def test_call_with_the_wrong_number_of_arguments_is_the_guests_error(shared):
    shared.run("def one(x): return x")
    with pytest.raises(SandboxError, match="missing 1 required positional argument"):
        shared.call("one")


def test_call_refuses_a_name_that_is_no_text(shared):
    with pytest.raises(TypeError, match="函数名"):
        shared.call(len)


# --- bad input ---------------------------------------------------------------------------


@pytest.mark.parametrize("code", [None, 1, b"print(1)", ["print(1)"]])
def test_code_that_is_no_text_is_refused(shared, code):
    with pytest.raises(TypeError, match=f"收到的是 {type(code).__name__}"):
        shared.run(code)


@pytest.mark.parametrize("limits", [{"timeout_s": 0}, {"timeout_s": -1}, {"memory_mb": 0}])
def test_limits_must_be_positive(limits):
    with pytest.raises(ValueError, match="大于 0"):
        Sandbox(**limits)


@pytest.mark.parametrize("code", ["x = '\0'", "x = '\ud800'", "def (", "  x = 1", "你好，世界"])
def test_code_that_is_no_python_is_a_syntax_error(shared, code):
    error = failure(shared, "print('not this')\n" + code)
    assert error.kind == "syntax" and error.stdout == ""


def test_input_explains_that_there_is_no_keyboard(shared):
    error = failure(shared, "age = input('几岁？')")
    assert "EOFError: 沙箱里没有键盘" in str(error)


def test_huge_code_runs_or_is_stopped():
    with Sandbox(timeout_s=20, memory_mb=300) as box:
        assert box.run("x = 1\n" * 20_000 + "print(x)").stdout == "1\n"
        assert failure(box, "x = [" + "1," * 10_000_000 + "]").kind == "memory"


# --- errors ----------------------------------------------------------------------------


def test_traceback_has_the_source_lines_and_nothing_of_the_machinery(shared):
    shared.run("def inverse(x):\n    return 1 / x")
    text = str(failure(shared, "print('before')\ninverse(0)"))
    assert "    return 1 / x\n" in text and "    inverse(0)\n" in text
    assert text.endswith("ZeroDivisionError: division by zero")
    assert "_eryx" not in text and "serve" not in text and "<user>" not in text
    assert text.count("  File ") == 2


def test_chained_exceptions_are_shown(shared):
    code = "try:\n    {}['a']\nexcept KeyError as e:\n    raise ValueError('没有') from e"
    text = str(failure(shared, code))
    assert "KeyError: 'a'" in text and "direct cause" in text and "ValueError: 没有" in text


def test_syntax_error_shows_the_line_and_the_place(shared):
    error = failure(shared, "print(1)\nprint(2")
    assert error.kind == "syntax"
    assert "    print(2\n         ^\n" in str(error) and "'(' was never closed" in str(error)


@pytest.mark.parametrize("status, shown", [("1", "1"), ("'没有参数'", "没有参数")])
def test_sys_exit_with_a_status_is_an_error(shared, status, shown):
    error = failure(shared, f"import sys\nprint('out')\nsys.exit({status})")
    assert error.kind == "error" and f"SystemExit: {shown}" in str(error)
    assert error.stdout == "out\n"


def test_sys_exit_without_a_status_is_none(shared):
    assert shared.run("import sys\nprint(1)\nsys.exit()").stdout == "1\n"
    assert shared.run("print(2)\nexit(0)").stdout == "2\n"


def test_what_was_printed_before_an_error_is_kept(box):
    for code in ("1 / 0", "while True: pass", "import os; os._exit(1)"):
        error = failure(box, f"import sys\nprint('out', end='')\nsys.stderr.write('err')\n{code}")
        assert (error.stdout, error.stderr) == ("out", "err")


def test_long_exception_text_is_cut(shared):
    text = str(failure(shared, "raise ValueError('x' * 1_000_000 + 'the end')"))
    assert len(text) < 10_000
    assert "ValueError: xxx" in text and "省略" in text and text.endswith("the end")


def test_jupyter_shows_the_guests_traceback(shared):
    error = failure(shared, "print('before')\n1 / 0")
    (shown,) = error._render_traceback_()
    assert shown.startswith("before\nSandboxError: ") and "ZeroDivisionError" in shown


# --- limits ------------------------------------------------------------------------------


def test_endless_loop_is_stopped_in_time(box):
    box.run("defined = 1")
    started = time.monotonic()
    error = failure(box, "while True: pass")
    assert error.kind == "timeout" and "超过了 1 秒" in str(error)
    assert time.monotonic() - started < 3
    assert_restarted(box, error)


def test_loop_that_catches_everything_is_stopped(box):
    code = "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
    assert failure(box, code).kind == "timeout"


def test_sleeping_is_stopped(box):
    assert failure(box, "import time\ntime.sleep(60)").kind == "timeout"


def test_memory_over_the_limit_is_stopped():
    with Sandbox(timeout_s=20, memory_mb=50) as box:
        box.run("defined = b'x' * 20_000_000")
        error = failure(box, "more = []\nwhile True: more.append(b'x' * 1_000_000)")
        assert error.kind == "memory" and "超过了 50 MB" in str(error)
        assert_restarted(box, error)


def test_memory_that_cannot_be_had_is_a_memory_error_without_a_restart(shared):
    shared.run("kept = 1")
    error = failure(shared, "x = [0] * 10**9")
    assert error.kind == "memory" and "MemoryError" in str(error)
    assert shared.run("print(kept)").stdout == "1\n"


def test_output_over_the_limit_is_stopped():
    with Sandbox(timeout_s=20) as box:
        box.run("defined = 1")
        error = failure(box, "while True: print('x' * 1000)")
        assert error.kind == "output" and "2 MB" in str(error)
        assert 1_000_000 < len(error.stdout) <= 2_000_000
        assert_restarted(box, error)


DEEP_REPR = """
class Node:
    def __init__(self, next): self.next = next
    def __repr__(self): return f"Node({self.next!r})"
node = None
for _ in range(900): node = Node(node)
print(node)
"""


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos._exit(1)",
        "import os\nos.abort()",
        "x = []\nfor _ in range(100_000): x = [x]\nrepr(x)",
        DEEP_REPR,
        "f = lambda x=0: 1\nprint(eval('f(' * 180 + ')' * 180))",
        "import threading\nthreading.Event().wait()",
    ],
    ids=["exit", "abort", "nested-list", "linked-list", "nested-calls", "wait-without-threads"],
)
def test_death_of_the_interpreter_is_a_crash(code):
    with Sandbox(timeout_s=20) as box:
        box.run("defined = 1")
        error = failure(box, code)
        assert error.kind == "crash" and "崩溃" in str(error)
        assert_restarted(box, error)


def test_code_that_breaks_the_session_gets_the_error_itself(box):
    error = failure(box, "import json\njson.dumps = None")
    assert error.kind == "crash"
    assert_restarted(box, error)


def test_memory_is_limited_to_what_was_asked_for():
    code = "import time\ntaken = []\nwhile True:\n    taken.append(bytearray(4_000_000))"
    code += "\n    print(len(taken) * 4)\n    time.sleep(0.05)"
    with Sandbox(timeout_s=20, memory_mb=60) as box:
        error = failure(box, code)
    assert error.kind == "memory"
    assert 30 < int(error.stdout.split()[-1]) < 80


def test_an_error_text_that_is_no_valid_unicode_can_be_shown(shared):
    error = failure(shared, r"raise ValueError('\ud800')")
    assert str(error).encode() and r"\ud800" in str(error)


def test_a_missing_module_is_explained(shared):
    error = failure(shared, "import numpy")
    assert str(error).endswith("沙箱里只有 Python 标准库")


def test_thousands_of_runs_do_not_fill_the_memory(shared):
    """The source of a run is kept for tracebacks, but not for ever."""
    worker = worker_of(shared)
    sizes = []
    for n in range(200):
        shared.run(f"x = {n}  # " + "x" * 100_000)
        sizes.append(worker.memory_info().rss)
    assert sizes[-1] - sizes[99] < 5_000_000  # of the 10 MB that the last 100 runs had


def test_builtins_and_modules_are_put_back(shared):
    shared.run("kept = 1\nimport builtins, sys\nbuiltins.print = builtins.compile = None")
    shared.run("sys.modules.clear()")
    assert shared.run("import sys\nprint(kept)").stdout == "1\n"


def test_writing_to_descriptors_reaches_nobody(shared, capfd):
    code = "import os\nfor fd in range(12):\n    try: os.write(fd, b'D\\0\\0\\0\\2{}')\n"
    result = shared.run(code + "    except OSError: pass\nprint('end')")
    assert result.stdout == "end\n"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "memory_mb, kind, code",
    [
        (128, "output", "while True: print('x' * 100_000)"),
        (1000, "output", "def flood(): return 'x' * 40_000_000"),
        (1000, "error", "raise ValueError('x' * 20_000_000)"),
        (40, "memory", "n = 0\nwhile True:\n    open(f'{n:0200}', 'w').close()\n    n += 1"),
    ],
    ids=["print-flood", "40MB-result", "20MB-exception", "file-name-flood"],
)
def test_memory_of_this_process_stays_bounded(memory_mb, kind, code):
    with Sandbox(timeout_s=60, memory_mb=memory_mb) as box:
        box.run("")
        with PeakMemory() as peak, pytest.raises(SandboxError) as caught:
            box.run(code)
            box.call("flood")
    assert caught.value.kind == kind
    print(f"grew by {peak.growth_mb:.1f} MB")  # shown by pytest -s
    assert peak.growth_mb < 20


class PeakMemory:
    """How much this process grows within a with statement, looked at every 2 ms."""

    def __enter__(self):
        self.before = self.peak = psutil.Process().memory_info().rss
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        process = psutil.Process()
        while not self.stop.wait(0.002):
            self.peak = max(self.peak, process.memory_info().rss)

    def __exit__(self, *exception):
        self.stop.set()
        self.thread.join()

    @property
    def growth_mb(self):
        return (self.peak - self.before) / 1e6


# --- the worker's life -----------------------------------------------------------------


def worker_of(box: Sandbox) -> psutil.Process:
    box.run("")
    return psutil.Process(box._worker.pid)


def test_close_ends_the_worker_and_can_be_repeated():
    box = Sandbox()
    worker = worker_of(box)
    box.close()
    box.close()
    assert not worker.is_running()
    with pytest.raises(ValueError, match="已经关闭"):
        box.run("1")


def test_workers_that_start_at_once_in_an_empty_cache_all_work(monkeypatch, tmp_path):
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / name)
    boxes = [Sandbox() for _ in range(4)]
    answers = []
    threads = [
        threading.Thread(target=lambda box=box: answers.append(box.run("print(1)").stdout))
        for box in boxes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for box in boxes:
        box.close()
    assert answers == ["1\n"] * 4
    [folder] = (tmp_path / "openai-api-course").iterdir()
    assert {file.name.split("-")[0] for file in (folder / "eryx-embedded").iterdir()} == {
        "python",
        "runtime",
    }
    if os.name != "nt":
        assert folder.stat().st_mode & 0o077 == 0


def test_with_ends_the_worker_after_an_exception_too():
    with pytest.raises(KeyError), Sandbox() as box:
        worker = worker_of(box)
        raise KeyError
    assert not worker.is_running()


def test_forgotten_sandbox_is_closed():
    box = Sandbox()
    worker = worker_of(box)
    del box
    assert not worker.is_running()


def test_worker_has_no_environment_and_no_descriptor_of_ours(monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with open(tmp_path / "open", "w") as inherited, Sandbox() as box:
        os.set_inheritable(inherited.fileno(), True)
        worker = worker_of(box)
        assert "OPENAI_API_KEY" not in worker.environ()
        assert str(tmp_path / "open") not in [file.path for file in worker.open_files()]


def test_worker_killed_from_outside_is_a_crash_and_replaced(box):
    box.run("defined = 1")
    worker_of(box).kill()
    assert_restarted(box, failure(box, "print(defined)"))


def test_two_sandboxes_do_not_interfere():
    def count(box, name, seen):
        box.run(f"name = {name!r}")
        for _ in range(50):
            seen.append(box.run("print(name)").stdout.strip())

    with Sandbox() as a, Sandbox() as b:
        seen = {"a": [], "b": []}
        threads = [
            threading.Thread(target=count, args=(box, name, seen[name]))
            for box, name in ((a, "a"), (b, "b"))
        ]
        for thread in threads:
            thread.start()
        failure(Sandbox(timeout_s=0.2), "while True: pass")
        for thread in threads:
            thread.join()
    assert seen == {"a": ["a"] * 50, "b": ["b"] * 50}


def test_one_sandbox_used_by_two_threads_takes_turns(shared):
    shared.run("def same(x): return x")
    results = {}
    threads = [
        threading.Thread(target=lambda n=n: results.update({n: shared.call("same", n)}))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: n for n in range(8)}


def test_ctrl_c_ends_the_run_within_a_second_and_the_next_works():
    with Sandbox(timeout_s=60) as box:
        worker = worker_of(box)
        pressed = []
        threading.Timer(0.3, lambda: (pressed.append(time.monotonic()), press_ctrl_c())).start()
        with pytest.raises(KeyboardInterrupt) as caught:
            box.run("while True: pass")
        assert time.monotonic() - pressed[0] < 1
        assert any(RESTARTED in note for note in caught.value.__notes__)
        assert not worker.is_running()
        assert box.run("print(1)").stdout == "1\n"


@pytest.mark.skipif(os.name == "nt", reason="there is no second Ctrl-C to send so fast")
@pytest.mark.parametrize("gap_s", [0.0, 0.002, 0.01])
def test_a_second_ctrl_c_leaves_neither_a_dead_sandbox_nor_an_orphan(gap_s):
    with Sandbox(timeout_s=60) as box:
        worker = worker_of(box)

        def press_twice() -> None:
            press_ctrl_c()
            time.sleep(gap_s)
            press_ctrl_c()

        try:  # the second may come while the first is still being dealt with, or after it
            threading.Timer(0.2, press_twice).start()
            with pytest.raises(KeyboardInterrupt):
                box.run("while True: pass")
            time.sleep(0.3)
        except KeyboardInterrupt:
            pass
        assert box.run("print(1)").stdout == "1\n"
        assert_gone(worker)


@pytest.fixture(autouse=True, scope="module")
def ctrl_c_interrupts():
    """A shell that starts a job in the background has it ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press_ctrl_c():
    if os.name == "nt":
        _thread.interrupt_main()
    else:
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


HOST = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from helpers import Sandbox
box = Sandbox(timeout_s=60)
box.run("")
print(box._worker.pid, flush=True)
sys.stdin.readline()
{then}
"""


def start_host(then: str, **options) -> tuple[subprocess.Popen, psutil.Process]:
    """Another process with a Sandbox: itself and its worker."""
    host = subprocess.Popen(
        [sys.executable, "-c", HOST.format(then=then)],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    worker = psutil.Process(int(host.stdout.readline()))
    host.stdin.write("go on\n")
    host.stdin.flush()
    return host, worker


def assert_gone(worker: psutil.Process) -> None:
    deadline = time.monotonic() + 5
    while alive(worker):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def alive(process: psutil.Process) -> bool:
    """Running, and not merely waiting for an init process to take note of its end."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_no_orphan_when_this_process_is_killed_while_the_guest_spins():
    host, worker = start_host("box.run('while True: pass')")
    time.sleep(0.2)
    host.kill()
    host.communicate()
    assert_gone(worker)


@pytest.mark.parametrize("then", ["", "raise SystemExit(0)", "box.run('1 / 0')"])
def test_no_orphan_when_this_process_ends_without_closing(then):
    host, worker = start_host(then)
    host.communicate(timeout=10)
    assert_gone(worker)


@pytest.mark.skipif(os.name == "nt", reason="a process group gets SIGINT on POSIX only")
def test_ctrl_c_in_a_terminal_is_no_death_of_the_worker():
    """It is idle then, so what was defined is still there."""
    then = "import time\nbox.run('kept = 7')"
    then += "\ntry: print('idle', flush=True); time.sleep(30)"
    then += "\nexcept KeyboardInterrupt: print('interrupted')"
    then += "\nprint(box.run('print(kept)').stdout)"
    host, _ = start_host(then, start_new_session=True)
    assert host.stdout.readline() == "idle\n"
    os.killpg(host.pid, signal.SIGINT)  # as a terminal does: to all of the group
    out, err = host.communicate(timeout=10)
    assert out.split() == ["interrupted", "7"] and err == ""


def test_worker_that_cannot_start_says_so(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false" if os.name != "nt" else "where.exe")
    with Sandbox() as box:
        error = failure(box, "1")
    assert error.kind == "crash" and "没能启动" in str(error)
