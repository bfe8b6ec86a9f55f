"""start(): settings, modes, and beginning again; `.env.example`."""

import io
import os
import re
from pathlib import Path

import httpx2
import openai
import pytest
from dotenv import dotenv_values
from fault_server import fault_server

from helpers import lesson, local_model, start
from helpers.cassette_file import RecordingError

pytestmark = pytest.mark.usefixtures("own_lesson")


@pytest.fixture
def dotenv(tmp_path, monkeypatch):
    """Writes a `.env` that start() reads."""
    monkeypatch.setattr(lesson, "ROOT", tmp_path)
    monkeypatch.delenv("PYTHON_DOTENV_DISABLED")
    return (tmp_path / ".env").write_text


def test_it_says_in_one_line_which_mode_and_which_recordings_from_when(capsys):
    start("02_completions")
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert re.match(
        r"回放模式：回复来自 02_completions\.yaml（3 条，据 2024-12-18 打印的输出重建）、"
        r"experiments\.yaml（\d+ 条，2026-11-22 录自 smollm2-135m-instruct）。不联网",
        line,
    )


def test_it_gives_the_mode_and_the_models():
    chapter = start("03_chat")
    assert chapter.mode == "replay"
    assert chapter.chat_model == "gpt-3.5-turbo"
    assert chapter.completion_model == "gpt-3.5-turbo-instruct"
    assert chapter.experiment_model == "smollm2-135m-instruct"
    assert chapter.experiment_chat_model == "smollm2-135m-instruct"


def test_a_client_needs_no_key_afterwards():
    start("01_models")
    assert openai.OpenAI().models.list().data[0].id == "gpt-4o"


def test_it_can_be_called_again_for_the_same_chapter():
    for _ in range(3):
        start("01_models")
        assert openai.OpenAI().models.retrieve("gpt-3.5-turbo").created == 1677610602


def test_nothing_is_left_of_the_replays_before():
    """However often it was called, ending the last one ends them all."""
    before = httpx2.HTTPTransport.handle_request
    for _ in range(3):
        start("01_models")
    assert httpx2.HTTPTransport.handle_request is not before
    lesson._recordings_on.close()
    assert httpx2.HTTPTransport.handle_request is before


def test_two_chapters_in_one_kernel():
    """The later chapter's recordings are the ones that answer; the earlier's are off."""
    hello = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Hello!"}]}
    start("01_models")
    client = openai.OpenAI()
    start("03_chat")
    assert client.chat.completions.create(**hello).usage.total_tokens == 19
    with pytest.raises(openai.NotFoundError):
        client.models.list()
    start("01_models")
    assert client.models.list()
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(**hello)


def test_an_unknown_chapter_names_the_chapters():
    with pytest.raises(ValueError, match="'04_images'.*01_models、02_completions、03_chat"):
        start("04_images")


def test_an_unknown_mode_names_the_modes(monkeypatch):
    monkeypatch.setenv("LESSON_MODE", "fast")
    with pytest.raises(ValueError, match="'fast'.*replay、live、record.*LESSON_MODE=replay"):
        start("01_models")


