"""Migrations lead to what the models say."""

import pytest

from kilonova.db import engine, hosts
from kilonova.db.migrations import schema


@pytest.mark.parametrize('which', ['api', 'cell'])
def test_migrations_agree_with_models(which, database_server):
    database = engine.Database(database_server.make('compare'))
    assert schema.version(database, which) is None
    schema.sync(database, which)
    assert schema.version(database, which) == schema.head(which)
    assert schema.differences(database, which) == []
    schema.sync(database, which)  # again: nothing to do
    assert schema.version(database, which) == schema.head(which)
    database.close()


def test_unknown_revision_is_named(database_server):
    database = engine.Database(database_server.make('compare'))
    with pytest.raises(schema.SchemaError, match='cdeec0c85668'):
        schema.sync(database, 'api', 'cdeec0c85668')
    assert schema.version(database, 'api') is None
    database.close()


def test_both_schemas_fit_into_one_database(database_server):
    database = engine.Database(database_server.make('both'))
    for which in ('api', 'cell'):
        schema.sync(database, which)
        assert schema.version(database, which) == schema.head(which)
    with database.transaction() as session:
        assert hosts.version(session) == 1
    database.close()


def test_a_database_of_nova_is_refused(database_server):
    database = engine.Database(database_server.make('compare'))
    with database.engine.begin() as connection:
        connection.exec_driver_sql('CREATE TABLE instances (id INTEGER)')
    with pytest.raises(schema.SchemaError, match='not made by this program: instances'):
        schema.sync(database, 'cell')
    database.close()
