"""Everything that is done with one server."""

import pytest

from kilonova.common.objects.server import Server
from kilonova.tests.unit.api import reference
from kilonova.tests.unit.api.fake_servers import FakeServers, make_server, make_vif
from kilonova.tests.unit.api.frontdoor import Door

ID = make_server(1).uuid
URL = f'/servers/{ID}'
ACTION = f'{URL}/action'
TAGS = f'{URL}/tags'
META = f'{URL}/metadata'
EVENTS = f'{URL}/os-instance-actions'


@pytest.fixture
def fake():
    return FakeServers(make_server(1, metadata={'k': 'v'}, tags=['a']))


@pytest.fixture
def door(fake):
    return Door.open(fake).at('2.104')


def state(fake) -> Server:
    return fake.servers[ID]


# -- isolation

EVERYTHING = [
    ('GET', URL, None),
    ('PUT', URL, {'server': {'name': 'n'}}),
    ('DELETE', URL, None),
    ('POST', ACTION, {'os-start': None}),
    ('POST', ACTION, {'os-stop': None}),
    ('POST', ACTION, {'reboot': {'type': 'HARD'}}),
    ('POST', ACTION, {'forceDelete': None}),
    ('POST', ACTION, {'os-getConsoleOutput': {}}),
    ('GET', f'{URL}/ips', None),
    ('GET', f'{URL}/ips/private', None),
    ('GET', META, None),
    ('POST', META, {'metadata': {}}),
    ('PUT', META, {'metadata': {}}),
    ('GET', f'{META}/k', None),
    ('PUT', f'{META}/k', {'meta': {'k': 'v'}}),
    ('DELETE', f'{META}/k', None),
    ('GET', TAGS, None),
    ('PUT', TAGS, {'tags': []}),
    ('DELETE', TAGS, None),
    ('GET', f'{TAGS}/a', None),
    ('PUT', f'{TAGS}/a', None),
    ('DELETE', f'{TAGS}/a', None),
    ('GET', f'{URL}/os-server-password', None),
    ('DELETE', f'{URL}/os-server-password', None),
    ('GET', EVENTS, None),
    ('GET', f'{EVENTS}/req-0', None),
]


@pytest.mark.parametrize(('method', 'path', 'body'), EVERYTHING)
def test_foreign_unknown_and_impossible_servers_are_not_found(door, fake, method, path, body):
    fake.add_actions(ID, 1)
    stranger = door.as_user('stranger')
    assert stranger.refused(method, path, body) == 404
    for other in ('11111111-2222-3333-4444-555555555555', 'x', '%27%3B--', '1' * 300):
        assert door.refused(method, path.replace(ID, other), body) == 404
    assert state(fake) == make_server(1, metadata={'k': 'v'}, tags=['a'])


# -- update and delete


def test_update_changes_what_is_named(door, fake):
    body = {
        'name': 'new', 'description': ' text ', 'hostname': 'h.example.com',
        'accessIPv4': '1.2.3.4', 'accessIPv6': '::1', 'OS-DCF:diskConfig': 'MANUAL',
    }  # fmt: skip
    shown = door.ok('PUT', URL, {'server': body})['server']
    assert (shown['name'], shown['description']) == ('new', 'text')
    assert shown['OS-EXT-SRV-ATTR:hostname'] == 'h.example.com'
    assert shown['accessIPv4'] == '1.2.3.4' and shown['OS-DCF:diskConfig'] == 'MANUAL'
    changes = dict(fake.calls)['update_server']
    assert changes['auto_disk_config'] is False and changes['access_ip_v6'] == '::1'


def test_an_empty_update_changes_nothing(door, fake):
    door.ok('PUT', URL, {'server': {}})
    assert ('update_server', {}) in fake.calls


def test_pinning_needs_no_move(door, fake):
    assert door.ok('PUT', URL, {'server': {'pinned_availability_zone': 'nova'}})
    assert state(fake).requested_zone == 'nova'
    assert door.ok('PUT', URL, {'server': {'pinned_availability_zone': None}})
    assert state(fake).requested_zone is None
    assert door.refused('PUT', URL, {'server': {'pinned_availability_zone': 'other'}}) == 409


@pytest.mark.parametrize(
    'values',
    [
        {'name': ''},
        {'name': 'x' * 256},
        {'name': None},
        {'name': 'a\0'},
        {'description': 5},
        {'hostname': 'a b'},
        {'accessIPv4': 'x'},
        {'OS-DCF:diskConfig': 'x'},
        {'flavorRef': '1'},
    ],
    ids=str,
)
def test_update_mistakes(door, fake, values):
    assert door.refused('PUT', URL, {'server': values}) == 400
    assert 'update_server' not in fake.names()


def test_update_bodies_that_are_none(door):
    for body in ({}, {'server': None}, {'server': {}, 'x': 1}, []):
        assert door.refused('PUT', URL, body) == 400
    assert door.at('2.18').refused('PUT', URL, {'server': {'description': 'x'}}) == 400
    assert door.at('2.89').refused('PUT', URL, {'server': {'hostname': 'abc'}}) == 400
    assert (
        door.at('2.103').refused('PUT', URL, {'server': {'pinned_availability_zone': None}}) == 400
    )