def test_a_key_in_the_environment_does_not_change_the_mode(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    assert start("01_models").mode == "replay"
    assert os.environ["OPENAI_API_KEY"] == "sk-real"


@pytest.mark.parametrize("key", ["", "你的密钥"])
def test_a_key_that_is_none_does_not_stop_replay(monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    start("01_models")
    assert openai.OpenAI().models.list().data[0].id == "gpt-4o"


def test_a_mode_in_capitals_is_understood(monkeypatch):
    monkeypatch.setenv("LESSON_MODE", " Replay ")
    assert start("01_models").mode == "replay"


def test_a_base_url_without_its_scheme_is_a_clear_error(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "127.0.0.1:11434/v1")
    with pytest.raises(ValueError, match="OPENAI_BASE_URL 要以 http://"):
        start("01_models")


def test_a_learners_own_notebook_is_no_chapter(monkeypatch, tmp_path):
    (tmp_path / "recordings").mkdir()
    for name in ("01_models", "Untitled"):
        (tmp_path / f"{name}.ipynb").touch()
    monkeypatch.setattr(lesson, "RECORDINGS", tmp_path / "recordings")
    with pytest.raises(ValueError, match="可用的是：01_models。"):
        start("Untitled")


def test_a_failed_start_leaves_the_recordings_on(monkeypatch):
    """Else the next cell would go to the network, with the learner's key."""
    start("01_models")
    with pytest.raises(ValueError):
        start("no such chapter")
    assert openai.OpenAI().models.list()


def test_a_missing_cassette_is_an_error_that_names_it(monkeypatch, tmp_path):
    (tmp_path / "recordings").mkdir()
    (tmp_path / "01_models.ipynb").touch()
    monkeypatch.setattr(lesson, "RECORDINGS", tmp_path / "recordings")
    with pytest.raises(RecordingError, match=r"01_models\.yaml 不存在"):
        start("01_models")


def test_settings_come_from_dotenv(dotenv):
    dotenv("OPENAI_API_KEY=from-file\nOPENAI_BASE_URL=http://127.0.0.1:1/v1\n")
    start("01_models")
    assert os.environ["OPENAI_API_KEY"] == "from-file"
    assert openai.OpenAI().models.list().data[0].id == "gpt-4o"


def test_a_variable_already_set_wins_over_dotenv(dotenv, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "from-environment")
    dotenv("OPENAI_API_KEY=from-file\n")
    start("01_models")
    assert os.environ["OPENAI_API_KEY"] == "from-environment"


def test_an_edited_dotenv_counts_at_the_next_start(dotenv):
    dotenv("LESSON_MODE=fast\nOPENAI_BASE_URL=http://127.0.0.1:1/v1\n")
    with pytest.raises(ValueError, match="fast"):
        start("01_models")
    dotenv("OPENAI_API_KEY=from-file\n")
    start("01_models")
    assert os.environ["OPENAI_API_KEY"] == "from-file"
    assert "OPENAI_BASE_URL" not in os.environ
    assert "LESSON_MODE" not in os.environ


def test_a_mended_dotenv_counts_after_an_error(dotenv):
    dotenv("OPENAI_BASE_URL=localhost:1/v1\n")
    with pytest.raises(ValueError, match="要以 http://"):
        start("01_models")
    dotenv("OPENAI_BASE_URL=http://localhost:1/v1\n")
    start("01_models")
    assert openai.OpenAI().models.list().data[0].id == "gpt-4o"


def test_a_dotenv_from_windows_notepad_is_read(dotenv):
    dotenv("\ufeffCHAT_MODEL=某模型\r\n", "utf-8")
    start("01_models")
    assert os.environ["CHAT_MODEL"] == "某模型"


def test_a_dotenv_that_is_not_utf8_is_a_clear_error(dotenv):
    dotenv("# 密钥\nOPENAI_API_KEY=x\n", "gbk")
    with pytest.raises(ValueError, match=r"\.env 不是 UTF-8"):
        start("01_models")


# The modes that talk to a server

KEY = "sk-Qx7Zv2Wj9K4b"
TINY = "version: 1\nmetadata: {{origin: recorded, date: '2026-11-22', models: {models}}}\ninteractions: []\n"


@pytest.fixture
def live(dotenv):
    """Writes a `.env` for the mode live; the keywords change it, None leaves a setting out."""

    def write(**changes: str | None) -> None:
        settings = {
            "LESSON_MODE": "live",
            "OPENAI_API_KEY": KEY,
            "CHAT_MODEL": "a-chat-model",
            "COMPLETION_MODEL": "a-completion-model",
        } | changes
        lines = [f"{name}='{value}'\n" for name, value in settings.items() if value is not None]
        dotenv("".join(lines), "utf-8")

    return write


@pytest.fixture(scope="module")
def server():
    """A server on this machine whose only model is `m`: its base URL."""
    with fault_server() as (url, _):
        yield f"{url}/good"


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of two chapters, of which none is recorded: the folder of recordings."""
    folder = tmp_path / "notebooks" / "recordings"
    folder.mkdir(parents=True)
    for name in ("01_models", "02_completions"):
        (folder.parent / f"{name}.ipynb").touch()
    models = "{experiment_model: small, experiment_chat_model: small}"
    (folder / "experiments.yaml").write_text(TINY.format(models=models), "utf-8")
    monkeypatch.setattr(lesson, "RECORDINGS", folder)
    return folder


def models() -> list[str]:
    return [model.id for model in openai.OpenAI(max_retries=0).models.list()]


@pytest.mark.parametrize("value", [None, "", " "])
@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "CHAT_MODEL", "COMPLETION_MODEL"])
@pytest.mark.parametrize("mode", ["live", "record"])
def test_a_missing_setting_is_named_alone(live, mode, name, value):
    live(**{"LESSON_MODE": mode, name: value})
    with pytest.raises(ValueError, match=rf"还缺这些设置：{name}。.*\.env\.example.*=replay"):
        start("01_models")


def test_all_that_is_missing_is_listed_at_once(live):
    live(OPENAI_API_KEY=None, CHAT_MODEL=None, COMPLETION_MODEL=None)
    with pytest.raises(ValueError, match="：OPENAI_API_KEY、CHAT_MODEL、COMPLETION_MODEL。"):
        start("01_models")


def test_the_placeholder_of_an_earlier_replay_is_a_missing_key(live, dotenv):
    dotenv("")
    start("01_models")
    live(OPENAI_API_KEY=None)
    with pytest.raises(ValueError, match="还缺这些设置：OPENAI_API_KEY。"):
        start("01_models")


def test_the_placeholder_that_another_process_left_is_a_missing_key(live, monkeypatch):
    """As where a kernel in replay starts a script."""
    monkeypatch.setenv("OPENAI_API_KEY", lesson.NO_KEY)
    live(OPENAI_API_KEY=None)
    with pytest.raises(ValueError, match="还缺这些设置：OPENAI_API_KEY。"):
        start("01_models")


@pytest.mark.parametrize("key", ["你的密钥", "sk-Qx7Z v2Wj", "sk-Qx7Zv2Wj９", "sk-Qx7Z\nv2Wj"])
def test_a_key_that_cannot_be_one_is_said_to_be_so(live, monkeypatch, key):
    live(OPENAI_API_KEY=None)
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ValueError, match="OPENAI_API_KEY 里有密钥不会有的字符") as caught:
        start("01_models")
    assert key[:4] not in str(caught.value)


@pytest.mark.parametrize(
    "base_url",
    ["sk-Qx7Zv2Wj9K4b@h/v1", "ftp://h/v1", "http://", "http://h:port/v1", "http://[::1/v1"],
)
def test_a_base_url_that_is_none_is_a_clear_error_without_its_text(live, base_url):
    live(OPENAI_BASE_URL=base_url)
    with pytest.raises(ValueError, match="OPENAI_BASE_URL 要以 http:// 或 https:// 开头") as caught:
        start("01_models")
    assert "Qx7Z" not in str(caught.value)
    assert "port" not in str(caught.value)


def test_live_says_server_and_models_and_nothing_secret(live, capsys):
    live(OPENAI_BASE_URL="https://user:password@models.example:8443/v1?token=secret#part")
    start("01_models")
    line = capsys.readouterr().out
    assert line.startswith("实时模式：请求发往 models.example:8443，")
    assert "聊天用 a-chat-model，补全用 a-completion-model。" in line
    for secret in (KEY, "Qx7Z", "user", "password", "token", "secret", "part"):
        assert secret not in line


@pytest.mark.parametrize(
    ("base_url", "said"),
    [
        ("http://127.0.0.1:11434/v1", "127.0.0.1:11434，它就在这台电脑上，调用不花钱"),
        ("http://localhost/v1", "localhost，它就在这台电脑上，调用不花钱"),
        ("HTTP://[::1]:8000/v1", "[::1]:8000，它就在这台电脑上，调用不花钱"),
        ("http://foo.localhost:1/v1", "foo.localhost:1，它就在这台电脑上，调用不花钱"),
        ("http://192.168.0.7:8000/v1", "192.168.0.7:8000，调用可能要花钱，记在你的密钥上"),
        ("https://localhost.example/v1", "localhost.example，调用可能要花钱，记在你的密钥上"),
        ("http://127.0.0.1@models.example/v1", "models.example，调用可能要花钱，记在你的密钥上"),
        ("", "api.openai.com，调用可能要花钱，记在你的密钥上"),
        (None, "api.openai.com，调用可能要花钱，记在你的密钥上"),
    ],
)
def test_live_says_which_server_and_whether_it_costs_money(live, capsys, base_url, said):
    live(OPENAI_BASE_URL=base_url)
    start("01_models")
    assert f"请求发往 {said}。" in capsys.readouterr().out


def test_live_takes_its_models_from_the_settings(live):
    live(CHAT_MODEL=" a-chat-model ")
    assert start("01_models") == lesson.Lesson(
        mode="live",
        chat_model="a-chat-model",
        completion_model="a-completion-model",
        experiment_model="a-completion-model",
        experiment_chat_model="a-chat-model",
    )


def test_live_turns_replay_off_and_replay_turns_it_on(live, server):
    """For a client of before, too."""
    live(LESSON_MODE="replay", OPENAI_BASE_URL=server)
    start("01_models")
    client = openai.OpenAI(max_retries=0)
    assert client.models.list().data[0].id == "gpt-4o"
    live(OPENAI_BASE_URL=server)
    start("01_models")
    assert client.models.list().data[0].id == "m"
    live(LESSON_MODE="replay", OPENAI_BASE_URL=server)
    start("01_models")
    assert client.models.list().data[0].id == "gpt-4o"


def test_a_failed_live_start_leaves_replay_on(live, dotenv):
    dotenv("")
    start("01_models")
    live(OPENAI_API_KEY=None)
    with pytest.raises(ValueError):
        start("01_models")
    assert models()[0] == "gpt-4o"


def test_a_failed_replay_start_leaves_live_on(live, server):
    live(OPENAI_BASE_URL=server)
    start("01_models")
    live(LESSON_MODE="replay", OPENAI_BASE_URL=server)
    with pytest.raises(ValueError):
        start("no such chapter")
    assert models() == ["m"]


def test_live_needs_no_recordings(live, course):
    live()
    assert start("01_models").mode == "live"


def test_record_keeps_replies_in_the_chapters_own_file_and_replay_answers_from_it(
    live, server, course, capsys
):
    experiments = (course / "experiments.yaml").read_bytes()
    live(LESSON_MODE="record", OPENAI_BASE_URL=server)
    assert start("01_models").mode == "record"
    said = capsys.readouterr().out
    assert said.startswith("录制模式：回复同时存进 01_models.yaml，")
    assert "实时模式：请求发往 127.0.0.1:" in said
    assert models() == ["m"]
    assert [file.name for file in course.glob("0*")] == ["01_models.yaml"]
    assert (course / "experiments.yaml").read_bytes() == experiments

    live(LESSON_MODE="replay", OPENAI_API_KEY=None, CHAT_MODEL="another", COMPLETION_MODEL=None)
    chapter = start("01_models")
    assert models() == ["m"]
    assert chapter == lesson.Lesson(
        mode="replay",
        chat_model="a-chat-model",
        completion_model="a-completion-model",
        experiment_model="a-completion-model",
        experiment_chat_model="a-chat-model",
    )


def test_after_record_live_keeps_nothing(live, server, course):
    live(LESSON_MODE="record", OPENAI_BASE_URL=server)
    start("01_models")
    live(OPENAI_BASE_URL=server)
    start("01_models")
    assert models() == ["m"]
    assert not (course / "01_models.yaml").exists()


def test_a_cassette_that_cannot_be_recorded_into_leaves_the_earlier_mode_on(live, server, course):
    """Else the next cell would go to the network, unrecorded."""
    live(LESSON_MODE="record", OPENAI_BASE_URL=server)
    start("01_models")
    (course / "02_completions.yaml").write_text("broken", "utf-8")
    with pytest.raises(RecordingError, match=r"02_completions\.yaml"):
        start("02_completions")
    assert models() == ["m"]
    assert (course / "01_models.yaml").exists()


# .env.example

EXAMPLE = (Path(__file__).parent.parent / ".env.example").read_text("utf-8")
SERVERS = [
    block
    for block in re.split(r"\n\s*\n", EXAMPLE)
    if "# CHAT_MODEL=" in block and "# OPENAI_API_KEY=" in block
]


def settings(text: str) -> dict[str, str | None]:
    return dotenv_values(stream=io.StringIO(text))


def test_the_example_as_it_stands_changes_nothing(dotenv):
    assert settings(EXAMPLE) == {"LESSON_MODE": "replay"}
    dotenv(EXAMPLE, "utf-8")
    assert start("03_chat").mode == "replay"
    assert os.environ["OPENAI_API_KEY"] == lesson.NO_KEY


def test_the_example_has_openai_and_each_local_server():
    assert len(SERVERS) == 5
    for part in ("OpenAI", "Ollama", "vLLM", "llama-server", local_model.COMMAND):
        assert len([block for block in SERVERS if part in block.splitlines()[0]]) == 1, part


@pytest.mark.parametrize("block", SERVERS, ids=lambda block: block.splitlines()[0][2:12])
def test_each_example_of_a_server_is_complete_when_its_lines_are_uncommented(block, dotenv, capsys):
    lines = re.sub(r"^# (?=[A-Z_]+=)", "", block, flags=re.MULTILINE)
    lines = lines.replace("OPENAI_API_KEY=\n", f"OPENAI_API_KEY={KEY}\n")  # where it's one's own
    dotenv(f"{EXAMPLE}\n{lines}\nLESSON_MODE=live\n", "utf-8")
    assert start("03_chat").mode == "live"
    said = capsys.readouterr().out
    address = settings(lines).get("OPENAI_BASE_URL")
    assert ("不花钱" in said) is bool(address)
    assert not address or address.endswith("/v1")


def test_the_example_of_the_local_model_is_what_its_command_prints():
    [block] = [block for block in SERVERS if local_model.COMMAND in block]
    printed = local_model.READY.format(
        url="http://127.0.0.1:8000/v1", key=local_model.KEY, model=local_model.MODEL
    )
    given = settings(re.sub(r"^# (?=[A-Z_]+=)", "", block, flags=re.MULTILINE))
    assert {"LESSON_MODE": "live"} | given == {
        name: value for name, value in settings(printed).items() if value
    }
