"""Consoles: who gets a URL, and how long its token is good."""

import urllib.parse

import pytest
import sqlalchemy as sa

from kilonova.common import exception
from kilonova.common.objects.console import ConsolePlace
from kilonova.conductor.servers.consoles import access_url
from kilonova.db import console_tokens, servers
from kilonova.db.models.servers import InstanceRow

VNC = ('vnc', 'novnc')


def url_of(world, uuid, protocol='vnc', console_type='novnc'):
    return world.conductor.get_console_url(world.new_context(), uuid, protocol, console_type)


def token_of(world, uuid, **wanted):
    return url_of(world, uuid, **wanted).rpartition('%3D' if not wanted else '=')[2]


def access(world, token):
    return world.conductor.get_console_access(world.context, token)


def validate(world, token):
    return world.conductor.validate_console_token(world.context, token)


def rows(world):
    with world.cell_db.reader() as session:
        return session.execute(sa.select(console_tokens.TOKENS)).all()


@pytest.mark.parametrize(
    ('console_type', 'base', 'url'),
    [
        ('novnc', 'http://p:1/vnc.html', 'http://p:1/vnc.html?path=%3Ftoken%3DT'),
        ('novnc', 'http://p/v?a=b', 'http://p/v?a=b&path=%3Ftoken%3DT'),
        ('novnc', 'http://p/v?path=ws', 'http://p/v?path=ws%3Ftoken%3DT'),
        ('novnc', 'http://p/v?path=ws%3Fa%3Db', 'http://p/v?path=ws%3Fa%3Db%26token%3DT'),
        ('spice-html5', 'http://p/s.html', 'http://p/s.html?token=T'),
        ('spice-direct', 'http://p/nova?a=b', 'http://p/nova?a=b&token=T'),
        ('serial', 'ws://p:6083/', 'ws://p:6083/?token=T'),
    ],
)
def test_the_url_with_the_token(console_type, base, url):
    assert access_url(console_type, base, 'T') == url


def test_a_token_stands_for_the_place_of_the_console(world):
    uuid = world.boot()
    url = url_of(world, uuid, 'serial', 'serial')
    assert url.startswith('http://proxy/serial?kept=1&token=')
    token = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))['token']
    for ask in (access, validate):
        found = ask(world, token)
        assert found.instance_uuid == uuid
        assert found.console_type == 'serial'
        assert found.base_url == 'http://proxy/serial?kept=1'
        assert found.place == ConsolePlace(host='h1', port=5900, tls_port=6970)


def test_tokens_differ_and_are_not_kept(world):
    uuid = world.boot()
    tokens = [token_of(world, uuid) for _ in range(3)]
    assert len(set(tokens)) == 3
    assert not [token for token in tokens if token in str(rows(world))]
    assert {access(world, token).instance_uuid for token in tokens} == {uuid}


@pytest.mark.parametrize('token', ['', 'x', '%', "' or 1=1 --"])
def test_what_is_no_token(world, token):
    token_of(world, world.boot())
    for ask in (access, validate):
        with pytest.raises(exception.TokenNotFound):
            ask(world, token)


def test_a_token_expires_and_is_removed(world):
    token = token_of(world, world.boot())
    world.advance(world.conf.consoleauth.token_ttl - 1)
    assert access(world, token)
    world.advance(1)
    with pytest.raises(exception.TokenNotFound):
        access(world, token)
    for chore in world.conductor.engine.chores:
        chore()
    assert rows(world) == []


def test_the_tokens_of_a_deleted_server_go(world):
    uuid, other = world.boot(), world.boot()
    token, kept = token_of(world, uuid), token_of(world, other)
    world.conductor.delete_server(world.new_context(), uuid)
    with pytest.raises(exception.TokenNotFound):
        validate(world, token)  # the deletion has only begun
    world.settle()
    with pytest.raises(exception.TokenNotFound):
        access(world, token)
    for chore in world.conductor.engine.chores:
        chore()
    assert [row.instance_uuid for row in rows(world)] == [other]
    assert validate(world, kept)


def test_a_token_ends_when_the_server_moves(world):
    uuid = world.boot()
    token = token_of(world, uuid)
    with world.cell_db.transaction() as session:
        servers.update(session, uuid, host='h2')
    for ask in (access, validate):
        with pytest.raises(exception.TokenNotFound):
            ask(world, token)


def test_a_proxy_is_not_let_to_a_port_that_another_guest_may_have(world):
    uuid = world.boot()
    token = token_of(world, uuid)
    world.hosts['h1'].console_port = 5901  # stopped and started again
    with pytest.raises(exception.TokenNotFound):
        validate(world, token)
    world.hosts['h1'].guests.clear()  # stopped
    with pytest.raises(exception.TokenNotFound):
        validate(world, token)
    with pytest.raises(exception.InstanceNotReady):
        url_of(world, uuid)


@pytest.mark.parametrize('protocol', ['vnc', 'spice', 'serial', 'mks'])
@pytest.mark.parametrize('task_state', ['deleting', 'migrating'])
def test_states_in_which_there_is_no_console(world, protocol, task_state):
    uuid = world.boot()
    with world.cell_db.transaction() as session:
        servers.update(session, uuid, task_state=task_state)
    with pytest.raises(exception.InstanceInvalidState) as caught:
        url_of(world, uuid, protocol, 'any')
    assert caught.value.message == (
        f"Cannot 'get_{protocol}_console' instance {uuid} while it is in task_state {task_state}"
    )
    assert rows(world) == []


def test_other_states_do_not_matter(world):
    uuid = world.boot()
    for vm_state in ('active', 'error', 'paused', 'rescued'):
        with world.cell_db.transaction() as session:
            session.execute(
                sa.update(InstanceRow).values(vm_state=vm_state, task_state='x', locked=True)
            )
        assert url_of(world, uuid)


def test_a_server_without_a_host(world):
    world.down.update(world.hosts)
    uuid = world.boot()
    with pytest.raises(exception.InstanceNotReady):
        url_of(world, uuid)


def test_a_host_that_is_down(world):
    uuid = world.boot()
    token = token_of(world, uuid)
    world.down.add('h1')
    world.advance(world.conf.service_down_time + 1)
    with pytest.raises(exception.ServiceUnavailable):
        url_of(world, uuid)
    with pytest.raises(exception.ServiceUnavailable):
        validate(world, token)


def test_a_protocol_that_no_host_has(world):
    uuid = world.boot()
    with pytest.raises(exception.ConsoleTypeUnavailable, match='rdp-html5'):
        url_of(world, uuid, 'rdp', 'rdp-html5')
