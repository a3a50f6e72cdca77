"""Hosts that are emptied for maintenance."""

import argparse
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.common import exception
from kilonova.conductor.manage import host as manage
from kilonova.tests.functional.cloud import Answer, Cloud, wait

CLOUD = {
    'hosts': 3,
    'extra': '[fake_driver]\nfail_move = check/*/stuck\n\n[operations]\nlease = 2\n',
}
pytestmark = pytest.mark.usefixtures('clean')


def drain(cloud: Cloud, host: str, **body: Any) -> Answer:
    return cloud.admin('POST', f'/kilonova/hosts/{host}/drain', {'drain': body})


def shown(cloud: Cloud, host: str) -> dict[str, Any]:
    found: dict[str, Any] = cloud.admin('GET', f'/kilonova/hosts/{host}/drain').json['drain']
    return found


@pytest.fixture
def host(cloud: Cloud, flavor: str, image: str) -> Iterator[str]:
    """The host of all the servers that the tests make; usable again afterwards."""
    uuid = cloud.boot(flavor, image)
    name = str(cloud.wait_status(uuid, 'ACTIVE')['OS-EXT-SRV-ATTR:host'])
    cloud.admin('DELETE', f'/servers/{uuid}')
    cloud.wait_gone(uuid)
    yield name
    services = cloud.admin('GET', f'/os-services?host={name}&binary=nova-compute').json
    path = f'/os-services/{services["services"][0]["id"]}'
    cloud.admin('PUT', path, {'status': 'enabled', 'forced_down': False})


def boot(cloud: Cloud, flavor: str, image: str, host: str, **fields: Any) -> str:
    server = {
        'name': 'vm',
        'flavorRef': flavor,
        'imageRef': image,
        'networks': 'none',
        'availability_zone': f'nova:{host}',
        **fields,
    }
    answer = cloud.call('POST', '/servers', {'server': server}, token='admin:demo')
    uuid = str(answer.json['server']['id'])
    cloud.wait_status(uuid, 'ACTIVE')
    return uuid


def act(cloud: Cloud, uuid: str, name: str) -> None:
    assert cloud.admin('POST', f'/servers/{uuid}/action', {name: None}).status == 202


def show(cloud: Cloud, uuid: str) -> dict[str, Any]:
    return dict(cloud.admin('GET', f'/servers/{uuid}').json['server'])


def where(cloud: Cloud, uuid: str) -> str:
    return str(show(cloud, uuid)['OS-EXT-SRV-ATTR:host'])


def ended(cloud: Cloud, host: str) -> dict[str, Any]:
    return dict(
        wait(
            lambda: found if (found := shown(cloud, host))['state'] != 'draining' else None,
            'the end of the drain',
        )
    )


def names(cloud: Cloud) -> set[str]:
    found = cloud.admin('GET', '/os-services?binary=nova-compute').json['services']
    return {str(one['host']) for one in found}


def command(cloud: Cloud, *words: str) -> int:
    """Run nova-manage host drain, on the cloud's bus."""
    parser = argparse.ArgumentParser()
    manage.add_parsers(parser.add_subparsers())
    found = parser.parse_args(['host', 'drain', *words])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('kilonova.common.rpc.get_transport', lambda conf: cloud.transport)
        return int(found.run(cloud.conf, found))


def test_all_leave(cloud: Cloud, flavor: str, image: str, host: str) -> None:
    """Running ones as they run; those that are off are moved, and that is confirmed."""
    running = [boot(cloud, flavor, image, host) for _ in range(2)]
    stopped = boot(cloud, flavor, image, host)
    act(cloud, stopped, 'os-stop')
    cloud.wait_status(stopped, 'SHUTOFF')

    seen = drain(cloud, host, dry_run=True).json['drain']
    assert seen['state'] == ''
    assert {one['target'] for one in seen['servers']} <= names(cloud) - {host}
    assert {one['status'] for one in seen['servers']} == {'waiting'}
    assert {one['id']: one['how'] for one in seen['servers']} == {
        **dict.fromkeys(running, 'live-migration'),
        stopped: 'migration',
    }
    assert cloud.admin('GET', f'/kilonova/hosts/{host}/drain').status == 404

    answer = drain(cloud, host)
    assert (answer.status, answer.json['drain']['state']) == (202, 'draining')
    end = ended(cloud, host)
    assert (end['state'], {one['status'] for one in end['servers']}) == ('drained', {'moved'})
    assert host not in {where(cloud, uuid) for uuid in [*running, stopped]}
    assert show(cloud, stopped)['status'] == 'SHUTOFF'
    service = cloud.admin('GET', f'/os-services?host={host}&binary=nova-compute').json
    assert service['services'][0]['status'] == 'disabled'
    assert service['services'][0]['disabled_reason'] == 'The host is being drained.'


def test_what_stays_is_told(cloud: Cloud, flavor: str, image: str, host: str) -> None:
    stuck = boot(cloud, flavor, image, host, name='stuck')
    paused = boot(cloud, flavor, image, host)
    act(cloud, paused, 'suspend')
    cloud.wait_status(paused, 'SUSPENDED')
    drain(cloud, host)
    end = ended(cloud, host)
    assert end['state'] == 'incomplete'
    told = {one['id']: (one['status'], one['reason']) for one in end['servers']}
    assert told[paused] == ('stays', 'It cannot be moved while it is suspended.')
    assert told[stuck][0] == 'failed'
    assert 'No valid host' in told[stuck][1] or 'Exceeded' in told[stuck][1]
    assert where(cloud, stuck) == host
    assert show(cloud, stuck)['status'] == 'ACTIVE'
    # Again: what has changed meanwhile is tried anew.
    act(cloud, paused, 'resume')
    cloud.wait_status(paused, 'ACTIVE')
    drain(cloud, host)
    assert {one['id']: one['status'] for one in ended(cloud, host)['servers']} == {
        stuck: 'failed',
        paused: 'moved',
    }


