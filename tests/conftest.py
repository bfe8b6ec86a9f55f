"""Fixtures that several test files use."""

import os
from collections.abc import Iterator

import pytest

from helpers import lesson
from helpers.local_model import local_model


@pytest.fixture
def own_lesson(monkeypatch) -> Iterator[None]:
    """The test has environment and lesson for itself: no replay goes on after it."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    yield
    lesson._recordings_on.close()
    lesson._set_by_start.clear()
    lesson._lessons.clear()


@pytest.fixture
def own_widgets() -> Iterator[None]:
    """The test ends with no more widgets than it began with."""
    from ipywidgets.widgets.widget import _instances

    before = {*_instances}
    yield
    for widget in [_instances[id] for id in {*_instances} - before]:
        widget.close()


@pytest.fixture(scope="session")
def model_server() -> Iterator[str]:
    """The real model on this machine, for tests marked `live`: its base URL."""
    with local_model() as url:
        yield url
