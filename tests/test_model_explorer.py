"""The model explorer: families, states, order, and what a learner sees of a model."""

import html
from datetime import date

import openai
import pytest
from ipywidgets.widgets.widget import _instances
from openai.types import Model

from helpers import lesson, start
from helpers.widgets.model_explorer import (
    family_of,
    in_order,
    matches,
    model_explorer,
    rows_of,
    state_of,
)

TODAY = date(2026, 11, 22)
HOSTILE = ["<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "![](x)", '"); x = ("']


pytestmark = pytest.mark.usefixtures("own_lesson", "own_widgets")


@pytest.fixture
def models():
    start("01_models")
    return openai.OpenAI().models.list()


def model(model_id: str, **fields) -> Model:
    return Model.construct(id=model_id, object="model", **fields)


def part(panel, name: str):
    """The widget of the CSS class `model-<name>`."""
    boxes = [panel]
    for box in boxes:
        boxes += getattr(box, "children", ())
    [found] = [box for box in boxes if f"model-{name}" in getattr(box, "_dom_classes", ())]
    return found


def shown(panel) -> list[str]:
    return [label.split("\xa0")[0] for label in part(panel, "list")._options_labels]


@pytest.mark.parametrize(
    ("family", "ids"),
    {
        "聊天": [
            "gpt-4o",
            "gpt-3.5-turbo-16k",
            "chatgpt-4o-latest",
            "gpt-5",
            "ft:gpt-4o-mini:o::x",
        ],
        "推理": ["o1-mini", "o1-preview-2024-09-12", "o3", "o4-mini"],
        "嵌入": ["text-embedding-3-small", "text-embedding-ada-002"],
        "语音": ["gpt-4o-audio-preview", "gpt-4o-realtime-preview", "tts-1-hd", "whisper-1"],
        "图像": ["dall-e-3", "gpt-image-1"],
        "审核": ["omni-moderation-latest", "text-moderation-stable"],
        "补全": ["babbage-002", "davinci-002", "text-davinci-003", "gpt-3.5-turbo-instruct-0914"],
        "其他": ["llama3.2", "smollm2-135m-instruct", "sora-2"],
    }.items(),
)
def test_the_id_tells_the_family(family, ids):
    assert {family_of(model_id) for model_id in ids} == {family}


def test_other_families_are_offered_only_where_there_are_some(models):
    offered = part(model_explorer(models), "family")._options_labels
    assert offered == ("类别：全部", "聊天", "推理", "嵌入", "语音", "图像", "审核", "补全")
    assert part(model_explorer([model("llama3.2")]), "family")._options_labels[-1] == "其他"


def test_a_model_is_gone_from_the_day_of_its_shutdown_on():
    dates = {"past": date(2026, 11, 21), "now": TODAY, "future": date(2026, 11, 23)}
    rows = rows_of([model(name) for name in ("past", "now", "future", "never")], dates)
    assert [state_of(row, TODAY) for row in rows] == ["已停用", "已停用", "已公布停用", "在用"]


def test_the_replys_own_shutdown_date_wins():
    [row] = rows_of([model("m", shutdown_date="2027-01-14")], {"m": date(2025, 1, 1)})
    assert row.shutdown == date(2027, 1, 14)


@pytest.mark.parametrize("nonsense", ["soon", 20270114, "", None])
def test_a_shutdown_date_that_is_none_is_as_if_it_were_not_there(nonsense):
    [row] = rows_of([model("m", shutdown_date=nonsense)], {"m": date(2025, 1, 1)})
    assert row.shutdown == date(2025, 1, 1)


@pytest.mark.parametrize("created", [None, "yesterday", 10**20, float("nan")])
def test_a_time_that_is_none_is_a_dash(created):
    panel = model_explorer([model("m", created=created, owned_by=None)])
    assert part(panel, "list").label.split() == ["m", "在用", "—", "—", "—"]


def test_search_wants_every_word_in_any_case():
    assert matches("gpt-4o-mini", " MINI 4o")
    assert not matches("gpt-4o", "4o mini")


@pytest.mark.parametrize("column", ["id", "shutdown", "created", "owned_by"])
def test_what_has_no_value_is_last_in_either_order(column, models):
    rows = rows_of(models, {"gpt-4": TODAY, "gpt-4o": date(2027, 1, 14)})
    up, down = in_order(rows, column), in_order(rows, column, descending=True)
    known = [getattr(row, column) for row in up if getattr(row, column) is not None]
    assert known == sorted(known)
    assert [getattr(row, column) for row in down][: len(known)] == known[::-1]
    assert all(getattr(row, column) is None for row in [*up, *down][len(known) : len(up)])
    assert {*up} == {*down} == {*rows}


def test_search_family_state_and_order_work_together(models):
    dates = {"gpt-4": TODAY, "gpt-4o": date(2027, 1, 14), "gpt-4o-mini": date(2027, 1, 14)}
    panel = model_explorer(models, dates, TODAY)
    assert "45 / 45 个模型" in part(panel, "count").value
    part(panel, "search").value = "gpt-4o"
    part(panel, "family").value = "聊天"
    part(panel, "state").value = "已公布停用"
    assert shown(panel) == ["gpt-4o", "gpt-4o-mini"]
    assert "2 / 45 个模型" in part(panel, "count").value
    part(panel, "descending").value = True
    assert shown(panel) == ["gpt-4o-mini", "gpt-4o"]
    part(panel, "state").value = "全部"
    part(panel, "sort").value = "created"
    assert shown(panel)[0] == "gpt-4o"


def test_the_columns_are_aligned(models):
    labels = part(model_explorer(models, {"gpt-4": TODAY}, TODAY), "list")._options_labels
    assert not any(" " in label for label in labels)
    states = [next(i for i, c in enumerate(label) if c in "在已") for label in labels]
    assert len({*states}) == 1


def test_the_chosen_model_stays_chosen_where_it_is_still_listed(models):
    panel = model_explorer(models)
    listing = part(panel, "list")
    listing.index = shown(panel).index("gpt-4o")
    part(panel, "search").value = "4o"
    assert listing.value.id == "gpt-4o"
    part(panel, "search").value = "tts"
    assert listing.value.id == "tts-1"
    assert "tts-1" in part(panel, "object").value


def test_nothing_found_is_said(models):
    panel = model_explorer(models)
    part(panel, "search").value = "gemini"
    assert "0 / 45" in part(panel, "count").value
    assert "没有符合条件的模型" in part(panel, "object").value
    assert part(panel, "code").value == ""
    part(panel, "search").value = ""
    assert part(panel, "list").value.id == "babbage-002"


def test_the_object_has_the_fields_of_the_reply_and_no_others(models):
    panel = model_explorer(models)
    part(panel, "search").value = "gpt-3.5-turbo-16k"
    text = html.unescape(part(panel, "object").value)
    assert '"created": 1683758102' in text
    assert "owned_by" not in text
    assert "shutdown_date" not in text


def test_the_code_runs_and_retrieves_the_model(models, capsys):
    panel = model_explorer(models)
    part(panel, "list").index = shown(panel).index("gpt-3.5-turbo")
    assert "没有录制" not in part(panel, "code").value
    run(panel)
    assert "Model(id='gpt-3.5-turbo', created=1677610602" in capsys.readouterr().out


def test_code_that_replay_has_no_reply_for_says_so(models):
    panel = model_explorer(models)
    part(panel, "list").index = shown(panel).index("gpt-4o")
    assert "没有录制" in part(panel, "code").value
    with pytest.raises(openai.NotFoundError, match="没有录制过这个请求（GET /models/gpt-4o）"):
        run(panel)


def run(panel) -> None:
    """Run the code that is shown."""
    shown = part(panel, "code").value.split('course-code">')[1].split("</div>")[0]
    exec(html.unescape(shown), {})  # noqa: S102 - what the learner would paste


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text(text):
    panel = model_explorer([model(text, owned_by=text, note=text)])
    for name in ("object", "code"):
        value = part(panel, name).value
        assert "<img" not in value
        assert "<script" not in value
    assert text in panel._static()
    assert "<img" not in panel._repr_mimebundle_()["text/html"]
    start("01_models")
    with pytest.raises(openai.NotFoundError, match="没有录制过"):
        run(panel)


def test_a_long_id_does_not_widen_the_list():
    panel = model_explorer([model("m" * 10_000)])
    assert len(part(panel, "list").label) < 120


def test_a_plain_list_and_a_list_without_models_do():
    assert shown(model_explorer([model("a"), model("a")])) == ["a", "a"]
    assert "0 / 0 个模型" in part(model_explorer([]), "count").value
    assert (
        "0 / 0 个模型"
        in part(model_explorer(openai.types.Model.construct(data=None)), "count").value
    )


def test_two_explorers_do_not_interfere(models):
    one, other = model_explorer(models), model_explorer(models)
    part(one, "search").value = "tts"
    assert len(shown(one)) == 4
    assert len(shown(other)) == 45


def test_closing_frees_every_widget(models):
    before = {*_instances}
    panel = model_explorer(models)
    part(panel, "search").value = "tts"
    panel.close()
    assert {*_instances} == before


def test_every_control_has_a_tooltip_that_is_shown(models):
    """ipywidgets shows none where a control has a description, unless it is a button."""
    panel = model_explorer(models)
    for name in ("search", "family", "state", "sort", "descending", "list"):
        control = part(panel, name)
        assert control.tooltip
        assert not control.description or name == "descending"


def test_the_static_text_names_every_model_its_family_and_state(models):
    text = model_explorer(models, {"gpt-4": TODAY}, TODAY)._static()
    lines = text.splitlines()
    assert lines[0] == "45 个模型，状态按 2026-11-22 算"
    assert len(lines) == 47
    [gpt_4] = [line.split() for line in lines if line.startswith("gpt-4 ")]
    assert gpt_4 == ["gpt-4", "聊天", "已停用", "2026-11-22", "—", "—"]


def test_the_static_text_has_no_date_but_the_given_ones(models):
    text = model_explorer(models, {"gpt-4": date(2020, 1, 1)})._static()
    assert "状态" not in text
    assert "已停用" not in text
    assert f"{date.today()}" not in text
    assert "2020-01-01" in text


def test_nothing_is_requested(models):
    lesson._recordings_on.close()  # from here on, a request would reach for the network
    panel = model_explorer(models)
    part(panel, "list").index = 3
    assert "dall-e-3" in part(panel, "code").value
