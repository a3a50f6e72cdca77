"""Migrations lead to what the models say."""

import datetime
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from kilonova.common.objects.network import VIF
from kilonova.db import engine, hosts, servers
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


def _empty_row(table: sa.Table) -> dict[str, Any]:
    """Return a value for each column that must have one."""
    empty = {str: '', int: 0, float: 0.0, bool: False}
    now = datetime.datetime(2026, 1, 1)
    return {
        column.name: empty.get(column.type.python_type, now)
        for column in table.c
        if not column.nullable and column.name != 'id'
    }


def test_ports_of_the_servers_that_there_are_can_be_found_afterwards(database_server):
    database = engine.Database(database_server.make('ports'))
    schema.sync(database, 'cell', '0004')
    table = sa.Table('instances', sa.MetaData(), autoload_with=database.engine)
    with database.transaction() as session:
        for uuid, ports, deleted in (('a', ['p1', 'p2'], 0), ('b', [], 0), ('c', ['p3'], 7)):
            vifs = [VIF(id=port, address='', network_id='n') for port in ports]
            row = {'uuid': uuid, 'deleted': deleted}
            row['network_info'] = msgspec.json.encode(vifs).decode()
            session.execute(sa.insert(table).values(_empty_row(table) | row))
    schema.sync(database, 'cell')
    with database.reader() as session:
        rows = session.execute(sa.select(servers.PORTS)).all()
    assert sorted(map(tuple, rows)) == [('p1', 'a'), ('p2', 'a')]
    database.close()
