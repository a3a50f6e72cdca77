"""Every event type that Nova publishes is said by something that a user, an operator or a host does."""

import csv
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kilonova.common.context import get_admin_context
from kilonova.compute import volume_usage
from kilonova.tests.functional import bus, moves
from kilonova.tests.functional.bus import Reader
from kilonova.tests.functional.cloud import Cloud, wait
from kilonova.tests.functional.routes import KEY
from kilonova.tests.unit.api import reference

pytestmark = [reference.needed, pytest.mark.usefixtures('clean')]

MORE = """
notify_on_state_change = vm_and_task_state
[DEFAULT]
compute_monitors = cpu.virt_driver
volume_usage_poll_interval = 3600
shelved_offload_time = -1
[fake_driver]
fail_spawn = */bad
fail_power = */weak
fail_attach = */weak
fail_attach_volume = */weak
fail_move = leave/*/stuck, migrate/*/stuck
"""
CLOUD: dict[str, Any] = {'hosts': 2, 'extra': bus.CONF + MORE}

# The fake driver has no libvirt; tests/unit/compute/test_notices.py shows it.
ELSEWHERE = {'libvirt.connect.error'}


@pytest.fixture(scope='module')
def told(cloud: Cloud) -> Iterator[Reader]:
    reader = Reader(cloud.conf, 'versioned_notifications')
    yield reader
    reader.close()


class Actor:
    """Does things to servers and waits until they are said."""

    def __init__(self, cloud: Cloud, told: Reader, flavor: str, image: str) -> None:
        self.cloud, self._told, self.flavor, self.image = cloud, told, flavor, image

    def server(self, name: str = 'fine', **fields: Any) -> str:
        uuid = self.cloud.boot(self.flavor, self.image, name=name, **fields)
        self.cloud.wait_status(uuid, 'ACTIVE')
        return uuid

    def act(self, uuid: str, status: str, *said: str, **action: Any) -> None:
        """Send one action; wait for its end and for what is said of it."""
        answer = self.cloud.admin('POST', f'/servers/{uuid}/action', action, version='2.92')
        assert answer.status in (200, 202, 204), answer.text
        self.hear(*said, about=uuid)
        self.cloud.wait_status(uuid, status)

    def hear(self, *types: str, about: str | None = None) -> None:
        def heard() -> bool:
            known = {n.type for n in self._told.notes if about is None or about in str(n.payload)}
            return set(types) <= known

        wait(heard, f'{types} about {about}', 20)

    def ask(self, method: str, path: str, body: Any = None, version: str = '2.97') -> Any:
        answer = self.cloud.admin(method, path, body, version=version)
        assert answer.status < 300, answer.text
        return answer.json if answer.text else None


@pytest.fixture
def actor(cloud: Cloud, told: Reader, flavor: str, image: str) -> Actor:
    return Actor(cloud, told, flavor, image)


def test_power_and_the_like(actor: Actor) -> None:
    uuid = actor.server()
    actor.act(uuid, 'SHUTOFF', 'instance.power_off.end', **{'os-stop': None})
    actor.act(uuid, 'ACTIVE', 'instance.power_on.end', **{'os-start': None})
    actor.act(uuid, 'ACTIVE', 'instance.reboot.end', reboot={'type': 'HARD'})
    actor.act(uuid, 'PAUSED', 'instance.pause.end', pause=None)
    actor.act(uuid, 'ACTIVE', 'instance.unpause.end', unpause=None)
    actor.act(uuid, 'SUSPENDED', 'instance.suspend.end', suspend=None)
    actor.act(uuid, 'ACTIVE', 'instance.resume.end', resume=None)
    actor.act(uuid, 'RESCUE', 'instance.rescue.end', rescue={})
    actor.act(uuid, 'ACTIVE', 'instance.unrescue.end', unrescue=None)
    actor.act(uuid, 'ACTIVE', 'instance.trigger_crash_dump.end', trigger_crash_dump=None)
    actor.act(uuid, 'ACTIVE', 'instance.lock', lock=None)
    actor.act(uuid, 'ACTIVE', 'instance.unlock', unlock=None)
    actor.act(uuid, 'ACTIVE', 'instance.snapshot.end', createImage={'name': 'i'})
    actor.act(uuid, 'ACTIVE', 'instance.rebuild.end', rebuild={'imageRef': actor.image})
    answer = actor.cloud.action(uuid, rebuild={'imageRef': actor.image, 'name': 'bad'})
    assert answer.status == 202
    actor.hear('instance.rebuild.error', about=uuid)
    actor.cloud.wait_status(uuid, 'ERROR')
    weak = actor.server('weak')
    actor.act(weak, 'ACTIVE', 'instance.reboot.error', reboot={'type': 'HARD'})


