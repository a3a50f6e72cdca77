"""Building: what is made, what is reported, and that a failure leaves nothing."""

import hashlib
import threading
from collections.abc import Callable
from typing import Any

import pytest
from oslo_context import context as oslo_context

from kilonova.common import exception
from kilonova.common.objects.image import Image
from kilonova.common.objects.network import NetworkRequest, Networks
from kilonova.common.objects.operation import Fence
from kilonova.compute.virt.driver import PowerState
from kilonova.tests.unit.compute.here import CONTEXT, Here, make_server, networks, wait

MakeHere = Callable[..., Here]


def nothing_is_left(here: Here) -> bool:
    return not here.driver.list_guests() and not here.neutron.ports


def test_a_boot_without_networks_is_one_call(here: Here) -> None:
    server = make_server()
    fence = here.build(server)
    report = here.conductor.wait_for('build_finished')
    assert report['fence'] == fence
    assert report['power_state'] == PowerState.RUNNING
    assert report['changes']['root_device_name'] == '/dev/vda'
    assert here.conductor.settle() == ['build_finished']
    assert here.neutron.requests == []
    assert here.driver.list_guests() == [server.uuid]


def test_ports_are_made_bound_and_reported(here: Here) -> None:
    network = here.neutron.add_network()
    group = here.neutron.add_group('web')
    server = make_server(security_groups=['web'])
    wanted = networks(
        NetworkRequest(network_id=network, fixed_ip='10.1.0.99', tag='front'),
        NetworkRequest(network_id=network),
    )
    here.build(server, wanted)
    report = here.conductor.wait_for('build_finished')
    assert here.conductor.settle() == ['server_progress', 'build_finished']
    progress = here.conductor.named('server_progress')[0]
    assert progress['task_state'] == 'spawning'
    assert [vif.id for vif in progress['network_info']] == list(here.neutron.ports)
    first, second = report['network_info']
    assert (first.fixed_ips[0].address, first.tag, first.label) == ('10.1.0.99', 'front', 'private')
    assert second.tag is None and not second.preserve_on_delete
    for port in here.neutron.ports.values():
        assert port['device_id'] == server.uuid
        assert port['device_owner'] == 'compute:nova'
        assert port['binding:host_id'] == 'here'
        assert port['security_groups'] == [group]
        assert port['project_id'] == 'demo'
    sent = [path for method, path in here.neutron.requests if method == 'POST']
    assert sent == ['/v2.0/ports']


def test_a_given_port_is_used_in_its_place(here: Here) -> None:
    network = here.neutron.add_network()
    given = here.neutron.make_port(network)['id']
    wanted = networks(NetworkRequest(network_id=network), NetworkRequest(port_id=given, tag='mine'))
    here.build(make_server(), wanted)
    made, kept = here.conductor.wait_for('build_finished')['network_info']
    assert made.id != given and not made.preserve_on_delete
    assert (kept.id, kept.preserve_on_delete, kept.tag) == (given, True, 'mine')


def test_the_automatic_network_is_asked_for(here: Here) -> None:
    here.neutron.automatic_network = here.neutron.add_network('auto')
    here.build(make_server(), Networks(mode='auto'))
    assert [v.label for v in here.conductor.wait_for('build_finished')['network_info']] == ['auto']


def test_a_config_drive_is_made(here: Here) -> None:
    server = make_server(config_drive=True)
    here.build(server, personality=[('/etc/motd', 'aGVsbG8=')], admin_password='secret')
    assert here.conductor.wait_for('build_finished')['changes']['config_drive'] is True
    files = here.driver._get(server.uuid).config_drive
    assert 'openstack/latest/meta_data.json' in files
    assert 'openstack/content/0000' in files


def test_the_operator_may_force_a_config_drive(make_here: MakeHere) -> None:
    here = make_here(DEFAULT={'force_config_drive': True})
    here.build(make_server())
    assert here.conductor.wait_for('build_finished')['changes']['config_drive'] is True


