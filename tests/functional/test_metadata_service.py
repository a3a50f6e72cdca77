"""What guests are told, over HTTP as Neutron's agent asks for it, and on a config drive."""

import base64
import hashlib
import hmac
import json
import pathlib
import socketserver
import subprocess
import threading
import wsgiref.simple_server
from collections.abc import Iterator
from typing import Any

import pytest
import webob

from kilonova.common import rpc
from kilonova.common.context import RequestContext, get_admin_context
from kilonova.compute import config_drive
from kilonova.tests.functional import moves
from kilonova.tests.functional.cloud import Cloud, wait

CLOUD = {
    'extra': """
[api]
metadata_cache_expiration = 0
"""
}
SCRIPT = pathlib.Path(__file__).with_name('cloud_init.py')
USER_DATA = b'#!/bin/sh\necho \xff\n'
pytestmark = pytest.mark.usefixtures('clean')


@pytest.fixture
def server(cloud: Cloud, flavor: str, image: str) -> str:
    network = cloud.neutron.add_network()
    cloud.call('POST', '/os-keypairs', {'keypair': {'name': 'mykey'}})
    uuid = cloud.boot(
        flavor, image, [{'uuid': network}], key_name='mykey', metadata={'role': 'web'},
        user_data=base64.b64encode(USER_DATA).decode(), config_drive=True,
    )  # fmt: skip
    cloud.wait_status(uuid, 'ACTIVE')
    return uuid


class Agent:
    """Neutron's metadata agent of one guest."""

    def __init__(self, cloud: Cloud, uuid: str, project: str = 'demo') -> None:
        self._app = cloud.all.metadata_app
        signature = hmac.new(b'secret', uuid.encode(), hashlib.sha256).hexdigest()
        self.headers = {
            'X-Instance-ID': uuid,
            'X-Tenant-ID': project,
            'X-Instance-ID-Signature': signature,
            'X-Forwarded-For': '10.0.0.5',
        }

    def ask(self, path: str, **headers: str) -> webob.Response:
        request = webob.Request.blank(path)
        request.headers.update(self.headers | headers)
        return request.get_response(self._app)

    def devices(self) -> list[Any]:
        found: list[Any] = self.ask('/openstack/latest/meta_data.json').json['devices']
        return found

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Pass a guest's request on."""
        for name, value in self.headers.items():
            environ['HTTP_' + name.upper().replace('-', '_')] = value
        return self._app(environ, start_response)


