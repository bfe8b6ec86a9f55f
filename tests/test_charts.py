"""show_chart(): the same chart for JupyterLab, for a code host and for a text terminal."""

import IPython.display
import pytest

from helpers import show_chart

SPEC = {
    "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
    "data": {"values": [{"词": "春天", "概率": 0.75}, {"词": "秋天", "概率": 0.25}]},
    "mark": "bar",
    "encoding": {
        "x": {"field": "概率", "type": "quantitative"},
        "y": {"field": "词", "type": "nominal"},
    },
}


@pytest.fixture
def shown(monkeypatch) -> dict:
    outputs = []
    monkeypatch.setattr(IPython.display, "display", lambda data, raw: outputs.append((data, raw)))
    show_chart(SPEC, "春天 0.75，秋天 0.25")
    [(data, raw)] = outputs
    assert raw
    return data


def test_jupyterlab_gets_the_chart_itself(shown):
    assert shown["application/vnd.vegalite.v5+json"] == SPEC


def test_a_code_host_gets_an_svg_whose_chinese_is_text_for_the_browser_to_draw(shown):
    svg = shown["image/svg+xml"]
    assert svg.startswith("<svg")
    assert ">春天</text>" in svg
    assert ">概率</text>" in svg


def test_everywhere_else_there_is_text(shown):
    assert shown["text/plain"] == "春天 0.75，秋天 0.25"


def test_a_broken_chart_fails_rather_than_showing_nothing():
    with pytest.raises(ValueError):
        show_chart({"mark": "no such mark"}, "")
