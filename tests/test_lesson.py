"""start(): settings, modes, and beginning again."""

import os

import httpx2
import openai
import pytest

from helpers import lesson, start
from helpers.cassette_file import RecordingError


@pytest.fixture(autouse=True)
def nothing_left_over(monkeypatch):
    """Each test has the environment for itself, and no replay goes on after it."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    yield
    lesson._recordings_on.close()
    lesson._set_by_start.clear()


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
    assert line.startswith(
        "回放模式：回复来自 02_completions.yaml（3 条，据 2024-12-18 打印的输出重建）、"
        "experiments.yaml（97 条，2026-11-22 录自 smollm2-135m-instruct）。不联网"
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
    with pytest.raises(ValueError, match="OPENAI_BASE_URL='127.0.0.1:11434/v1' 要以 http://"):
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
