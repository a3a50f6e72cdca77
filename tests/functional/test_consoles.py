"""Consoles: from the URL that a user gets to what a proxy is told."""

from typing import Any

import pytest

from kilonova.tests.functional.cloud import Cloud

CLOUD = {
    'extra': """
[spice]
enabled = true
[serial_console]
enabled = true
base_url = ws://serial.example.com:6083/
[consoleauth]
token_ttl = 3
"""
}
pytestmark = pytest.mark.usefixtures('clean')


@pytest.fixture
def server(cloud: Cloud, flavor: str, image: str) -> str:
    uuid = cloud.boot(flavor, image)
    cloud.wait_status(uuid, 'ACTIVE')
    return uuid


def ask(cloud: Cloud, uuid: str, protocol: str, kind: str, **more: Any) -> Any:
    body = {'remote_console': {'protocol': protocol, 'type': kind}}
    return cloud.call('POST', f'/servers/{uuid}/remote-consoles', body, version='2.99', **more)


def token_of(answer: Any) -> str:
    assert answer.status == 200, answer.text
    return str(answer.json['remote_console']['url'].replace('%3D', '=').rpartition('=')[2])


def tell(cloud: Cloud, token: str) -> Any:
    return cloud.admin('GET', f'/os-console-auth-tokens/{token}', version='2.99')


@pytest.mark.parametrize(
    ('protocol', 'kind', 'url', 'host'),
    [
        ('vnc', 'novnc', 'http://127.0.0.1:6080/vnc_auto.html?path=', 'fakevncconsole.com'),
        ('spice', 'spice-direct', 'http://127.0.0.1:13002/nova?token=', 'fakespiceconsole.com'),
        ('serial', 'serial', 'ws://serial.example.com:6083/?token=', 'fakeserialconsole.com'),
    ],
)
def test_from_the_url_to_the_place(
    cloud: Cloud, server: str, protocol: str, kind: str, url: str, host: str
) -> None:
    answer = ask(cloud, server, protocol, kind)
    token = token_of(answer)
    assert answer.json['remote_console']['url'].startswith(url)
    told = tell(cloud, token)
    assert told.status == 200
    assert told.json['console']['instance_uuid'] == server
    assert (told.json['console']['host'], told.json['console']['port']) == (host, 6969)


def test_what_is_refused(cloud: Cloud, server: str) -> None:
    assert ask(cloud, server, 'mks', 'webmks').status == 400
    assert ask(cloud, server, 'rdp', 'rdp-html5').status == 400
    assert ask(cloud, server, 'vnc', 'xvpvnc').status == 400
    assert ask(cloud, server, 'vnc', 'novnc', token='other:other').status == 404
    cloud.action(server, **{'os-stop': None})
    cloud.wait_status(server, 'SHUTOFF')
    assert ask(cloud, server, 'vnc', 'novnc').status == 409


def test_a_token_goes_with_its_server_and_with_time(cloud: Cloud, server: str) -> None:
    token = token_of(ask(cloud, server, 'vnc', 'novnc'))
    assert tell(cloud, token).status == 200
    assert cloud.call('DELETE', f'/servers/{server}').status == 204
    cloud.wait_gone(server)
    assert tell(cloud, token).status == 404


def test_one_call_and_constant_statements(cloud: Cloud, server: str) -> None:
    with cloud.counted() as counts:
        token_of(ask(cloud, server, 'vnc', 'novnc'))
    assert counts.rpc == ['call get_server', 'call get_console_url', 'call get_console']
    assert len(counts.sql) <= 6, '\n'.join(counts.sql)