def test_delete(door, fake):
    assert door.request('DELETE', URL).status_int == 204
    assert dict(fake.calls)['delete_server'] is False
    assert door.refused('GET', URL) == 404


def test_force_delete(door, fake):
    door.ok('POST', ACTION, {'forceDelete': None}, 202)
    assert dict(fake.calls)['delete_server'] is True


# -- power


def test_stop_and_start(door, fake):
    assert door.refused('POST', ACTION, {'os-start': None}) == 409
    door.ok('POST', ACTION, {'os-stop': None}, 202)
    assert state(fake).task_state == 'powering-off'
    state(fake).vm_state = 'stopped'
    door.ok('POST', ACTION, {'os-start': {}}, 202)
    assert state(fake).task_state == 'powering-on'


@pytest.mark.parametrize(('kind', 'meant'), [('soft', 'SOFT'), ('Hard', 'HARD')])
def test_reboot(door, fake, kind, meant):
    door.ok('POST', ACTION, {'reboot': {'type': kind}}, 202)
    assert dict(fake.calls)['reboot_kind'] == meant


@pytest.mark.parametrize(
    'body',
    [
        {'reboot': {'type': 'medium'}},
        {'reboot': {}},
        {'reboot': None},
        {'reboot': {'type': 'SOFT', 'x': 1}},
        {'os-start': None, 'os-stop': None},
        {'unknown': None},
        {},
        {'os-getConsoleOutput': {'length': 'x'}},
        {'os-getConsoleOutput': {'length': -2}},
        {'os-getConsoleOutput': {'length': True}},
        {'os-getConsoleOutput': None},
    ],
    ids=str,
)
def test_action_mistakes(door, fake, body):
    assert door.refused('POST', ACTION, body) == 400
    assert fake.calls == []


# -- console


@pytest.mark.parametrize(
    ('length', 'asked'),
    [(None, None), (-1, None), ('-1', None), (1, 1), ('1', 1), (2**64, 2**31 - 1)],
)
def test_console_output(door, fake, length, asked):
    body = {'os-getConsoleOutput': {} if length is None else {'length': length}}
    output = door.ok('POST', ACTION, body)['output']
    assert dict(fake.calls)['get_console_output'] == asked
    # Escape sequences would be executed by the terminal that shows them.
    assert output.endswith('line 2[0m\n') and '\x1b' not in output


# -- addresses


def test_addresses_by_network(fake):
    other = make_vif(label='other', fixed_ips=[])
    fake.servers[ID].network_info.append(other)
    door = Door.open(fake)
    private = [
        {'version': 4, 'addr': '10.0.0.5'},
        {'version': 6, 'addr': 'fd00::5'},
        {'version': 4, 'addr': '172.24.4.9'},
    ]
    assert door.ok('GET', f'{URL}/ips') == {'addresses': {'private': private, 'other': []}}
    assert door.ok('GET', f'{URL}/ips/private') == {'private': private}
    assert door.refused('GET', f'{URL}/ips/missing') == 404


# -- metadata


def test_metadata_is_merged_and_replaced(door, fake):
    assert door.ok('GET', META) == {'metadata': {'k': 'v'}}
    merged = {'metadata': {'k': 'v', 'l': 'w'}}
    assert door.ok('POST', META, {'metadata': {'l': 'w'}}) == merged
    assert door.ok('PUT', META, {'metadata': {'m': 'x'}}) == {'metadata': {'m': 'x'}}
    assert door.ok('PUT', f'{META}/n', {'meta': {'n': 'y'}}) == {'meta': {'n': 'y'}}
    assert door.ok('GET', f'{META}/n') == {'meta': {'n': 'y'}}
    assert door.request('DELETE', f'{META}/n').status_int == 204
    assert state(fake).metadata == {'m': 'x'}
    assert door.refused('GET', f'{META}/n') == 404
    assert door.refused('DELETE', f'{META}/n') == 404


@pytest.mark.parametrize(
    ('method', 'path', 'body'),
    [
        ('PUT', f'{META}/k', {'meta': {'other': 'v'}}),
        ('PUT', f'{META}/k', {'meta': {'k': 'v', 'l': 'w'}}),
        ('PUT', f'{META}/k', {'meta': {}}),
        ('POST', META, {'metadata': {'k': 'v' * 256}}),
        ('POST', META, {'metadata': {'k' * 256: 'v'}}),
        ('POST', META, {'metadata': {'k/l': 'v'}}),
        ('POST', META, {'metadata': {'k': 1}}),
        ('POST', META, {'metadata': {'k': None}}),
        ('PUT', META, {'metadata': []}),
        ('PUT', META, {}),
    ],
)
def test_metadata_mistakes(door, fake, method, path, body):
    assert door.refused(method, path, body) == 400
    assert state(fake).metadata == {'k': 'v'}


# -- tags


