"""URLs of consoles, and what their tokens stand for."""

from typing import Any

import pytest

from kilonova.common import exception
from kilonova.common.objects.console import ConsoleAccess, ConsolePlace
from kilonova.tests.unit.api.fake_servers import FakeServers, make_server
from kilonova.tests.unit.api.frontdoor import Door
from kilonova.tests.unit.api.reference import sample

ID, OTHERS = make_server(1).uuid, make_server(2).uuid
ACTION = f'/servers/{ID}/action'
CONSOLES = f'/servers/{ID}/remote-consoles'
TOKENS = '/os-console-auth-tokens'
URL = 'http://proxy/?token=t'
KINDS = {
    'os-getVNCConsole': ('vnc', 'novnc'),
    'os-getSPICEConsole': ('spice', 'spice-html5'),
    'os-getSerialConsole': ('serial', 'serial'),
}


class Conductor(FakeServers):
    """Every server has every console; ``error`` is raised instead."""

    def __init__(self) -> None:
        super().__init__(make_server(1), make_server(2, project_id='other'))
        self.error: Exception | None = None

    def get_console_url(self, context: Any, uuid: str, protocol: str, console_type: str) -> str:
        self.calls.append(('get_console_url', (uuid, protocol, console_type)))
        if self.error:
            raise self.error
        return URL

    def get_console_access(self, context: Any, token: str) -> ConsoleAccess:
        if token != 't':
            raise exception.TokenNotFound
        place = ConsolePlace(host='fakespiceconsole.com', port=6969, tls_port=6970)
        return ConsoleAccess(
            instance_uuid=ID, console_type='spice-direct', place=place, base_url='http://proxy/'
        )


@pytest.fixture
def conductor() -> Conductor:
    return Conductor()


@pytest.fixture
def door(conductor: Conductor) -> Door:
    return Door.open(conductor)


@pytest.mark.parametrize('version', ['2.1', '2.5'])
@pytest.mark.parametrize('action', KINDS)
def test_actions(door: Door, conductor: Conductor, version: str, action: str) -> None:
    protocol, console_type = KINDS[action]
    body = {action: {'type': console_type}}
    found = door.at(version).ok('POST', ACTION, body)
    assert found == {'console': {'type': console_type, 'url': URL}}
    assert conductor.calls[-1] == ('get_console_url', (ID, protocol, console_type))
    assert door.at('2.6').refused('POST', ACTION, body) == 404


def test_rdp_is_gone(door: Door) -> None:
    body = {'os-getRDPConsole': {'type': 'rdp-html5'}}
    assert door.at('2.5').refused('POST', ACTION, body) == 400
    assert door.at('2.6').refused('POST', ACTION, body) == 404


@pytest.mark.parametrize(
    ('since', 'protocol', 'console_type'),
    [
        ('2.6', 'vnc', 'novnc'),
        ('2.6', 'serial', 'serial'),
        ('2.6', 'spice', 'spice-html5'),
        ('2.6', 'rdp', 'rdp-html5'),
        ('2.8', 'mks', 'webmks'),
        ('2.99', 'spice', 'spice-direct'),
    ],
)
def test_create(
    door: Door, conductor: Conductor, since: str, protocol: str, console_type: str
) -> None:
    wanted = {'protocol': protocol, 'type': console_type}
    for version in (since, '2.104'):
        found = door.at(version).ok('POST', CONSOLES, {'remote_console': wanted})
        assert found == {'remote_console': {**wanted, 'url': URL}}
        assert conductor.names() == ['get_server', 'get_console_url']
        conductor.calls.clear()
    before = {'2.6': '2.5', '2.8': '2.7', '2.99': '2.98'}[since]
    status = 404 if since == '2.6' else 400
    assert door.at(before).refused('POST', CONSOLES, {'remote_console': wanted}) == status
    assert conductor.calls == []


