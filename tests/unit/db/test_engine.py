"""Transactions on each database."""

import threading
import types

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from kilonova.db import engine, errors
from kilonova.db.models.api import CellMapping, HostMapping, ProjectLock, RequestSpecRow
from kilonova.db.models.cell import ServiceRow
from kilonova.db.types import utcnow


def test_commit_rollback_and_statements(api_db):
    with engine.count_statements() as statements:
        with api_db.transaction() as session:
            session.add(RequestSpecRow(instance_uuid='a', spec={'deep': [1, {'x': None}]}))
    assert len(statements) == 1, statements
    with pytest.raises(ZeroDivisionError):
        with api_db.transaction() as session:
            session.add(RequestSpecRow(instance_uuid='b', spec={}))
            session.flush()
            raise ZeroDivisionError
    with api_db.reader() as session:
        rows = session.scalars(sa.select(RequestSpecRow)).all()
    assert [(row.instance_uuid, row.spec) for row in rows] == [('a', {'deep': [1, {'x': None}]})]


def test_times_keep_microseconds_and_have_no_zone(cell_db):
    now = utcnow().replace(microsecond=123456)
    with cell_db.transaction() as session:
        session.add(ServiceRow(uuid='u', host='h', binary='b', last_seen_up=now))
    with cell_db.reader() as session:
        row = session.scalars(sa.select(ServiceRow)).one()
    assert row.last_seen_up == now
    assert row.last_seen_up.tzinfo is None
    assert abs((row.created_at - utcnow()).total_seconds()) < 60
    assert row.updated_at is None


def test_names_compare_exactly(cell_db):
    with cell_db.transaction() as session:
        for number, host in enumerate(['Host', 'host', 'höst', '主机😀']):
            session.add(ServiceRow(uuid=str(number), host=host, binary='b'))
    with cell_db.reader() as session:
        found = session.scalars(sa.select(ServiceRow.uuid).where(ServiceRow.host == 'host')).all()
    assert found == ['1']


def test_foreign_keys_hold_and_duplicates_are_told_apart(api_db):
    with pytest.raises(exc.IntegrityError) as missing:
        with api_db.transaction() as session:
            session.add(HostMapping(host='h', cell_id=99))
    assert not errors.is_duplicate(missing.value)
    for expected in (None, exc.IntegrityError):
        mapping = CellMapping(uuid='same', name='x')
        if expected is None:
            with api_db.transaction() as session:
                session.add(mapping)
            continue
        with pytest.raises(expected) as twice:
            with api_db.transaction() as session:
                session.add(mapping)
        assert errors.is_duplicate(twice.value)


def test_writers_do_not_lose_updates(api_db):
    with api_db.transaction() as session:
        session.add(ProjectLock(project_id='p', version=0))

    @engine.retry
    def add_one():
        with api_db.transaction() as session:
            row = session.scalars(
                sa.select(ProjectLock).where(ProjectLock.project_id == 'p').with_for_update()
            ).one()
            row.version += 1

    def work():
        for _ in range(10):
            add_one()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with api_db.reader() as session:
        assert session.scalars(sa.select(ProjectLock.version)).one() == 50


def test_deadlock_is_run_again(api_db, database_server):
    """Two transactions lock two rows in opposite order; one loses, and runs again."""
    if database_server.kind == 'sqlite':
        pytest.skip('SQLite has one lock: no deadlock is possible')
    with api_db.transaction() as session:
        session.add_all(ProjectLock(project_id=name, version=0) for name in 'ab')
    met = threading.Barrier(2)
    runs: list[str] = []

    @engine.retry
    def change(first, second):
        runs.append(first)
        with api_db.transaction() as session:
            for position, name in enumerate((first, second)):
                session.execute(
                    sa.update(ProjectLock)
                    .where(ProjectLock.project_id == name)
                    .values(version=ProjectLock.version + 1)
                )
                if position == 0 and len(runs) <= 2:
                    met.wait(10)

    threads = [threading.Thread(target=change, args=pair) for pair in ('ab', 'ba')]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(runs) == 3, runs
    with api_db.reader() as session:
        assert session.scalars(sa.select(ProjectLock.version)).all() == [2, 2]


def test_lost_connection_is_run_again(api_db, database_server):
    if database_server.kind == 'sqlite':
        pytest.skip('SQLite has no connection to lose')
    tries = []

    @engine.retry
    def read():
        with api_db.reader() as session:
            tries.append(1)
            if len(tries) == 1:
                _kill(database_server.kind, api_db, _number(session, database_server.kind))
            return session.scalar(sa.text('SELECT 7'))

    assert read() == 7
    assert len(tries) == 2


def _number(session, kind):
    mine = 'SELECT pg_backend_pid()' if kind == 'postgresql' else 'SELECT connection_id()'
    return session.scalar(sa.text(mine))


def _kill(kind, database, number):
    kill = f'SELECT pg_terminate_backend({number})' if kind == 'postgresql' else f'KILL {number}'
    other = sa.create_engine(database.engine.url, poolclass=sa.NullPool)
    with other.connect() as connection:
        connection.exec_driver_sql(kill)


def test_idle_connection_is_pinged(api_db, database_server, monkeypatch):
    if database_server.kind == 'sqlite':
        pytest.skip('SQLite has no connection to lose')
    monkeypatch.setattr(engine, 'IDLE_SECONDS', -1)
    with api_db.reader() as session:
        number = _number(session, database_server.kind)
    _kill(database_server.kind, api_db, number)
    with api_db.reader() as session:  # no retry: the pool has thrown the dead one away
        assert _number(session, database_server.kind) != number


def test_nested_transaction_is_refused_on_sqlite(api_db, database_server):
    if database_server.kind != 'sqlite':
        pytest.skip('only SQLite would wait for itself')
    with api_db.transaction():
        with pytest.raises(RuntimeError, match='open in this thread'):
            with api_db.transaction():
                pass
    with api_db.transaction():
        pass


def test_waits_for_the_database(tmp_path):
    database = engine.Database(f'sqlite:///{tmp_path}/none/x.sqlite')
    assert database.options.max_retries == 10
    database.options = types.SimpleNamespace(  # type: ignore[assignment]
        max_retries=1, retry_interval=0
    )
    with pytest.raises(exc.OperationalError):
        database.wait()
    (tmp_path / 'none').mkdir()
    database.wait()


@pytest.mark.parametrize(
    ('given', 'used'),
    [
        ('mysql://u:p@h/nova', 'mysql+pymysql://u:p@h/nova'),
        ('mysql+pymysql://u:p@h/nova?charset=utf8', 'mysql+pymysql://u:p@h/nova?charset=utf8'),
        ('postgresql://u:p@h/nova', 'postgresql+psycopg2://u:p@h/nova'),
        ('sqlite:////a/b', 'sqlite:////a/b'),
    ],
)
def test_urls_of_nova_are_understood(given, used):
    assert engine.normalize(given).render_as_string(hide_password=False) == used


def test_parameters_are_appended_and_memory_is_refused():
    url = engine.normalize('mysql://h/nova?a=1', 'b=2')
    assert dict(url.query) == {'a': '1', 'b': '2'}
    with pytest.raises(ValueError, match='SQLite needs a file'):
        engine.normalize('sqlite://')
