"""The command ``openstack`` gives servers volumes, ports, addresses, groups and shares."""

from typing import Any

import pytest

from kilonova.tests.functional.clients import Failed, OpenStack
from kilonova.tests.functional.cloud import Cloud, wait

pytestmark = pytest.mark.usefixtures('clean')


@pytest.fixture(scope='module')
def network(cloud: Cloud) -> str:
    return cloud.neutron.add_network('private')


@pytest.fixture
def server(demo: OpenStack, flavor: str, image: str, network: str) -> str:
    made = demo.show(
        'server create', '--flavor', flavor, '--image', image, '--network', 'private', '--wait', 's'
    )
    return str(made['id'])


def ports(cloud: Cloud, server: str) -> list[dict[str, Any]]:
    return [one for one in cloud.neutron.ports.values() if one['device_id'] == server]


def test_volumes(cloud: Cloud, demo: OpenStack, server: str) -> None:
    volume = cloud.cinder.add_volume(name='data')
    added = demo.show(
        'server add volume', server, 'data', '--device', '/dev/vdx', '--tag', 'blue',
        '--enable-delete-on-termination',
    )  # fmt: skip
    assert (added['Volume ID'], added['Tag']) == (volume, 'blue')
    assert added['Delete On Termination'] is True
    wait(lambda: cloud.cinder.status(volume) == 'in-use', 'it is attached')
    (listed,) = demo.show('server volume list', server)
    assert listed['Volume ID'] == volume and listed['Attachment ID']
    demo.run('server volume set', server, 'data', '--preserve-on-termination')
    (listed,) = demo.show('server volume list', server)
    assert listed['Delete On Termination?'] is False
    demo.run('server volume update', server, 'data', '--delete-on-termination')
    (listed,) = demo.show('server volume list', server)
    assert listed['Delete On Termination?'] is True
    shown = demo.show('server show', server)
    assert shown['volumes_attached'] == [{'id': volume, 'delete_on_termination': True}]
    demo.run('server remove volume', server, 'data')
    wait(lambda: cloud.cinder.status(volume) == 'available', 'it is detached')
    wait(lambda: demo.show('server volume list', server) == [], 'it is forgotten')


def test_boot_from_volumes(cloud: Cloud, demo: OpenStack, flavor: str, image: str) -> None:
    root = cloud.cinder.add_volume(name='root', bootable='true', volume_image_metadata={})
    data = cloud.cinder.add_volume(name='more')
    snapshot = cloud.cinder.add_snapshot(cloud.cinder.add_bootable(), name='snap')
    made = demo.show(
        'server create', '--flavor', flavor, '--volume', 'root', '--nic', 'none',
        '--block-device-mapping', 'vdb=more:volume::false', '--wait', 'one',
    )  # fmt: skip
    assert {one['id'] for one in made['volumes_attached']} == {root, data}
    other = demo.show(
        'server create', '--flavor', flavor, '--snapshot', 'snap', '--nic', 'none', '--wait', 'two'
    )
    third = demo.show(
        'server create', '--flavor', flavor, '--image', image, '--boot-from-volume', 1, '--nic',
        'none', '--block-device', 'source_type=blank,destination_type=volume,volume_size=1',
        '--wait', 'three',
    )  # fmt: skip
    (found,) = other['volumes_attached']
    assert cloud.cinder.volumes[found['id']]['snapshot_id'] == snapshot
    assert len(third['volumes_attached']) == 2
    assert third['image'] == 'N/A (booted from volume)'


def test_ports_and_networks(cloud: Cloud, demo: OpenStack, server: str, network: str) -> None:
    (first,) = ports(cloud, server)
    port = cloud.neutron.make_port(network, name='extra')['id']
    demo.run('server add port', server, 'extra', '--tag', 'nic')
    assert {one['id'] for one in ports(cloud, server)} == {first['id'], port}
    demo.run('server remove port', server, 'extra')
    wait(lambda: len(ports(cloud, server)) == 1, 'the port is free')
    cloud.neutron.add_network('second')
    demo.run('server add network', server, 'second')
    assert demo.show('server show', server)['addresses'].keys() == {'private', 'second'}
    demo.run('server remove network', server, 'second')
    wait(lambda: len(ports(cloud, server)) == 1, 'the network is gone')


def test_addresses(cloud: Cloud, demo: OpenStack, server: str, network: str) -> None:
    subnet = cloud.neutron.things['networks'][network]['subnets'][0]
    base = cloud.neutron.things['subnets'][subnet]['cidr'].rsplit('.', 1)[0]
    demo.run('server add fixed ip', server, 'private', '--fixed-ip-address', f'{base}.99')
    assert f'{base}.99' in demo.show('server show', server)['addresses']['private']
    demo.at('2.43').run('server remove fixed ip', server, f'{base}.99')
    wait(
        lambda: f'{base}.99' not in demo.show('server show', server)['addresses']['private'],
        'the address is gone',
    )
    public = cloud.neutron.add_network('public', 'admin', **{'router:external': True})
    floating = cloud.call('POST', '/os-floating-ips', {'pool': 'public'}, version='2.35')
    address = floating.json['floating_ip']['ip']
    demo.run('server add floating ip', server, address)
    (held,) = cloud.neutron.things['floatingips'].values()
    assert held['port_id'] in {one['id'] for one in ports(cloud, server)}
    demo.run('server remove floating ip', server, address)
    assert held['port_id'] is None and held['floating_network_id'] == public


def test_security_groups(cloud: Cloud, demo: OpenStack, server: str) -> None:
    group = cloud.neutron.add_group('web')
    demo.run('server add security group', server, 'web')
    (port,) = ports(cloud, server)
    assert group in port['security_groups']
    assert {'name': 'web'} in demo.show('server show', server)['security_groups']
    demo.run('server remove security group', server, 'web')
    assert group not in port['security_groups']
    with pytest.raises(Failed, match='not associated|404|409'):
        demo.run('server remove security group', server, 'web')


def test_shares(cloud: Cloud, demo: OpenStack, server: str) -> None:
    share = cloud.manila.add()
    demo.run('server stop', server)
    cloud.wait_status(server, 'SHUTOFF')
    new = demo.at('2.97')
    added = new.show('server add share', server, share, '--tag', 'files')
    assert (added['Share ID'], added['Tag']) == (share, 'files')
    wait(lambda: new.show('server share list', server)[0]['Status'] == 'inactive', 'it is ready')
    assert new.show('server share show', server, share)['Share ID'] == share
    new.run('server remove share', server, share)
    wait(lambda: new.show('server share list', server) == [], 'it is gone')
