"""openstacksdk, on which Horizon, the command line and much automation stand."""

import base64
from typing import Any

import pytest
from openstack import exceptions

from kilonova.tests.functional.clients import Clients
from kilonova.tests.functional.cloud import Cloud, wait
from kilonova.tests.functional.moves import host_of

CLOUD = {'hosts': 2}
pytestmark = pytest.mark.usefixtures('clean')


@pytest.fixture(scope='module')
def demo(clients: Clients) -> Any:
    return clients.sdk('demo')


@pytest.fixture(scope='module')
def admin(clients: Clients) -> Any:
    return clients.sdk('admin')


@pytest.fixture(scope='module')
def network(cloud: Cloud) -> str:
    return cloud.neutron.add_network('private')


@pytest.fixture
def server(demo: Any, flavor: str, image: str, network: str) -> Any:
    made = demo.compute.create_server(
        name='sdk', flavor_id=flavor, image_id=image, networks=[{'uuid': network}], tags=['t'],
        metadata={'a': '1'}, user_data=base64.b64encode(b'#!/bin/sh').decode(),
    )  # fmt: skip
    return demo.compute.wait_for_server(made, interval=0.2, wait=60)


def settle(demo: Any, server: Any, status: str) -> Any:
    return demo.compute.wait_for_server(server, status, interval=0.2, wait=60)


def test_the_version_is_negotiated(clients: Clients, demo: Any) -> None:
    """Without one the client takes for each resource the newest that both know."""
    assert demo.compute.get_endpoint_data().max_microversion == (2, 104)
    assert clients.sdk('demo', '2.1').compute.default_microversion == '2.1'


def test_the_cloud_layer(cloud: Cloud, demo: Any, flavor: str, image: str, network: str) -> None:
    """As Ansible's modules use it."""
    cloud.neutron.add_group('default')
    made = demo.create_server(
        'layered', image=image, flavor=flavor, network='private', wait=True, timeout=60,
        auto_ip=False, terminate_volume=True,
    )  # fmt: skip
    assert made.status == 'ACTIVE' and made.private_v4
    assert demo.get_server('layered').id == made.id
    volume = demo.get_volume(cloud.cinder.add_volume(name='data'))
    demo.attach_volume(made, volume, wait=False)
    wait(lambda: cloud.cinder.status(volume.id) == 'in-use', 'it is attached')
    demo.detach_volume(made, demo.get_volume(volume.id), wait=False)
    wait(lambda: cloud.cinder.status(volume.id) == 'available', 'it is detached')
    assert demo.delete_server('layered', wait=True, timeout=60)
    assert demo.get_server('layered') is None


def test_a_server(demo: Any, server: Any, flavor: str, image: str) -> None:
    compute = demo.compute
    assert (server.status, server.vm_state, server.image.id) == ('ACTIVE', 'active', image)
    assert server.addresses['private'][0]['version'] == 4
    assert compute.find_server('sdk').id == server.id
    compute.update_server(server, name='renamed')
    compute.set_server_metadata(server, b='2')
    compute.delete_server_metadata(compute.get_server(server), ['a'])
    assert compute.get_server_metadata(server).metadata == {'b': '2'}
    compute.add_tag_to_server(server, 'u')
    assert compute.get_server(server).name == 'renamed'
    assert sorted(compute.get_server(server).tags) == ['t', 'u']
    compute.remove_tags_from_server(server)
    assert compute.get_server_console_output(server, length=5)['output']
    console = compute.create_console(server, 'novnc')
    assert 'token' in console['url']
    assert [a.action for a in compute.server_actions(server)][-1] == 'create'
    assert compute.fetch_server_security_groups(server).security_groups is not None
    assert {ip.address for ip in compute.server_ips(server)}
    (interface,) = compute.server_interfaces(server)
    assert interface.port_state == 'ACTIVE'


