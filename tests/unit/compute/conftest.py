"""Hosts for the tests of nova-compute."""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kilonova.tests.unit.compute.here import Here


@pytest.fixture
def make_here(tmp_path: pathlib.Path) -> Iterator[Callable[..., Here]]:
    """Make a host with options, ``make_here(fake_driver={'spawn_delay': 1})``."""
    made: list[Here] = []

    def make(**groups: dict[str, Any]) -> Here:
        made.append(Here(tmp_path, **groups))
        return made[-1]

    yield make
    for here in made:
        here.close()


@pytest.fixture
def here(make_here: Callable[..., Here]) -> Here:
    return make_here()
