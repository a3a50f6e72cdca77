"""Lists of moves: who sees which, and how they look at each version."""

import datetime
import uuid

import pytest

from kilonova.api import request
from kilonova.common import exception
from kilonova.common.objects.migration import Migration, MigrationQuery
from kilonova.tests.unit.api import reference
from kilonova.tests.unit.api.fake_servers import FakeServers, make_server
from kilonova.tests.unit.api.frontdoor import Door

ID = make_server(1).uuid
WHEN = datetime.datetime(2026, 1, 2, 3, 4, 5, 6)
VERSIONS = ['2.1', '2.22', '2.23', '2.58', '2.59', '2.65', '2.66', '2.79', '2.80', '2.104']


def make(number, **values):
    defaults = {
        'id': number,
        'uuid': str(uuid.UUID(int=number)),
        'instance_uuid': ID,
        'migration_type': 'live-migration',
        'status': 'running',
        'source_compute': 'h1',
        'source_node': 'n1',
        'dest_compute': 'h2',
        'dest_node': 'n2',
        'dest_host': '192.0.2.2',
        'old_instance_type_id': 1,
        'new_instance_type_id': 1,
        'user_id': 'u',
        'project_id': 'demo',
        'memory_total': 10,
        'memory_processed': 4,
        'memory_remaining': 6,
        'created_at': WHEN,
        'updated_at': WHEN,
    }
    return Migration(**(defaults | values))


class Fake(FakeServers):
    def __init__(self):
        super().__init__(make_server(1))
        self.found = [make(2, status='error', migration_type='resize'), make(1)]
        self.query = MigrationQuery()

    def list_migrations(self, context, query):
        self.query = query
        if query.marker == 'unknown':
            raise exception.MarkerNotFound(marker=query.marker)
        return self.found[: query.limit]

    def list_live_migrations(self, context, wanted, project_id=None):
        self._find(wanted, project_id)
        return self.found[1:]

    def get_live_migration(self, context, wanted, number, project_id=None):
        self._find(wanted, project_id)
        return self.found[-number]


@pytest.fixture
def fake():
    return Fake()


@pytest.fixture
def door(fake):
    return Door.open(fake).at('2.104').as_user('admin')


@pytest.mark.parametrize('version', VERSIONS)
def test_lists_fit_novas_schemas(door, version):
    declared = reference.operations('migrations.MigrationsController')
    shown = door.at(version).ok('GET', '/os-migrations')
    reference.check(
        shown,
        reference.schema_for(declared['GET', '/os-migrations', None], 'response', version),
    )
    newest, running = shown['migrations']
    assert ('links' in running) == (float(version[2:]) >= 23)
    assert 'links' not in newest


@pytest.mark.parametrize('version', VERSIONS[2:])
def test_live_migrations_fit_novas_schemas(door, version):
    declared = reference.operations('server_migrations.ServerMigrationsController')
    path = '/servers/{server_id}/migrations'
    for url, key in (
        (f'/servers/{ID}/migrations', path),
        (f'/servers/{ID}/migrations/1', f'{path}/{{id}}'),
    ):
        shown = door.at(version).ok('GET', url)
        reference.check(
            shown, reference.schema_for(declared['GET', key, None], 'response', version)
        )


def test_live_migrations_of_servers_come_with_2_23(door):
    assert door.at('2.22').refused('GET', f'/servers/{ID}/migrations') == 404
    assert door.refused('GET', f'/servers/{ID}/migrations/x') == 404


def test_filters_and_pages(door, fake):
    url = '/os-migrations?status=error&host=h1&limit=1&user_id=u&hidden=true'
    url += '&changes-since=2026-01-01T00:00:00Z&changes-before=2026-01-03T00:00:00Z'
    shown = door.ok('GET', url)
    assert fake.query == MigrationQuery(
        filters={'status': 'error', 'host': 'h1', 'user_id': 'u', 'hidden': True},
        changes_since=datetime.datetime(2026, 1, 1),
        changes_before=datetime.datetime(2026, 1, 3),
        limit=1,
    )
    (link,) = shown['migrations_links']
    assert link['rel'] == 'next' and f'marker={fake.found[0].uuid}' in link['href']
    assert door.refused('GET', '/os-migrations?marker=unknown') == 400


@pytest.mark.parametrize(
    ('version', 'parameter', 'status'),
    [
        ('2.58', 'nonsense=1', 200),
        ('2.58', 'limit=1', 200),
        ('2.59', 'nonsense=1', 400),
        ('2.65', 'changes-before=2026-01-01T00:00:00Z', 400),
        ('2.79', 'user_id=u', 400),
        ('2.80', 'user_id=u', 200),
        ('2.80', 'changes-since=yesterday', 400),
    ],
)
def test_parameters_by_version(door, fake, version, parameter, status):
    answer = door.at(version).request('GET', f'/os-migrations?{parameter}')
    assert answer.status_int == status
    if version == '2.58':
        assert fake.query == MigrationQuery()


def with_manager(context, real=request.credentials):
    found = real(context)
    return (
        {**found, 'roles': ['manager', *found['roles']]} if context.user_id == 'manager' else found
    )


def test_who_sees_what(door, fake, monkeypatch):
    assert door.as_user('demo').refused('GET', '/os-migrations') == 403
    assert door.as_user('demo').refused('GET', f'/servers/{ID}/migrations') == 403
    monkeypatch.setattr(request, 'credentials', with_manager)
    manager = door.as_user('manager:demo')
    shown = manager.ok('GET', '/os-migrations')['migrations']
    assert fake.query.filters == {'project_id': 'demo'}
    assert shown[0]['source_compute'] is None and shown[0]['dest_host'] is None
    assert manager.refused('GET', '/os-migrations?project_id=other') == 403
    shown = manager.ok('GET', f'/servers/{ID}/migrations')['migrations']
    assert shown[0]['dest_node'] is None
    assert manager.refused('GET', f'/servers/{ID}/migrations/1') == 403
    door.ok('GET', '/os-migrations?project_id=other')
    assert fake.query.filters == {'project_id': 'other'}
