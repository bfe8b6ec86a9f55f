"""Fixtures that several test files use."""

from collections.abc import Iterator

import pytest

from helpers.local_model import local_model


@pytest.fixture(scope="session")
def model_server() -> Iterator[str]:
    """The real model on this machine, for tests marked `live`: its base URL."""
    with local_model() as url:
        yield url
