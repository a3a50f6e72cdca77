"""Databases for the tests of this folder, and the world around a conductor."""

import pytest

from kilonova.tests.fixtures.databases import (  # noqa: F401
    api_db,
    cell_db,
    conf,
    database_server,
    database_urls,
    migrated_urls,
)
from kilonova.tests.unit.conductor.world import World


@pytest.fixture
def world(conf, api_db, cell_db, monkeypatch):  # noqa: F811
    return World(conf, api_db, cell_db, monkeypatch)