def test_tags(door, fake):
    assert door.ok('GET', TAGS) == {'tags': ['a']}
    assert door.ok('PUT', TAGS, {'tags': ['x', 'y', 'x']}) == {'tags': ['x', 'y']}
    added = door.request('PUT', f'{TAGS}/z%20z')
    assert added.status_int == 201 and added.body == b''
    assert added.headers['Location'].endswith(f'{TAGS}/z%20z')
    assert door.request('PUT', f'{TAGS}/x').status_int == 204
    assert door.request('GET', f'{TAGS}/x').status_int == 204
    assert door.request('DELETE', f'{TAGS}/x').status_int == 204
    assert door.refused('GET', f'{TAGS}/x') == 404
    assert door.refused('DELETE', f'{TAGS}/x') == 404
    assert door.request('DELETE', TAGS).status_int == 204
    assert state(fake).tags == []


def test_tag_mistakes(door, fake):
    for tags in (['x' * 61], ['a,b'], ['a/b'], [''], [1], 'a', [str(n) for n in range(51)]):
        assert door.refused('PUT', TAGS, {'tags': tags}) == 400
    for tag in ('x' * 61, 'a%2Cb'):
        assert door.refused('PUT', f'{TAGS}/{tag}') == 400
    assert door.at('2.25').refused('GET', TAGS) == 404
    assert state(fake).tags == ['a']


# -- instance actions


@pytest.mark.parametrize('user', ['demo', 'admin'])
@pytest.mark.parametrize(
    'version',
    ['2.1', '2.20', '2.21', '2.50', '2.51', '2.57', '2.58', '2.61', '2.62', '2.65', '2.66', '2.83',
     '2.84', '2.104'],
)  # fmt: skip
def test_actions_fit_novas_schemas(door, fake, user, version):
    fake.add_actions(ID, 2)
    operations = reference.operations('instance_actions.InstanceActionsController')
    path = '/servers/{server_id}/os-instance-actions'
    client = door.as_user(user).at(version)
    for url, key in ((EVENTS, path), (f'{EVENTS}/req-1', path + '/{id}')):
        declared = reference.schema_for(operations['GET', key, None], 'response', version)
        reference.check(client.ok('GET', url), declared)


def test_who_sees_which_events(door, fake):
    fake.add_actions(ID, 1)

    def event(version, user='demo'):
        action = door.as_user(user).at(version).ok('GET', f'{EVENTS}/req-0')['instanceAction']
        return set(action['events'][0]) if 'events' in action else None

    basic = {'event', 'start_time', 'finish_time', 'result'}
    assert event('2.50') is None
    assert event('2.50', 'admin') == basic | {'traceback'}
    assert event('2.51') == basic
    assert event('2.62') == basic | {'hostId'}
    assert event('2.104') == basic | {'hostId'}
    assert event('2.104', 'admin') == basic | {'hostId', 'host', 'traceback', 'details'}


def test_actions_of_deleted_servers_from_2_21(door, fake):
    fake.add_actions(ID, 1)
    state(fake).deleted = True
    assert door.at('2.20').refused('GET', EVENTS) == 404
    assert len(door.at('2.21').ok('GET', EVENTS)['instanceActions']) == 1
    assert door.as_user('stranger').refused('GET', EVENTS) == 404


def test_actions_are_paged_from_2_58(door, fake):
    fake.add_actions(ID, 3)
    first = door.ok('GET', f'{EVENTS}?limit=2')
    assert [a['request_id'] for a in first['instanceActions']] == ['req-0', 'req-1']
    href = f'http://api.example.com/v2.1{EVENTS}?limit=2&marker=req-1'
    assert first['links'] == [{'rel': 'next', 'href': href}]
    assert 'links' not in door.ok('GET', f'{EVENTS}?limit=2&marker=req-1')
    assert len(door.at('2.57').ok('GET', f'{EVENTS}?limit=2')['instanceActions']) == 3


@pytest.mark.parametrize(
    'text',
    [
        'limit=x',
        'limit=1&limit=2',
        'marker=unknown',
        'unknown=1',
        'changes-since=x',
        'changes-since=2026-02-01&changes-before=2026-01-01',
    ],
)
def test_action_list_mistakes(door, fake, text):
    fake.add_actions(ID, 1)
    assert door.refused('GET', f'{EVENTS}?{text}') == 400


def test_an_unknown_action_is_not_found(door):
    assert door.refused('GET', f'{EVENTS}/req-9') == 404


# -- the guest's password


def test_the_password_of_the_guest_is_shown_and_cleared(door, fake):
    url = f'{URL}/os-server-password'
    assert door.get(url).json == {'password': ''}
    fake.servers[ID].system_metadata = {'password_0': 'a' * 255, 'password_1': 'b', 'other': 'c'}
    assert door.get(url).json == {'password': 'a' * 255 + 'b'}
    answer = door.request('DELETE', url)
    assert (answer.status_int, answer.body) == (204, b'')
    assert fake.servers[ID].system_metadata == {'other': 'c'}
    assert door.get(url).json == {'password': ''}
    assert door.get(url + '?a=b').status_int == 400