def test_deletions(actor: Actor) -> None:
    conf = actor.cloud.conf
    uuid = actor.server()
    conf.set_override('reclaim_instance_interval', 3600)
    try:
        actor.ask('DELETE', f'/servers/{uuid}')
        actor.hear('instance.soft_delete.end', about=uuid)
        actor.act(uuid, 'ACTIVE', 'instance.restore.end', restore=None)
    finally:
        conf.clear_override('reclaim_instance_interval')
    actor.ask('DELETE', f'/servers/{uuid}')
    actor.hear('instance.delete.end', 'instance.shutdown.end', about=uuid)


def test_moves(actor: Actor) -> None:
    uuid, larger = actor.server(), actor.cloud.flavor('larger', ram=1024)
    actor.act(uuid, 'VERIFY_RESIZE', 'instance.resize_finish.end', resize={'flavorRef': larger})
    actor.act(uuid, 'ACTIVE', 'instance.resize_revert.end', revertResize=None)
    actor.act(uuid, 'VERIFY_RESIZE', 'instance.resize.end', migrate=None)
    actor.act(uuid, 'ACTIVE', 'instance.resize_confirm.end', confirmResize=None)
    actor.act(uuid, 'SHELVED', 'instance.shelve.end', shelve=None)
    actor.act(uuid, 'SHELVED_OFFLOADED', 'instance.shelve_offload.end', shelveOffload=None)
    actor.act(uuid, 'ACTIVE', 'instance.unshelve.end', unshelve=None)
    stuck = actor.server('stuck')
    live: Any = {'os-migrateLive': {'host': None, 'block_migration': 'auto'}}
    actor.act(stuck, 'ACTIVE', 'instance.live_migration_rollback.end',
              'instance.live_migration_rollback_dest.end', **live)  # fmt: skip
    answer = actor.cloud.action(stuck, resize={'flavorRef': larger})
    assert answer.status == 202
    actor.hear('instance.resize.error', about=stuck)
    actor.cloud.wait_status(stuck, 'ERROR', 'ACTIVE')


@pytest.mark.parametrize('end', ['abort', 'force_complete'])
def test_live_moves(actor: Actor, end: str) -> None:
    conf, uuid = actor.cloud.conf, actor.server()
    conf.set_override('live_migration_delay', 60, 'fake_driver')
    try:
        body = {'os-migrateLive': {'host': None, 'block_migration': 'auto'}}
        actor.ask('POST', f'/servers/{uuid}/action', body)
        path = f'/servers/{uuid}/migrations'
        running: Callable[[], Any] = lambda: [  # noqa: E731
            m for m in actor.ask('GET', path)['migrations'] if m['status'] == 'running'
        ]
        [found] = wait(running, 'it is migrating')
        if end == 'abort':
            actor.ask('DELETE', f'{path}/{found["id"]}')
        else:
            actor.ask('POST', f'{path}/{found["id"]}/action', {'force_complete': None})
        actor.hear(f'instance.live_migration_{end}.end', about=uuid)
        actor.cloud.wait_status(uuid, 'ACTIVE')
    finally:
        conf.clear_override('live_migration_delay', 'fake_driver')