@pytest.mark.parametrize(
    ('there', 'status', 'back'),
    [
        ('stop_server', 'SHUTOFF', 'start_server'),
        ('pause_server', 'PAUSED', 'unpause_server'),
        ('suspend_server', 'SUSPENDED', 'resume_server'),
        ('rescue_server', 'RESCUE', 'unrescue_server'),
        ('shelve_server', 'SHELVED_OFFLOADED', 'unshelve_server'),
    ],
)
def test_there_and_back(demo: Any, server: Any, there: str, status: str, back: str) -> None:
    getattr(demo.compute, there)(server)
    settle(demo, server, status)
    getattr(demo.compute, back)(server)
    settle(demo, server, 'ACTIVE')


def test_actions(cloud: Cloud, demo: Any, admin: Any, server: Any, image: str) -> None:
    compute = demo.compute
    compute.reboot_server(server, 'HARD')
    settle(demo, server, 'ACTIVE')
    compute.lock_server(server, 'mine')
    compute.unlock_server(server)
    made = compute.create_server_image(server, 'shot', wait=False)
    wait(lambda: cloud.glance.images[made.id]['status'] == 'active', 'the image is there')
    cloud.wait_status(server.id, 'ACTIVE')
    compute.backup_server(server, 'b', 'daily', 1)
    cloud.wait_status(server.id, 'ACTIVE')
    compute.trigger_server_crash_dump(server)
    compute.rebuild_server(server, image, name='rebuilt')
    assert settle(demo, server, 'ACTIVE').name == 'rebuilt'
    compute.change_server_password(server, 'secret1')
    cloud.wait_status(server.id, 'ACTIVE')
    admin.compute.reset_server_state(server, 'error')
    with pytest.raises(exceptions.ResourceFailure):
        settle(demo, compute.get_server(server), 'SHUTOFF')
    admin.compute.reset_server_state(server, 'active')
    assert admin.compute.get_server_diagnostics(server).state == 'running'


def test_moves(cloud: Cloud, demo: Any, admin: Any, server: Any) -> None:
    cloud.flavor('large', vcpus=2)
    large = demo.compute.find_flavor('large')
    demo.compute.resize_server(server, large)
    settle(demo, server, 'VERIFY_RESIZE')
    demo.compute.confirm_server_resize(server)
    assert settle(demo, server, 'ACTIVE').flavor.name == 'large'
    source = host_of(cloud, server.id)
    admin.compute.live_migrate_server(server, host=None, block_migration='auto')
    wait(lambda: host_of(cloud, server.id) != source, 'it has moved')
    cloud.wait_status(server.id, 'ACTIVE')
    found = list(admin.compute.migrations(instance_uuid=server.id))
    assert {one.migration_type for one in found} == {'resize', 'live-migration'}
    assert list(admin.compute.server_migrations(server)) == []


def test_migrations_in_progress(cloud: Cloud, admin: Any, server: Any) -> None:
    cloud.conf.set_override('live_migration_delay', 60, 'fake_driver')
    try:
        admin.compute.live_migrate_server(server, host=None, block_migration='auto')
        (one,) = wait(
            lambda: [m for m in admin.compute.server_migrations(server) if m.status == 'running'],
            'it runs',
        )
        shown = admin.compute.get_server_migration(one.id, server)
        assert (shown.id, shown.status) == (one.id, 'running')
        admin.compute.force_complete_server_migration(one, server)
        cloud.wait_status(server.id, 'ACTIVE')
    finally:
        cloud.conf.clear_override('live_migration_delay', 'fake_driver')


def test_paging(demo: Any, flavor: str, image: str) -> None:
    for number in range(5):
        demo.compute.create_server(
            name=f'p{number}', flavor_id=flavor, image_id=image, networks='none'
        )
    words = {'sort_key': 'display_name', 'sort_dir': 'asc'}
    pages = list(demo.compute.servers(limit=2, **words))
    assert [one.name for one in pages] == [f'p{number}' for number in range(5)]
    (first, *_) = demo.compute.servers(limit=2, paginated=False, **words)
    assert first.name == 'p0'
    assert [one.name for one in demo.compute.servers(details=False, name='p3')] == ['p3']
    assert len(list(demo.compute.flavors(limit=1))) == len(list(demo.compute.flavors()))


