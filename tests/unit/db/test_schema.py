"""Migrations lead to what the models say."""

import pytest

from kilonova.db import engine
from kilonova.db.migrations import schema


@pytest.mark.parametrize('which', ['api', 'cell'])
def test_migrations_agree_with_models(which, database_server):
    database = engine.Database(database_server.make('compare'))
    assert schema.version(database) is None
    schema.sync(database, which)
    assert schema.version(database) == schema.head(which)
    assert schema.differences(database, which) == []
    schema.sync(database, which)  # again: nothing to do
    assert schema.version(database) == schema.head(which)
    database.close()


def test_unknown_revision_is_named(database_server):
    database = engine.Database(database_server.make('compare'))
    with pytest.raises(schema.SchemaError, match='cdeec0c85668'):
        schema.sync(database, 'api', 'cdeec0c85668')
    assert schema.version(database) is None
    database.close()


def test_a_database_of_nova_is_refused(database_server):
    database = engine.Database(database_server.make('compare'))
    with database.engine.begin() as connection:
        connection.exec_driver_sql('CREATE TABLE alembic_version (version_num VARCHAR(32))')
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('ab450ba04102')")
    with pytest.raises(schema.SchemaError, match='ab450ba04102'):
        schema.sync(database, 'cell')
    database.close()
