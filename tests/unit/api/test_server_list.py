"""GET /servers and /servers/detail: filters, sorting, paging."""

import datetime
import urllib.parse

import pytest

from kilonova.api.servers import list as server_list
from kilonova.tests.unit.api import reference
from kilonova.tests.unit.api.fake_servers import FakeServers, make_server
from kilonova.tests.unit.api.frontdoor import Door


@pytest.fixture
def fake():
    return FakeServers(*(make_server(n) for n in range(1, 6)), make_server(9, project_id='other'))


@pytest.fixture
def door(fake):
    return Door.open(fake).at('2.104')


def query_of(fake):
    name, query = fake.calls[-1]
    assert name == 'list_servers'
    return query


def filters(door, fake, text, user='demo', version='2.104'):
    door.as_user(user).at(version).ok('GET', f'/servers?{text}')
    return query_of(fake).filters


def ids(body):
    return [server['id'][-1] for server in body['servers']]


def test_only_the_own_project_is_listed(door):
    body = door.ok('GET', '/servers')
    assert ids(body) == list('12345')
    assert set(body['servers'][0]) == {'id', 'name', 'links'}
    assert 'servers_links' not in body


def test_all_tenants_is_for_operators(door):
    assert door.refused('GET', '/servers?all_tenants=1') == 403
    assert door.refused('GET', '/servers/detail?all_tenants=') == 403
    assert ids(door.ok('GET', '/servers?all_tenants=0')) == list('12345')
    admin = door.as_user('admin')
    assert ids(admin.ok('GET', '/servers?all_tenants')) == list('123459')
    assert ids(admin.ok('GET', '/servers?all_tenants=true&project_id=other')) == ['9']
    assert ids(admin.ok('GET', '/servers?all_tenants=true&tenant_id=other')) == ['9']
    # Without all_tenants another project cannot be asked for.
    assert ids(admin.ok('GET', '/servers?project_id=other')) == []
    assert admin.refused('GET', '/servers?all_tenants=maybe') == 400


def test_pages_are_linked(door):
    first = door.ok('GET', '/servers/detail?limit=2&name=server')
    assert ids(first) == list('12')
    (link,) = first['servers_links']
    url = urllib.parse.urlsplit(link['href'])
    assert link['rel'] == 'next' and url.path == '/v2.1/servers/detail'
    assert urllib.parse.parse_qs(url.query) == {
        'limit': ['2'],
        'name': ['server'],
        'marker': [make_server(2).uuid],
    }
    assert ids(door.ok('GET', f'/servers/detail?{url.query}')) == list('34')
    assert 'servers_links' not in door.ok('GET', f'/servers?marker={make_server(4).uuid}')


def test_limits(fake):
    door = Door.open(fake, ('api', 'max_limit', 3)).at('2.104')
    assert ids(door.ok('GET', '/servers')) == list('123')
    assert ids(door.ok('GET', '/servers?limit=100')) == list('123')
    assert ids(door.ok('GET', '/servers?limit=0')) == []
    for limit in ('-1', 'x', '', str(-(2**64))):
        assert door.refused('GET', f'/servers?limit={limit}') == 400
    assert ids(door.ok('GET', f'/servers?limit={2**64}')) == list('123')
    assert door.refused('GET', '/servers?marker=unknown') == 400


@pytest.mark.parametrize(
    ('text', 'key', 'value'),
    [
        ('name=web', 'name', 'web'),
        ('ip=10.0', 'ip', '10.0'),
        ('ip6=fd', 'ip6', 'fd'),
        ('image=abc', 'image', 'abc'),
        ('flavor=1', 'flavor', '1'),
        ('hostname=h', 'hostname', 'h'),
        ('reservation_id=r-1', 'reservation_id', 'r-1'),
        ('key_name=k', 'key_name', 'k'),
        ('power_state=4', 'power_state', 4),
        ('config_drive=true', 'config_drive', True),
        ('locked=false', 'locked', False),
        ('task_state=spawning', 'task_state', ['spawning']),
        ('vm_state=active&vm_state=error', 'vm_state', ['active', 'error']),
        ('tags=a,b', 'tags', ['a', 'b']),
        ('not-tags-any=c', 'not_tags_any', ['c']),
        ('status=active', 'vm_state', ['active']),
        ('status=REBOOT', 'task_state', ['reboot_pending', 'reboot_started', 'rebooting']),
        ('availability_zone=nova', 'availability_zone', 'nova'),
        ('user_id=u', 'user_id', 'u'),
        ('progress=5', 'progress', 5),
        ('progress=99999999999999999999', 'progress', -(2**31 - 1)),
        ('launched_at=2026-01-02', 'launched_at', datetime.datetime(2026, 1, 2)),
        ('changes-since=2026-01-02T00:00:00Z', 'deleted', None),
        ('changes-since=2026-01-02T02:00:00%2B01:00', 'changes_since', datetime.datetime(2026, 1, 2, 1)),
        ('changes-before=2026-01-02', 'changes_before', datetime.datetime(2026, 1, 2)),
        ('changes-before=2026-01-02', 'deleted', False),
        ('name=a&name=b', 'name', 'b'),
    ],
)  # fmt: skip
def test_filters_of_everybody(door, fake, text, key, value):
    assert filters(door, fake, text)[key] == value