@pytest.fixture
def address(cloud: Cloud, server: str) -> Iterator[str]:
    """What the guest has at 169.254.169.254."""

    class Threaded(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
        daemon_threads = True

    service = wsgiref.simple_server.make_server(
        '127.0.0.1', 0, Agent(cloud, server), server_class=Threaded
    )
    threading.Thread(target=service.serve_forever, args=(0.05,), daemon=True).start()
    yield f'http://127.0.0.1:{service.server_port}'
    service.shutdown()
    service.server_close()


def has_cloud_init() -> bool:
    done = subprocess.run(
        ['/usr/bin/python3', '-c', 'import cloudinit.sources'], capture_output=True, check=False
    )
    return done.returncode == 0


def test_cloud_init_reads_both(
    cloud: Cloud, server: str, address: str, tmp_path: pathlib.Path
) -> None:
    if not has_cloud_init():
        pytest.skip('the package cloud-init is not installed')
    known = cloud.all.client.get_server(get_admin_context(), server, expand=['block_devices'])
    personality = [('/etc/motd', base64.b64encode(b'hello').decode())]
    make = config_drive.build(cloud.conf, known, known.network_info, personality, 'pa55')
    files = make(None)
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    done = subprocess.run(
        ['/usr/bin/python3', str(SCRIPT), address, str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    mac = known.network_info[0].address
    for way in ('http', 'drive'):
        meta = read[way]['metadata']
        assert (meta['instance-id'], meta['local-hostname']) == (server, 'test.novalocal')
        assert meta['public_keys'] == {'mykey': known.key_public}
        assert meta['meta'] == {'role': 'web'} and meta['availability_zone'] == 'nova'
        assert base64.b64decode(read[way]['userdata']['base64']) == USER_DATA
        (interface,) = [c for c in read[way]['network_config']['config'] if c['type'] == 'physical']
        assert (interface['mac_address'], interface['name']) == (mac, 'eth0')
        assert read[way]['vendordata'] == {} and read[way]['vendordata2'] == {'static': {}}
        assert read[way]['ec2-metadata']['hostname'] == 'test.novalocal'
    assert read['drive']['metadata']['admin_pass'] == 'pa55'
    assert base64.b64decode(read['drive']['files']['/etc/motd']['base64']) == b'hello'
    assert 'admin_pass' not in read['http']['metadata']


def test_other_guests_and_forgers_get_nothing(cloud: Cloud, server: str) -> None:
    agent = Agent(cloud, server)
    path = '/openstack/latest/user_data'
    assert agent.ask(path).body == USER_DATA
    other = cloud.boot(
        cloud.flavor('m1.other'), cloud.glance.add(), user_data=base64.b64encode(b'o').decode()
    )
    cloud.wait_status(other, 'ACTIVE')
    for headers, status in (
        ({'X-Tenant-ID': 'other'}, 404),
        ({'X-Instance-ID': other}, 403),
        ({'X-Instance-ID-Signature': Agent(cloud, other).headers['X-Instance-ID-Signature']}, 403),
        ({'X-Instance-ID-Signature': ''}, 403),
        ({'X-Instance-ID': ''}, 400),
    ):
        answer = agent.ask(path, **headers)
        assert answer.status_int == status and USER_DATA not in answer.body
        assert answer.body, "Neutron's agent makes a 502 of an error without a body"
    assert Agent(cloud, server, 'mallory').ask(path).status_int == 404


def test_a_deleted_server_is_told_nothing(cloud: Cloud, server: str) -> None:
    agent = Agent(cloud, server)
    assert agent.ask('/latest/meta-data/instance-id').status_int == 200
    assert cloud.call('DELETE', f'/servers/{server}').status == 204
    cloud.wait_gone(server)
    assert agent.ask('/latest/meta-data/instance-id').status_int == 404


def test_what_is_attached_later_has_its_tag(cloud: Cloud, server: str) -> None:
    agent = Agent(cloud, server)
    assert agent.devices() == []
    network = cloud.neutron.add_network()
    body = {'interfaceAttachment': {'net_id': network, 'tag': 'backup'}}
    answer = cloud.call('POST', f'/servers/{server}/os-interface', body, version='2.70')
    assert answer.status == 200, answer.text
    port = answer.json['interfaceAttachment']['port_id']
    volume = cloud.cinder.add_volume()
    body = {'volumeAttachment': {'volumeId': volume, 'tag': 'database'}}
    answer = cloud.call('POST', f'/servers/{server}/os-volume_attachments', body, version='2.70')
    assert answer.status == 200, answer.text
    wait(lambda: len(agent.devices()) == 2, 'both devices are told')
    nic, disk = agent.devices()
    assert (nic['type'], nic['tags']) == ('nic', ['backup'])
    assert (disk['type'], disk['tags'], disk['serial']) == ('disk', ['database'], volume)
    assert disk['path'] == '/dev/vdb'
    # Before them the guest had one port, in the first slot.
    wait(lambda: places(agent) == [('pci', '0000:00:04.0'), ('pci', '0000:00:05.0')], 'places')

    cloud.call('DELETE', f'/servers/{server}/os-interface/{port}')
    cloud.call('DELETE', f'/servers/{server}/os-volume_attachments/{volume}')
    wait(lambda: agent.devices() == [], 'nothing is told of what is detached')


def places(agent: Agent) -> list[tuple[str, str]]:
    return [(device['bus'], device['address']) for device in agent.devices()]


def test_where_the_devices_of_a_new_server_are(cloud: Cloud, flavor: str, image: str) -> None:
    """On its config drive, over HTTP, and once more after it has been started anew."""
    networks = [
        {'uuid': cloud.neutron.add_network()},
        {'uuid': cloud.neutron.add_network(), 'tag': 'dmz'},
    ]
    volume = cloud.cinder.add_volume()
    disks = [
        {'uuid': image, 'source_type': 'image', 'destination_type': 'local', 'boot_index': 0},
        {
            'uuid': volume, 'source_type': 'volume', 'destination_type': 'volume',
            'boot_index': None, 'tag': 'database',
        },
    ]  # fmt: skip
    body = {
        'name': 'test', 'flavorRef': flavor, 'imageRef': image, 'networks': networks,
        'block_device_mapping_v2': disks, 'config_drive': True,
    }  # fmt: skip
    answer = cloud.call('POST', '/servers', {'server': body}, version='2.42')
    assert answer.status == 202, answer.text
    uuid = answer.json['server']['id']
    cloud.wait_status(uuid, 'ACTIVE')
    agent = Agent(cloud, uuid)
    expected = [('pci', '0000:00:04.0'), ('pci', '0000:00:05.0')]
    assert places(agent) == expected
    assert cloud.get(f'/servers/{uuid}')['server']['config_drive'] == 'True'

    (driver,) = [one for one in moves.drivers(cloud).values() if uuid in one.get_power_states()]
    # As if something had been taken from the middle before: the guest is arranged anew.
    guest = driver._get(uuid)
    names = sorted(guest.slots, key=guest.slots.__getitem__)
    guest.slots = {name: slot for slot, name in enumerate(names, 9)}
    expected = [('pci', '0000:00:0a.0'), ('pci', '0000:00:0b.0')]
    cloud.call('POST', f'/servers/{uuid}/action', {'reboot': {'type': 'HARD'}})
    cloud.wait_status(uuid, 'ACTIVE')
    wait(lambda: places(agent) == expected, 'the places are told anew')


def test_a_password_is_kept_for_the_owner(cloud: Cloud, server: str) -> None:
    request = webob.Request.blank('/openstack/latest/password', method='POST', body=b'encrypted')
    request.headers.update(Agent(cloud, server).headers)
    assert request.get_response(cloud.all.metadata_app).status_int == 200
    assert cloud.get(f'/servers/{server}/os-server-password') == {'password': 'encrypted'}
    assert request.get_response(cloud.all.metadata_app).status_int == 409


def test_a_request_is_one_call(cloud: Cloud, server: str) -> None:
    seen: list[str] = []

    def message(kind: str, method: str, context: RequestContext) -> None:
        seen.append(method)

    agent = Agent(cloud, server)
    rpc.Client.observers.append(message)
    try:
        assert agent.ask('/openstack/latest/meta_data.json').status_int == 200
    finally:
        rpc.Client.observers.remove(message)
    assert seen.count('get_server') == 1


def test_who_made_it_is_told_to_vendors(cloud: Cloud, server: str) -> None:
    known = cloud.all.client.get_server(get_admin_context(), server)
    assert 'boot_roles' in known.system_metadata


def test_a_rebuilt_server_gets_a_new_drive(cloud: Cloud, server: str, image: str) -> None:
    body = {'imageRef': image, 'user_data': base64.b64encode(b'new').decode()}
    answer = cloud.call('POST', f'/servers/{server}/action', {'rebuild': body})
    assert answer.status == 202, answer.text
    cloud.wait_status(server, 'ACTIVE')
    assert Agent(cloud, server).ask('/openstack/latest/user_data').body == b'new'
    shown = cloud.get(f'/servers/{server}')['server']
    assert shown['config_drive'] == 'True'
