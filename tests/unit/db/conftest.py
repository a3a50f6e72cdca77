"""Databases for the tests of this folder."""

from kilonova.tests.fixtures.databases import (  # noqa: F401
    api_db,
    cell_db,
    conf,
    database_server,
    database_urls,
    migrated_urls,
)