@pytest.mark.parametrize(
    'option, again', [('fail_spawn', True), ('abort_spawn', False)], ids=['elsewhere', 'for good']
)
def test_a_driver_that_fails_leaves_nothing(make_here: MakeHere, option: str, again: bool) -> None:
    here = make_here(fake_driver={option: ['here/b*']})
    network = here.neutron.add_network()
    given = here.neutron.make_port(network)['id']
    here.build(
        make_server(), networks(NetworkRequest(network_id=network), NetworkRequest(port_id=given))
    )
    report = here.conductor.wait_for('build_failed')
    assert report['reschedule'] is again
    assert 'told to fail' in report['reason']
    assert 'Traceback' in report['details']
    assert here.driver.list_guests() == []
    assert list(here.neutron.ports) == [given]
    assert here.neutron.ports[given]['device_id'] == ''
    assert here.neutron.ports[given]['binding:host_id'] == ''


def test_a_driver_bug_is_reported_without_its_text(here: Here, monkeypatch: Any) -> None:
    def broken(*args: Any) -> None:
        raise KeyError('secret-path')

    monkeypatch.setattr(here.driver, 'spawn', broken)
    here.build(make_server())
    report = here.conductor.wait_for('build_failed')
    assert (report['reason'], report['reschedule']) == ('Unexpected error: KeyError', True)
    assert 'secret-path' in report['details']


@pytest.mark.parametrize(
    'broken',
    ['POST /v2.0/ports', 'GET /v2.0/networks', 'GET /v2.0/subnets', 'GET /v2.0/floatingips'],
)
def test_neutron_that_fails_at_any_step_leaves_nothing(here: Here, broken: str) -> None:
    network = here.neutron.add_network()
    here.neutron.break_with(503, broken)
    here.build(make_server(), networks(NetworkRequest(network_id=network)))
    report = here.conductor.wait_for('build_failed')
    assert report['reschedule'] is False
    assert 'network' in report['reason']
    here.wait_idle()
    assert nothing_is_left(here)
    assert here.driver.calls['spawn'] == 0


@pytest.mark.parametrize('case', ['quota', 'no address', 'missing port', 'foreign port'])
def test_what_neutron_refuses_is_the_same_everywhere(here: Here, case: str) -> None:
    network = here.neutron.add_network()
    request = NetworkRequest(network_id=network)
    if case == 'quota':
        here.neutron.port_quota = 0
    elif case == 'no address':
        here.neutron.make_port(network, fixed_ips=[{'ip_address': '10.1.0.7'}])
        request = NetworkRequest(network_id=network, fixed_ip='10.1.0.7')
    elif case == 'missing port':
        request = NetworkRequest(port_id='9d6ff0e2-46f9-4a5c-b08c-4e6f8a9de0ff')
    else:
        request = NetworkRequest(port_id=here.neutron.make_port(network, device_id='other')['id'])
    before = dict(here.neutron.ports)
    here.build(make_server(), networks(request))
    assert here.conductor.wait_for('build_failed')['reschedule'] is False
    here.wait_idle()
    assert here.neutron.ports == before


def test_a_port_that_cannot_be_bound_is_tried_elsewhere(here: Here, monkeypatch: Any) -> None:
    network = here.neutron.add_network()

    def refuse(port: dict[str, Any]) -> None:
        port['binding:vif_type'], port['status'] = 'binding_failed', 'DOWN'

    monkeypatch.setattr(here.neutron, '_bind', refuse)
    here.build(make_server(), networks(NetworkRequest(network_id=network)))
    assert here.conductor.wait_for('build_failed')['reschedule'] is True
    here.wait_idle()
    assert nothing_is_left(here)