def test_a_dead_host(actor: Actor) -> None:
    uuid = actor.server()
    host = moves.host_of(actor.cloud, uuid)
    services = actor.ask('GET', '/os-services?binary=nova-compute')['services']
    [path] = [f'/os-services/{one["id"]}' for one in services if one['host'] == host]
    actor.ask('PUT', path, {'forced_down': True})
    try:
        actor.act(uuid, 'ACTIVE', 'instance.evacuate', evacuate={})
    finally:
        actor.ask('PUT', path, {'forced_down': False})


def test_nowhere_to_go(actor: Actor) -> None:
    vast = actor.cloud.flavor('vast', disk=9_000_000)
    uuid = actor.cloud.boot(vast, actor.image)
    actor.hear('compute_task.build_instances.error', about=uuid)
    uuid = actor.server()
    actor.cloud.action(uuid, resize={'flavorRef': vast})
    actor.hear('compute_task.migrate_server.error', about=uuid)
    services = actor.ask('GET', '/os-services?binary=nova-compute')['services']
    for down in (True, False):
        for one in services:
            actor.ask('PUT', f'/os-services/{one["id"]}', {'forced_down': down})
        if down:
            actor.cloud.admin('POST', f'/servers/{uuid}/action', {'evacuate': {}})
            actor.hear('compute_task.rebuild_server.error', about=uuid)


def test_devices(actor: Actor) -> None:
    cinder, uuid, weak = actor.cloud.cinder, actor.server(), actor.server('weak')
    volume, other = cinder.add_volume(), cinder.add_volume()
    path = f'/servers/{uuid}/os-volume_attachments'
    actor.ask('POST', path, {'volumeAttachment': {'volumeId': volume}})
    actor.hear('instance.volume_attach.end', about=uuid)
    for one in actor.cloud.all.computes.computes:
        volume_usage.report_all(one.host)
        one._update_inventory()
    actor.hear('volume.usage', about=volume)
    actor.hear('metrics.update')
    actor.ask('PUT', f'{path}/{volume}', {'volumeAttachment': {'volumeId': other}}, version='2.1')
    actor.hear('instance.volume_swap.end', about=uuid)
    cinder.break_with(500, 'PUT .*/attachments/')
    actor.ask('PUT', f'{path}/{other}', {'volumeAttachment': {'volumeId': volume}}, version='2.1')
    actor.hear('instance.volume_swap.error', about=uuid)
    cinder.mend()
    wait(lambda: cinder.status(other) == 'in-use', 'the old one stays')
    actor.ask('DELETE', f'{path}/{other}')
    actor.hear('instance.volume_detach.end', about=uuid)
    body = {'volumeAttachment': {'volumeId': volume}}
    wait(lambda: cinder.status(volume) == 'available', 'it is free')
    actor.ask('POST', f'/servers/{weak}/os-volume_attachments', body)
    actor.hear('instance.volume_attach.error', 'compute.exception', about=None)


def test_ports(actor: Actor) -> None:
    network = actor.cloud.neutron.add_network()
    uuid, weak = actor.server(), actor.server('weak')
    body = {'interfaceAttachment': {'net_id': network}}
    made = actor.ask('POST', f'/servers/{uuid}/os-interface', body)['interfaceAttachment']
    actor.hear('instance.interface_attach.end', about=uuid)
    actor.ask('DELETE', f'/servers/{uuid}/os-interface/{made["port_id"]}')
    actor.hear('instance.interface_detach.end', about=uuid)
    actor.cloud.admin('POST', f'/servers/{weak}/os-interface', body)
    actor.hear('instance.interface_attach.error', about=weak)


def test_shares(actor: Actor) -> None:
    uuid, manila = actor.server(), actor.cloud.manila
    actor.act(uuid, 'SHUTOFF', **{'os-stop': None})
    path, share = f'/servers/{uuid}/shares', manila.add()
    actor.ask('POST', path, {'share': {'share_id': share}})
    actor.hear('instance.share_attach.end', about=uuid)
    manila.break_with(500, '.*/action')
    actor.ask('DELETE', f'{path}/{share}')
    actor.hear('instance.share_detach.error', about=uuid)
    other = manila.add()
    actor.ask('POST', path, {'share': {'share_id': other}})
    actor.hear('instance.share_attach.error', about=uuid)
    manila.mend()
    actor.ask('DELETE', f'{path}/{share}')
    actor.hear('instance.share_detach.end', about=uuid)


