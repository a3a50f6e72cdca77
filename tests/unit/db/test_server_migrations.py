"""Records of moves: which are open, which are shown, what is still owed."""

import datetime
import uuid

import pytest

from kilonova.common import exception
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.migration import Migration, MigrationQuery, Move
from kilonova.common.objects.server import Server
from kilonova.db import server_migrations as migrations
from kilonova.db import servers, types

START = datetime.datetime(2026, 1, 1, 12)
FLAVOR = Flavor(flavorid='1', name='m1', memory_mb=512, vcpus=1)
MOVE = Move(old_flavor=FLAVOR, new_flavor=FLAVOR, old_vm_state='active')


class Clock:
    def __init__(self, monkeypatch):
        self.now = START
        monkeypatch.setattr(types, 'utcnow', lambda: self.now)

    def tick(self):
        self.now += datetime.timedelta(minutes=1)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
def server(cell_db):
    made = Server(
        uuid=str(uuid.uuid4()), name='s', project_id='p', user_id='u', flavor=FLAVOR,
        created_at=START, updated_at=START,
    )  # fmt: skip
    with cell_db.transaction() as session:
        servers.add(session, [made])
    return made


@pytest.fixture
def add(cell_db, clock, server):
    def add(kind='resize', status='finished', **values):
        one = Migration(
            uuid=str(uuid.uuid4()),
            instance_uuid=server.uuid,
            migration_type=kind,
            status=status,
            **values,
        )
        with cell_db.transaction() as session:
            migrations.add(session, one, MOVE)
        clock.tick()
        return one.uuid

    return add


@pytest.fixture
def found(cell_db):
    def found(marker=None, limit=None, since=None, before=None, **filters):
        query = MigrationQuery(
            filters=filters,
            marker=marker,
            limit=limit,
            changes_since=since,
            changes_before=before,
        )
        with cell_db.reader() as session:
            return [one.uuid for one in migrations.find(session, query)]

    return found


def test_filters_order_and_pages(add, found):
    first = add(source_compute='h1', dest_compute='h2', project_id='p', user_id='u')
    second = add('live-migration', 'running', source_compute='h2', dest_compute='h3')
    third = add('evacuation', 'done', source_compute='h4', hidden=True)
    assert found() == [third, second, first]
    assert found(host='h2') == [second, first]
    assert found(source_compute='h2') == [second]
    assert found(status='done') == found(migration_type='evacuation') == [third]
    assert found(hidden=True) == [third] and found(hidden=False) == [second, first]
    assert found(project_id='p', user_id='u') == [first]
    assert found(limit=2) == [third, second] and found(marker=second) == [first]
    minute = START + datetime.timedelta(minutes=1)
    assert found(since=minute) == [third, second]
    assert found(before=minute) == [second, first]
    with pytest.raises(exception.MarkerNotFound):
        found(marker='x')


def test_what_a_host_may_have(add, cell_db):
    resized = add(source_compute='h1', dest_compute='h2')
    add(status='confirmed', source_compute='h1', dest_compute='h2')
    evacuated = add('evacuation', 'done', source_compute='h1', dest_compute='h2')
    with cell_db.reader() as session:
        assert {one.uuid for one in migrations.on_host(session, 'h1')} == {resized, evacuated}
        assert [one.uuid for one in migrations.on_host(session, 'h2')] == [resized]


def test_what_is_owed(add, cell_db, clock, server):
    resized, live = add(), add('live-migration', 'running')
    add(status='reverted')
    with cell_db.transaction() as session:
        migrations.close(session, server.uuid, clock.now + datetime.timedelta(minutes=1))
    with cell_db.transaction() as session:
        assert migrations.owed(session) == []
        owed = migrations.owed(session, server.uuid)
        assert [(one.uuid, one.status) for one in owed] == [
            (resized, 'confirmed'),
            (live, 'error'),
        ]
        assert migrations.paid(session, live)
    clock.now += datetime.timedelta(minutes=2)
    with cell_db.transaction() as session:
        assert [one.uuid for one in migrations.owed(session)] == [resized]


def test_one_of_a_server(add, cell_db, server):
    one = add()
    with cell_db.reader() as session:
        stored = migrations.get(session, one)
        assert stored is not None
        assert migrations.get_of_server(session, server.uuid, stored.id) == stored
        assert migrations.get_move(session, one) == MOVE
        assert [m.uuid for m in migrations.waiting(session, START + datetime.timedelta(1))] == [one]
        with pytest.raises(exception.MigrationNotFoundForInstance):
            migrations.get_of_server(session, 'other', stored.id)