def test_ports_are_tried_again_if_wanted(make_here: MakeHere) -> None:
    here = make_here(DEFAULT={'network_allocate_retries': 2})
    network = here.neutron.add_network()
    here.neutron.break_with(503, 'GET /v2.0/subnets')
    here.build(make_server(), networks(NetworkRequest(network_id=network)))
    wait(lambda: ('GET', '/v2.0/subnets') in here.neutron.requests, 'the first try')
    here.neutron.mend()
    assert len(here.conductor.wait_for('build_finished')['network_info']) == 1
    assert len(here.neutron.ports) == 1


@pytest.mark.parametrize('refused', ['server_progress', 'build_finished'])
def test_an_old_fence_undoes_everything(here: Here, refused: str) -> None:
    network = here.neutron.add_network()
    here.conductor.refuse.add(refused)
    here.build(make_server(), networks(NetworkRequest(network_id=network)))
    here.conductor.wait_for(refused)
    here.wait_idle()
    assert nothing_is_left(here)
    assert here.conductor.named('build_failed') == []


def test_a_rollback_leaves_the_ports_of_a_newer_attempt_elsewhere(here: Here) -> None:
    network = here.neutron.add_network()
    server = make_server()
    here.conductor.refuse.add('build_finished')
    newer = here.neutron.make_port(
        network, device_id=server.uuid, **{'binding:host_id': 'elsewhere'}
    )['id']
    here.build(server, networks(NetworkRequest(network_id=network)))
    here.conductor.wait_for('build_finished')
    here.wait_idle()
    assert list(here.neutron.ports) == [newer]


def test_a_later_attempt_removes_what_an_earlier_one_left(here: Here) -> None:
    network = here.neutron.add_network()
    server = make_server()
    here.neutron.make_port(network, device_id=server.uuid, **{'binding:host_id': 'dead'})
    given = here.neutron.make_port(network, device_id=server.uuid, **{'binding:host_id': 'dead'})[
        'id'
    ]
    wanted = networks(NetworkRequest(port_id=given), NetworkRequest(network_id=network))
    here.build(server, wanted, Fence('op', 2))
    vifs = here.conductor.wait_for('build_finished')['network_info']
    assert [vif.id for vif in vifs] == list(here.neutron.ports)
    assert vifs[0].id == given
    assert here.neutron.ports[given]['binding:host_id'] == 'here'


def test_what_cannot_be_undone_is_told_and_the_rest_is_undone(make_here: MakeHere) -> None:
    here = make_here(fake_driver={'fail_spawn': ['*'], 'fail_destroy': ['*']})
    network = here.neutron.add_network()
    here.build(make_server(), networks(NetworkRequest(network_id=network)))
    report = here.conductor.wait_for('build_failed')
    assert 'Left on here: guest' in report['details']
    here.wait_idle()
    assert here.neutron.ports == {}


def test_a_guest_that_vanishes_at_once_fails_the_build(here: Here, monkeypatch: Any) -> None:
    monkeypatch.setattr(
        here.driver, '_schedule_mishaps', lambda server: here.driver.lose(server.uuid)
    )
    here.build(make_server())
    assert (
        'could not be found on the hypervisor' in here.conductor.wait_for('build_failed')['reason']
    )


# -- images


def test_the_image_is_downloaded_and_verified(make_here: MakeHere) -> None:
    here = make_here(fake_driver={'download_images': True})
    data = b'image' * 1000
    image_id = here.glance.add(data=data)
    image = Image(
        id=image_id,
        size=len(data),
        os_hash_algo='sha512',
        os_hash_value=hashlib.sha512(data).hexdigest(),
    )
    here.build(make_server(image=image))
    here.conductor.wait_for('build_finished')
    assert here.glance.requests == [('GET', f'/v2/images/{image_id}/file')]


def test_a_broken_image_is_the_same_everywhere(make_here: MakeHere) -> None:
    here = make_here(fake_driver={'download_images': True})
    image = Image(id=here.glance.add(data=b'bad'), size=3, checksum='0' * 32)
    here.build(make_server(image=image))
    report = here.conductor.wait_for('build_failed')
    assert (report['reschedule'], report['code']) == (False, 400)
    assert nothing_is_left(here)