def test_resources(actor: Actor) -> None:
    for body in ({'name': 'k', 'type': 'ssh', 'public_key': KEY}, {'name': 'm'}):
        version = '2.97' if 'type' in body else '2.90'
        actor.ask('POST', '/os-keypairs', {'keypair': body}, version=version)
        actor.ask('DELETE', f'/os-keypairs/{body["name"]}')
    made = actor.ask('POST', '/os-aggregates', {'aggregate': {'name': 'a'}})['aggregate']
    path = f'/os-aggregates/{made["id"]}'
    host = {'host': 'controller-1'}
    actor.ask('POST', f'{path}/action', {'add_host': host})
    actor.ask('POST', f'{path}/images', {'cache': [{'id': actor.image}]})
    actor.hear('aggregate.cache_images.progress')
    actor.ask('POST', f'{path}/action', {'set_metadata': {'metadata': {'a': 'b'}}})
    actor.ask('POST', f'{path}/action', {'remove_host': host})
    actor.ask('PUT', path, {'aggregate': {'name': 'b'}})
    actor.ask('DELETE', path)
    flavor = actor.cloud.flavor('told')
    actor.ask('PUT', f'/flavors/{flavor}', {'flavor': {'description': 'x'}})
    actor.ask('DELETE', f'/flavors/{flavor}')
    group = {'server_group': {'name': 'g', 'policy': 'affinity'}}
    group_id = actor.cloud.call('POST', '/os-server-groups', group).json['server_group']['id']
    body = {'name': 'x', 'flavorRef': actor.flavor, 'imageRef': actor.image, 'networks': 'none'}
    hints = {'server': body, 'os:scheduler_hints': {'group': group_id}}
    uuid = actor.cloud.call('POST', '/servers', hints).json['server']['id']
    actor.cloud.wait_status(uuid, 'ACTIVE')
    actor.cloud.call('PUT', f'/servers/{uuid}', {'server': {'name': 'renamed'}})
    actor.cloud.call('DELETE', f'/os-server-groups/{group_id}')
    client = actor.cloud.all.client
    client.service_started(get_admin_context(), 'ghost', 'nova-scheduler', 'scheduler', 1)
    [ghost] = actor.ask('GET', '/os-services?host=ghost')['services']
    actor.ask('DELETE', f'/os-services/{ghost["id"]}')
    bad = actor.cloud.boot(actor.flavor, actor.image, name='bad')
    actor.hear('instance.create.error', about=bad)


def test_who_exists(actor: Actor) -> None:
    conf = actor.cloud.conf
    uuid = actor.server()
    conf.set_override('instance_usage_audit_period', 'hour')
    try:
        endpoints: list[Any] = actor.cloud.all.conductor.fleet.own.endpoints
        [usage] = [one for one in endpoints if hasattr(one, 'audit_usage')]
        start, end = usage._period()
        host = moves.host_of(actor.cloud, uuid)
        usage._say_who_exists(host, start, end + 2 * (end - start))
        actor.hear('instance.exists', about=uuid)
    finally:
        conf.clear_override('instance_usage_audit_period')


def test_nothing_that_is_published_is_missing(told: Reader) -> None:
    """To be run after all of the others."""
    with reference.file('notifications.csv').open(newline='') as file:
        published = {row['event_type'] for row in csv.DictReader(file)}
    missing: Callable[[], set[str]] = lambda: (  # noqa: E731
        published - ELSEWHERE - {note.type for note in told.notes}
    )
    wait(lambda: not missing(), f'{sorted(missing())} is said', 5)
    assert {note.type for note in told.notes} <= published