@pytest.mark.parametrize(
    ('text', 'key', 'value'),
    [
        ('host=h', 'host', 'h'),
        ('node=n', 'node', 'n'),
        ('uuid=a&uuid=b', 'uuid', ['a', 'b']),
        ('display_name=x', 'name', 'x'),
        ('description=x', 'description', 'x'),
        ('metadata=%7B%22k%22:%20%22v%22%7D', 'metadata', {'k': 'v'}),
        ('metadata=[%7B%22k%22:1%7D,%7B%22l%22:2%7D]', 'metadata', {'k': '1', 'l': '2'}),
        ('access_ip_v4=1', 'access_ip_v4', '1'),
        ('launch_index=0', 'launch_index', 0),
        ('deleted=true', 'deleted', True),
        ('status=DELETED', 'deleted', True),
    ],
)
def test_filters_of_operators(door, fake, text, key, value):
    assert filters(door, fake, text, user='admin')[key] == value


def test_users_filters_by_operators_words_are_ignored(door, fake):
    assert filters(door, fake, 'host=h&deleted=true&uuid=a&metadata=x') == {
        'project_id': 'demo',
        'deleted': False,
    }


def test_filters_before_their_version_are_ignored(door, fake):
    text = 'tags=a&ip6=f&locked=true&hostname=h&key_name=k&changes-before=2026-01-01'
    assert set(filters(door, fake, text, version='2.1')) == {'project_id', 'deleted'}
    assert 'locked' not in filters(door, fake, 'locked=true', user='admin', version='2.72')


def test_a_status_that_is_none(door, fake):
    assert door.at('2.37').ok('GET', '/servers?status=nonsense') == {'servers': []}
    assert 'list_servers' not in fake.names()
    assert door.refused('GET', '/servers?status=nonsense') == 400
    assert door.refused('GET', '/servers?status=deleted') == 403


def sorting(door, fake, text, user='demo', version='2.104'):
    door.as_user(user).at(version).ok('GET', f'/servers?{text}')
    return query_of(fake).sort_keys, query_of(fake).sort_dirs


def test_sorting(door, fake):
    assert sorting(door, fake, '') == (['created_at'], ['desc'])
    assert sorting(door, fake, 'sort_key=uuid') == (['uuid'], ['desc'])
    assert sorting(door, fake, 'sort_dir=asc') == (['created_at'], ['asc'])
    assert sorting(door, fake, 'sort_key=uuid&sort_key=display_name&sort_dir=asc') == (
        ['uuid', 'display_name'],
        ['asc', 'asc'],
    )
    assert sorting(door, fake, 'sort_key=host&sort_dir=asc', user='admin')[0] == ['host']
    assert sorting(door, fake, 'sort_key=locked')[0] == ['locked']


def test_keys_that_nothing_is_sorted_by(door, fake):
    text = 'sort_key=deleted&sort_key=uuid&sort_dir=asc&sort_dir=desc'
    assert sorting(door, fake, text, version='2.72') == (['uuid'], ['desc'])
    assert sorting(door, fake, 'sort_key=locked', version='2.72') == (['created_at'], ['desc'])
    assert door.refused('GET', '/servers?sort_key=deleted') == 400


@pytest.mark.parametrize(
    ('text', 'status'),
    [
        ('sort_key=host', 403),
        ('sort_key=nonsense', 400),
        ('sort_dir=up', 400),
        ('sort_dir=asc&sort_dir=asc&sort_key=uuid', 400),
        ('name=[', 400),
        ('name=', 400),
        ('unknown=1', 400),
        ('changes-since=yesterday', 400),
        ('changes-since=0001-01-01T00:00:00%2B23:59', 400),
        ('changes-since=2026-02-01&changes-before=2026-01-01', 400),
        ('power_state=on', 400),
        ('config_drive=maybe', 400),
        ('locked=maybe', 400),
        ('name=a%00b', 400),
        ('name=%ff', 400),
    ],
)
def test_mistakes(door, text, status):
    assert door.refused('GET', f'/servers?{text}') == status
    assert door.refused('GET', f'/servers/detail?{text}') == status


@pytest.mark.parametrize('text', ['metadata=%7B', 'metadata=1', 'deleted=x'])
def test_mistakes_of_operators(door, text):
    assert door.as_user('admin').refused('GET', f'/servers?{text}') == 400


def test_before_2_75_unknown_parameters_are_ignored(door):
    assert ids(door.at('2.74').ok('GET', '/servers?unknown=1&_internal=2')) == list('12345')


def test_the_schemas_are_novas():
    operations = reference.operations('servers.ServersController')
    for entry in operations['GET', '/servers/detail', None]['query']:
        ours = server_list.query_schema(int(entry['min_version'].split('.')[1]))
        theirs = entry['schema']
        for side in (ours, theirs):
            side['properties']['sort_key']['items']['enum'].sort()
        assert ours == theirs, entry['min_version']
