"""extract_code(): the Python in a reply, whatever way the model wrapped it."""

import pytest

from helpers import extract_code

CODE = "def f(x):\n    return x + 1\n\nprint(f(1))"
QUICK_SORT = """def quick_sort(arr):
    if len(arr) <= 1:
        return arr
    pivot = arr[0]
    left = [x for x in arr[1:] if x <= pivot]
    right = [x for x in arr[1:] if x > pivot]
    return quick_sort(left) + [pivot] + quick_sort(right)"""


def indent(text: str, by: str) -> str:
    return "".join(by + line for line in text.splitlines(keepends=True))


FOUND = {
    "the code alone": (CODE, CODE),
    "a completion after blank lines": ("\n\n" + QUICK_SORT + "\n", QUICK_SORT),
    "indented as a whole": (indent(CODE, "    "), CODE),
    "an assertion alone": ("assert f(3) == 4", "assert f(3) == 4"),
    "an interactive session": ("```python\n>>> x = 1\n>>> x\n1\n```", "x = 1\nx"),
    "fenced": (f"好的，代码如下：\n\n```python\n{CODE}\n```\n\n希望有帮助！", CODE),
    "fenced without a language": (f"代码：\n```\n{CODE}\n```", CODE),
    "py": (f"```py\n{CODE}\n```", CODE),
    "Python3 with a title": (f'```Python3 title="a.py"\n{CODE}\n```', CODE),
    "language in braces": (f"```{{.python}}\n{CODE}\n```", CODE),
    "tildes": (f"~~~python\n{CODE}\n~~~", CODE),
    "a longer fence": (f"````python\n{CODE}\n````", CODE),
    "windows line ends": ("```python\r\nx = 1\r\nprint(x)\r\n```\r\n", "x = 1\nprint(x)"),
    "several blocks in order": (
        "```python\na = 1\n```\n接着\n```python\nb = a()\n```",
        "a = 1\n\nb = a()",
    ),
    "other languages left out": (
        "```bash\npip install x\n```\n```python\na = 1\n```\n```json\n[f(1)]\n```\n```text\nx = 1\n```",
        "a = 1",
    ),
    "unmarked output left out": ("```python\nprint([1])\n```\n输出：\n```\n[1]\n```", "print([1])"),
    "unmarked code beside marked": (
        "```python\na = 1\n```\n```\nprint(a)\n```",
        "a = 1\n\nprint(a)",
    ),
    "unmarked and alone though broken": ("```\nfor x in y\n```", "for x in y"),
    "empty block left out": ("```python\n```\n```python\na = 1\n```", "a = 1"),
    "in a list": (f"1. 写代码：\n\n   ```python\n{indent(CODE, '   ')}\n   ```\n2. 完", CODE),
    "in a list, too far in": (
        f"- 代码\n\n      ```python\n{indent(CODE, '      ')}\n      ```",
        CODE,
    ),
    "in a quotation": (f"> ```python\n{indent(CODE, '> ')}\n> ```", CODE),
    "cut off by max_tokens": (f"代码：\n```python\n{CODE}\nfor x in", f"{CODE}\nfor x in"),
    "marked though broken": ("```python\ndef f(:\n```", "def f(:"),
    "backticks in the code": (
        "```python\nprint('`x` and ``y``')\ns = '''a ``` b'''\n```",
        "print('`x` and ``y``')\ns = '''a ``` b'''",
    ),
    "a fence within a longer one": (
        "````python\ndoc = '''\n```\nx\n```\n'''\n````",
        "doc = '''\n```\nx\n```\n'''",
    ),
    "a fence within bare code": ("doc = '''\n```\nx\n```\n'''", "doc = '''\n```\nx\n```\n'''"),
    "indentation and blank lines": (
        "```python\nif x:\n\n    y()\n\n\nz()\n```",
        "if x:\n\n    y()\n\n\nz()",
    ),
    "html around": ("<details>\n```python\na = 1\n```\n</details>", "a = 1"),
    "an expression with a call": ("print(1 + 1)", "print(1 + 1)"),
    "an import": ("import this", "import this"),
    "an odd escape": (r"x = '\d'", r"x = '\d'"),
}


@pytest.mark.parametrize("reply, code", FOUND.values(), ids=FOUND)
@pytest.mark.filterwarnings("error")
def test_code_is_found(reply, code):
    assert extract_code(reply) == code


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "   \n",
        "Hello",
        "你好",
        "42",
        "'quoted'",
        "cats and dogs",
        "Answer: yes",
        "yes, no",
        "not sure",
        "# 标题",
        "这是一段说明，没有代码。",
        "用 `print(1)` 就可以打印。",
        "```bash\nls\n```",
        "```python\n```",
        "```json\n{}\n```\n```\nplain words here\n```",
        "x = '\0'",
    ],
)
def test_without_code_the_error_shows_the_beginning(reply):
    with pytest.raises(ValueError, match="没有找到 Python 代码") as caught:
        extract_code(reply)
    assert repr(reply.strip()) in str(caught.value)


def test_a_long_reply_is_shown_in_part():
    with pytest.raises(ValueError) as caught:
        extract_code("很长的说明，" * 1000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("reply", [None, 3, b"x = 1", {"content": "x = 1"}])
def test_other_than_text_is_refused(reply):
    with pytest.raises(TypeError, match=type(reply).__name__):
        extract_code(reply)


@pytest.mark.parametrize("reply", ["-" * 500_000 + "1", "(" * 500_000, "[" * 150 + "]" * 150])
def test_a_reply_made_to_break_the_parser_is_no_code(reply):
    with pytest.raises(ValueError):
        extract_code(reply)
