"""Users' regular expressions end in time, on every database."""

import time
import uuid
from typing import Any

import pytest

from kilonova.common import exception
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.server import Server, ServerQuery
from kilonova.db import patterns, server_list, servers, types
from kilonova.db.engine import Database

CATASTROPHES = ['(a|aa)+$', '(a+)+$', '(a*)*b', r'^(([a-z])+.)+[A-Z]([a-z])+$', '(a|b|ab)*c']


@pytest.fixture
def database(cell_db: Database) -> Database:
    now = types.utcnow()
    made = [
        Server(
            uuid=str(uuid.uuid4()),
            name='a' * 200 + f'!{number}',
            project_id='p',
            user_id='u',
            flavor=Flavor(flavorid='1', name='m1', memory_mb=512, vcpus=1),
            created_at=now,
            updated_at=now,
        )
        for number in range(50)
    ]
    with cell_db.transaction() as session:
        servers.add(session, made)
    return cell_db


def _find(database: Database, **filters: Any) -> list[Server]:
    with database.reader() as session:
        return server_list.find(session, ServerQuery(filters=filters, limit=100))


@pytest.mark.timeout(60)  # without a limit of ours they go on for hours
@pytest.mark.parametrize('pattern', CATASTROPHES)
def test_they_end_and_leave_a_connection_that_works(database: Database, pattern: str) -> None:
    try:
        _find(database, name=pattern)
    except exception.InvalidInput as error:
        assert 'regular expression' in error.message
    assert len(_find(database, name='^a+!')) == 50


def test_other_statements_have_no_limit(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit goes when the list is read: the connection is used for other work then."""
    monkeypatch.setattr(patterns, 'SECONDS', 0.2)
    _find(database, name='!7$')
    sleep = {'postgresql': 'SELECT pg_sleep(0.5)', 'mysql': 'SELECT SLEEP(0.5)'}
    with database.reader() as session:
        if database.name in sleep:
            session.connection().exec_driver_sql(sleep[database.name])
        else:
            time.sleep(0.5)
        found = server_list.find(session, ServerQuery(filters={'project_id': 'p'}))
    assert len(found) == 50