# -- the conductor is away


def test_the_report_waits_for_the_conductor(here: Here) -> None:
    here.conductor.away = True
    server = make_server()
    fence = here.build(server)
    wait(lambda: here.driver.list_guests(), 'the guest')
    assert here.host.operations.running() == [fence.operation]
    here.conductor.away = False
    here.conductor.wait_for('build_finished')
    here.wait_idle()
    assert here.host.operations.running() == []
    assert here.driver.list_guests() == [server.uuid]


def test_a_failure_is_reported_when_the_conductor_is_back(make_here: MakeHere) -> None:
    here = make_here(fake_driver={'fail_spawn': ['*']})
    here.conductor.away = True
    here.build(make_server())
    wait(lambda: here.driver.calls['spawn'], 'the build')
    here.conductor.away = False
    here.conductor.wait_for('build_failed')


def test_a_server_that_is_gone_needs_no_guest(here: Here) -> None:
    def gone(method: str) -> None:
        raise exception.InstanceNotFound(instance_id='x')

    here.conductor.before = gone
    here.build(make_server())
    wait(lambda: here.driver.calls['destroy'], 'the undoing')
    here.wait_idle()
    assert here.driver.list_guests() == []


# -- several at once


def test_builds_run_side_by_side_up_to_the_limit(make_here: MakeHere, monkeypatch: Any) -> None:
    here = make_here(DEFAULT={'max_concurrent_builds': 3})
    lock, now, most = threading.Lock(), 0, 0
    gate = threading.Event()
    pause = here.driver._pause

    def counting(seconds: float) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        if most == 3:
            gate.set()
        gate.wait(5)
        pause(0.05)
        with lock:
            now -= 1

    monkeypatch.setattr(here.driver, '_pause', counting)
    for _ in range(8):
        here.build(make_server())
    here.conductor.wait_for('build_finished', 8)
    assert most == 3
    assert len(here.driver.list_guests()) == 8


def test_a_second_cast_is_dropped_during_and_after_the_build(make_here: MakeHere) -> None:
    here = make_here(fake_driver={'spawn_delay': 0.2})
    server = make_server()
    fence = here.build(server)
    here.build(server, fence=fence)
    here.conductor.wait_for('build_finished')
    here.wait_idle()
    here.build(server, fence=fence)
    assert here.conductor.settle() == ['build_finished']
    assert here.driver.calls['spawn'] == 1


def test_a_newer_attempt_waits_until_the_older_has_undone(make_here: MakeHere) -> None:
    here = make_here(fake_driver={'spawn_delay': 0.2})
    here.conductor.before = lambda method: None
    server = make_server()
    network = here.neutron.add_network()
    wanted = networks(NetworkRequest(network_id=network))
    old, new = Fence('op', 1), Fence('op', 2)
    accept = here.conductor._fenced
    here.conductor._fenced = (  # type: ignore[method-assign]
        lambda method, uuid, fence, **values: (
            accept(method, uuid, fence, **values) and fence == new
            if method == 'build_finished'
            else accept(method, uuid, fence, **values)
        )
    )
    here.build(server, wanted, old)
    here.conductor.wait_for('server_progress')
    here.build(server, wanted, new)
    wait(lambda: new in [r['fence'] for r in here.conductor.named('build_finished')], 'the newer')
    here.wait_idle()
    assert here.driver.list_guests() == [server.uuid]
    assert len(here.neutron.ports) == 1
    here.build(server, wanted, old)
    here.wait_idle()
    assert here.driver.calls['spawn'] == 2


def test_what_is_logged_names_the_request(here: Here) -> None:
    seen: list[str | None] = []

    def note(method: str) -> None:
        current = oslo_context.get_current()
        seen.append(current.request_id if current else None)

    here.conductor.before = note
    here.build(make_server())
    here.conductor.wait_for('build_finished')
    assert seen == [CONTEXT.request_id]