@pytest.mark.parametrize(
    'body',
    [
        {},
        {'remote_console': None},
        {'remote_console': {}},
        {'remote_console': {'protocol': 'vnc'}},
        {'remote_console': {'type': 'novnc'}},
        {'remote_console': {'protocol': 'vnc', 'type': 'telnet'}},
        {'remote_console': {'protocol': 'vnc', 'type': 'novnc', 'url': 'x'}},
    ],
)
def test_bodies_that_are_refused(door: Door, conductor: Conductor, body: Any) -> None:
    assert door.at('2.104').refused('POST', CONSOLES, body) == 400
    assert conductor.calls == []


@pytest.mark.parametrize(
    ('error', 'status', 'words'),
    [
        (exception.ConsoleTypeUnavailable(console_type='novnc'), 400, 'Unavailable console type'),
        (exception.ConsoleTypeInvalid(console_type='novnc'), 400, 'Invalid console type novnc'),
        (exception.InstanceNotReady(instance_id=ID), 409, f'Instance {ID} is not ready'),
        (
            exception.InstanceInvalidState(
                method='get_vnc_console', instance_uuid=ID, attr='task_state', state='deleting'
            ),
            409,
            f"Cannot 'get_vnc_console' instance {ID} while it is in task_state deleting",
        ),
        (exception.NotSupported(feature='VNC consoles'), 501, 'VNC consoles'),
        (exception.InstanceNotFound(instance_id=ID), 404, 'could not be found'),
    ],
)
def test_errors(
    door: Door, conductor: Conductor, error: Exception, status: int, words: str
) -> None:
    conductor.error = error
    body = {'remote_console': {'protocol': 'vnc', 'type': 'novnc'}}
    answer = door.at('2.104').request('POST', CONSOLES, body)
    assert answer.status_int == status and words in answer.text
    answer = door.request('POST', ACTION, {'os-getVNCConsole': {'type': 'novnc'}})
    assert answer.status_int == status and words in answer.text


def test_another_projects_server(door: Door, conductor: Conductor) -> None:
    body = {'remote_console': {'protocol': 'vnc', 'type': 'novnc'}}
    path = f'/servers/{OTHERS}/remote-consoles'
    assert door.at('2.104').refused('POST', path, body) == 404
    assert 'get_console_url' not in conductor.names()


# -- tokens


def test_tokens_are_for_administrators(door: Door) -> None:
    assert door.at('2.104').refused('GET', f'{TOKENS}/t') == 403


def test_what_a_token_stands_for(door: Door) -> None:
    admin = door.as_user('admin')
    console = {
        'instance_uuid': ID,
        'host': 'fakespiceconsole.com',
        'port': 6969,
        'internal_access_path': None,
    }
    for version in ('2.31', '2.98'):
        assert admin.at(version).ok('GET', f'{TOKENS}/t') == {'console': console}
    for version in ('2.99', '2.104'):
        found = admin.at(version).ok('GET', f'{TOKENS}/t')
        assert found == {'console': {**console, 'tls_port': 6970}}
    for version in ('2.1', '2.30'):
        for client in (admin, door):
            assert client.at(version).refused('GET', f'{TOKENS}/t') == 400


@pytest.mark.parametrize('version', ['2.31', '2.104'])
def test_no_such_token(door: Door, version: str) -> None:
    answer = door.as_user('admin').at(version).request('GET', f'{TOKENS}/unknown')
    assert answer.status_int == 404 and 'Token not found' in answer.text


def test_query_parameters(door: Door) -> None:
    admin = door.as_user('admin')
    assert admin.at('2.98').request('GET', f'{TOKENS}/t?a=b').status_int == 200
    assert admin.at('2.99').refused('GET', f'{TOKENS}/t?a=b') == 400


def test_the_published_example(door: Door) -> None:
    found = door.as_user('admin').at('2.99').ok('GET', f'{TOKENS}/t')
    example = sample('os-console-auth-tokens/v2.99/get-console-connect-info-get-resp.json')
    assert found['console'] == {**example['console'], 'instance_uuid': ID}