def test_nothing_is_tried_when_only_looked_at(
    cloud: Cloud, flavor: str, image: str, host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The scheduler says where to, and why nowhere; nothing changes."""
    uuid = boot(cloud, flavor, image, host)
    paused = boot(cloud, flavor, image, host)
    act(cloud, paused, 'suspend')
    cloud.wait_status(paused, 'SUSPENDED')
    before = cloud.admin('GET', f'/kilonova/hosts/{host}/drain').text
    assert command(cloud, host, '--dry-run') == 1  # one stays
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith('|')]
    rows = {line.split('|')[1].strip(): line for line in table}
    assert any(f' {name} ' in rows[uuid] for name in names(cloud) - {host}), rows
    assert ' live-migration ' in rows[uuid]
    assert 'It cannot be moved while it is suspended.' in rows[paused]

    services = cloud.admin('GET', '/os-services?binary=nova-compute').json['services']
    others = [one for one in services if one['host'] != host]
    for one in others:
        cloud.admin('PUT', f'/os-services/{one["id"]}', {'status': 'disabled'})
    try:
        assert command(cloud, host, '--dry-run') == 1
    finally:
        for one in others:
            cloud.admin('PUT', f'/os-services/{one["id"]}', {'status': 'enabled'})
    line = next(line for line in capsys.readouterr().out.splitlines() if uuid in line)
    assert ' stays ' in line and '2 disabled' in line, line
    assert cloud.admin('GET', f'/kilonova/hosts/{host}/drain').text == before
    assert where(cloud, uuid) == host
    now = cloud.admin('GET', f'/os-services?host={host}&binary=nova-compute').json
    assert now['services'][0]['status'] == 'enabled'


def test_the_command(
    cloud: Cloud, flavor: str, image: str, host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    uuid = boot(cloud, flavor, image, host)
    assert command(cloud, host) == 0
    told = capsys.readouterr()
    assert f'| {uuid} |' in told.out and '| moved' in told.out
    assert '100%  1 of 1 moved' in told.err
    assert where(cloud, uuid) != host
    with pytest.raises(exception.ComputeHostNotFound):
        command(cloud, 'nowhere')


def test_stopped_in_the_middle(
    cloud: Cloud,
    flavor: str,
    image: str,
    host: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What has begun to move arrives, all else stays; the command does not begin it again."""
    both = [boot(cloud, flavor, image, host) for _ in range(2)]
    monkeypatch.setattr('kilonova.conductor.drains.AT_ONCE', 1)
    cloud.conf.set_override('live_migration_delay', 3, 'fake_driver')
    exits: list[int] = []
    running = threading.Thread(target=lambda: exits.append(command(cloud, host)))
    running.start()
    try:
        wait(
            lambda: (
                cloud.admin('GET', f'/kilonova/hosts/{host}/drain').status == 200
                and any(one['status'] == 'moving' for one in shown(cloud, host)['servers'])
            ),
            'one is on its way',
        )
        assert cloud.admin('DELETE', f'/kilonova/hosts/{host}/drain').status == 204
    finally:
        running.join(60)
        cloud.conf.clear_override('live_migration_delay', 'fake_driver')
    assert exits == [1]
    assert 'The drain was stopped' in capsys.readouterr().err
    wait(
        lambda: sorted(where(cloud, uuid) == host for uuid in both) == [False, True],
        'one is elsewhere',
    )
    assert shown(cloud, host)['state'] == 'stopped'
    assert all(cloud.wait_status(uuid, 'ACTIVE')['id'] for uuid in both)


def test_a_host_that_is_down(cloud: Cloud, flavor: str, image: str, host: str) -> None:
    uuid = boot(cloud, flavor, image, host)
    services = cloud.admin('GET', f'/os-services?host={host}&binary=nova-compute').json
    path = f'/os-services/{services["services"][0]["id"]}'
    cloud.admin('PUT', path, {'forced_down': True})
    (one,) = drain(cloud, host).json['drain']['servers']
    assert (one['status'], 'evacuated' in one['reason']) == ('stays', True)
    drain(cloud, host, evacuate=True)
    assert ended(cloud, host)['state'] == 'drained'
    assert where(cloud, uuid) != host


def test_a_drain_is_stopped(cloud: Cloud, host: str) -> None:
    assert cloud.admin('DELETE', f'/kilonova/hosts/{host}/drain').status == 404
    drain(cloud, host)
    assert shown(cloud, host)['state'] == 'drained'


def test_who_may_not_and_what_is_wrong(cloud: Cloud, host: str) -> None:
    for method, body in (('GET', None), ('POST', {'drain': {}}), ('DELETE', None)):
        path = f'/kilonova/hosts/{host}/drain'
        assert cloud.call(method, path, body).status == 403
        assert cloud.admin(method, '/kilonova/hosts/nowhere/drain', body).status == 404
    for bad in ({}, {'drain': None}, {'drain': {'dry_run': 'maybe'}}, {'drain': {'more': 1}}):
        assert cloud.admin('POST', f'/kilonova/hosts/{host}/drain', bad).status == 400
    assert json.loads(cloud.admin('GET', f'/os-services?host={host}').text)['services']
