"""Databases for the tests of this folder, and the world around a conductor."""

import pytest

from kilonova.common.clients.placement import Placement
from kilonova.tests.fakes.placement_fixture import PlacementFixture
from kilonova.tests.fixtures.databases import (  # noqa: F401
    api_db,
    cell_db,
    conf,
    database_server,
    database_urls,
    migrated_urls,
)
from kilonova.tests.unit.conductor.hosts_world import HostsWorld
from kilonova.tests.unit.conductor.world import World


@pytest.fixture
def world(conf, api_db, cell_db, monkeypatch):  # noqa: F811
    return World(conf, api_db, cell_db, monkeypatch)


@pytest.fixture
def placement_fixture(tmp_path):
    with PlacementFixture(tmp_path) as fixture:
        yield fixture


@pytest.fixture
def hosts_world(conf, api_db, cell_db, placement_fixture):  # noqa: F811
    return HostsWorld(conf, api_db, cell_db, Placement(placement_fixture.adapter()))
