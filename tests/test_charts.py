"""show_chart(): the same chart for JupyterLab, for a code host and for a text terminal."""

from base64 import b64decode

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


def test_a_code_host_gets_a_png(shown):
    """JupyterLab adds one itself where there is none, and so changes a notebook on opening."""
    assert b64decode(shown["image/png"]).startswith(b"\x89PNG")


def test_everywhere_else_there_is_text(shown):
    assert shown["text/plain"] == "春天 0.75，秋天 0.25"


def test_a_broken_chart_fails_rather_than_showing_nothing():
    with pytest.raises(ValueError):
        show_chart({"mark": "no such mark"}, "")