def test_volumes_and_interfaces(cloud: Cloud, demo: Any, server: Any, network: str) -> None:
    compute, volume = demo.compute, cloud.cinder.add_volume()
    attached = compute.create_volume_attachment(server, volume=volume, tag='blue')
    assert attached.volume_id == volume
    wait(lambda: cloud.cinder.status(volume) == 'in-use', 'it is attached')
    assert [one.volume_id for one in compute.volume_attachments(server)] == [volume]
    assert compute.get_volume_attachment(server, volume).tag == 'blue'
    compute.delete_volume_attachment(server, volume)
    wait(lambda: list(compute.volume_attachments(server)) == [], 'it is detached')
    made = compute.create_server_interface(server, net_id=network)
    assert len(list(compute.server_interfaces(server))) == 2
    compute.delete_server_interface(made.port_id, server)
    wait(lambda: len(list(compute.server_interfaces(server))) == 1, 'it is detached')


def test_resources(cloud: Cloud, demo: Any, admin: Any) -> None:
    compute = admin.compute
    flavor = compute.create_flavor(name='f', ram=64, vcpus=1, disk=1, is_public=False)
    compute.create_flavor_extra_specs(flavor, {'hw:cpu_policy': 'shared'})
    assert compute.fetch_flavor_extra_specs(flavor).extra_specs == {'hw:cpu_policy': 'shared'}
    compute.flavor_add_tenant_access(flavor, 'demo')
    assert demo.compute.find_flavor('f').id == flavor.id
    compute.delete_flavor(flavor)
    key = demo.compute.create_keypair(name='k', public_key=_KEY)
    assert [one.id for one in demo.compute.keypairs()] == [key.id]
    demo.compute.delete_keypair(key)
    group = demo.compute.create_server_group(name='g', policy='soft-affinity')
    assert demo.compute.get_server_group(group.id).policy == 'soft-affinity'
    demo.compute.delete_server_group(group)
    aggregate = compute.create_aggregate(name='a', availability_zone='east')
    compute.add_host_to_aggregate(aggregate, 'controller-1')
    assert compute.set_aggregate_metadata(aggregate, {'x': '1'}).metadata['x'] == '1'
    compute.remove_host_from_aggregate(aggregate, 'controller-1')
    compute.delete_aggregate(aggregate)
    assert {one.host for one in compute.services(binary='nova-compute')} == {
        'controller-1', 'controller-2'
    }  # fmt: skip
    (service,) = compute.services(host='controller-1', binary='nova-compute')
    compute.disable_service(service, disabled_reason='broken')
    compute.enable_service(service)
    assert {one.state for one in compute.hypervisors(details=True)} == {'up'}
    assert {one.name for one in compute.availability_zones(details=True)} >= {'nova'}
    assert demo.compute.get_limits().absolute.instances == 10
    quota = compute.update_quota_set('demo', instances=5)
    assert quota.instances == 5
    compute.revert_quota_set('demo')
    assert compute.get_quota_set('demo').instances == 10
    assert list(compute.usages()) is not None


def test_errors(demo: Any, flavor: str, image: str) -> None:
    assert demo.compute.find_server('nobody') is None
    with pytest.raises(exceptions.NotFoundException) as missing:
        demo.compute.get_server('00000000-0000-4000-8000-000000000000')
    assert str(missing.value.request_id).startswith('req-')
    with pytest.raises(exceptions.BadRequestException, match='Invalid input for field'):
        demo.compute.create_server(name='x', flavor_id=flavor, image_id=image, networks='nonsense')
    with pytest.raises(exceptions.ForbiddenException):
        list(demo.compute.services())


_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIxsNeWlFSaW6FbJvN9YqFoCMZ6kGMRj3hKGwNLrFpzV someone'
