"""Deleting: guest and ports go, given ports stay, whatever ran before is undone."""

import uuid
from collections.abc import Callable

import msgspec
import pytest

from kilonova.common.objects.network import NetworkRequest
from kilonova.common.objects.operation import Fence
from kilonova.common.objects.server import Server
from kilonova.tests.unit.compute.here import CONTEXT, Here, make_server, networks, wait

MakeHere = Callable[..., Here]


def delete(here: Here, server: Server, fence: Fence | None = None) -> Fence:
    fence = fence or Fence(str(uuid.uuid4()), 1)
    here.deletes.terminate_server(CONTEXT, server, fence)
    return fence


def test_a_server_without_ports_costs_one_call_and_no_request(here: Here) -> None:
    server = here.built(make_server())
    here.conductor.calls.clear()
    fence = delete(here, server)
    assert here.conductor.wait_for('delete_finished') == {'uuid': server.uuid, 'fence': fence}
    assert here.conductor.settle() == ['delete_finished']
    assert here.neutron.requests == []
    assert here.driver.list_guests() == []


def test_made_ports_go_and_given_ones_stay(here: Here) -> None:
    network = here.neutron.add_network()
    given = here.neutron.make_port(network)['id']
    server = here.built(
        make_server(), networks(NetworkRequest(network_id=network), NetworkRequest(port_id=given))
    )
    delete(here, server)
    here.conductor.wait_for('delete_finished')
    assert list(here.neutron.ports) == [given]
    port = here.neutron.ports[given]
    assert (port['device_id'], port['device_owner'], port['binding:host_id']) == ('', '', '')


def test_ports_that_nobody_reported_are_found(here: Here) -> None:
    """The host died between making its ports and telling of them."""
    network = here.neutron.add_network()
    server = make_server()
    here.neutron.make_port(network, device_id=server.uuid)
    older = here.neutron.make_port(
        network, device_id=server.uuid, created_at='2025-12-31T23:59:59Z'
    )['id']
    delete(here, server)
    here.conductor.wait_for('delete_finished')
    assert list(here.neutron.ports) == [older]
    assert here.neutron.ports[older]['device_id'] == ''


def test_the_mac_of_a_passed_through_card_is_given_back(here: Here) -> None:
    network = here.neutron.add_network()
    given = here.neutron.make_port(network, **{'binding:vnic_type': 'direct-physical'})['id']
    server = here.built(make_server(), networks(NetworkRequest(port_id=given)))
    delete(here, server)
    here.conductor.wait_for('delete_finished')
    assert here.neutron.ports[given]['mac_address'] is None  # Neutron takes it for "a new one"


def test_a_given_port_that_its_owner_deleted_is_no_error(here: Here) -> None:
    network = here.neutron.add_network()
    given = here.neutron.make_port(network)['id']
    server = here.built(make_server(), networks(NetworkRequest(port_id=given)))
    here.neutron.break_with(404, f'PUT /v2.0/ports/{given}')
    delete(here, server)
    here.conductor.wait_for('delete_finished')


def test_deleting_twice_is_fine(here: Here) -> None:
    server = here.built(make_server())
    delete(here, server)
    here.conductor.wait_for('delete_finished')
    delete(here, server)
    here.conductor.wait_for('delete_finished', 2)


@pytest.mark.parametrize('broken', ['driver', 'neutron'])
def test_what_is_left_is_reported(make_here: MakeHere, broken: str) -> None:
    here = make_here(fake_driver={'fail_destroy': ['*'] if broken == 'driver' else []})
    network = here.neutron.add_network()
    server = here.built(make_server(), networks(NetworkRequest(network_id=network)))
    if broken == 'neutron':
        here.neutron.break_with(500, 'DELETE /v2.0/ports')
    delete(here, server)
    report = here.conductor.wait_for('delete_failed')
    assert report['reason'] and 'Traceback' in report['details']
    assert here.neutron.ports
    here.neutron.mend()
    here.conf.set_override('fail_destroy', [], group='fake_driver')
    delete(here, server)
    here.conductor.wait_for('delete_finished')
    assert not here.neutron.ports and not here.driver.list_guests()


def test_a_cloud_without_neutron_has_no_ports(here: Here) -> None:
    here.conf.clear_override('endpoint_override', group='neutron')
    delete(here, make_server())
    here.conductor.wait_for('delete_finished')


def test_a_delete_stops_a_build_that_waits_for_its_ports(here: Here) -> None:
    here.neutron.plugged_at_once = False
    network = here.neutron.add_network()
    server = make_server()
    here.build(server, networks(NetworkRequest(network_id=network)))
    wait(lambda: here.driver.list_guests(), 'the guest')
    delete(here, server)
    here.conductor.wait_for('delete_finished', seconds=5)
    assert not here.driver.list_guests() and not here.neutron.ports
    assert here.conductor.settle() == ['server_progress', 'delete_finished']


def test_a_delete_overtakes_a_build_that_waits_for_its_turn(make_here: MakeHere) -> None:
    here = make_here(DEFAULT={'max_concurrent_builds': 1}, fake_driver={'spawn_delay': 2})
    first, second = make_server(), make_server()
    here.build(first)
    wait(lambda: here.driver.calls['spawn'], 'the first build')
    here.build(second)
    delete(here, second)
    assert here.conductor.wait_for('delete_finished')['uuid'] == second.uuid
    assert here.conductor.named('build_finished') == []
    here.conductor.wait_for('build_finished')
    here.wait_idle()
    assert here.driver.calls['spawn'] == 1
    assert here.driver.list_guests() == [first.uuid]


def test_the_report_of_a_deletion_waits_for_the_conductor(here: Here) -> None:
    server = here.built(make_server())
    here.conductor.away = True
    delete(here, server)
    wait(lambda: not here.driver.list_guests(), 'the guest is gone')
    here.conductor.away = False
    here.conductor.wait_for('delete_finished')


def test_a_newer_attempt_is_reported_under_its_own_fence(here: Here) -> None:
    server = here.built(make_server())
    delete(here, server, Fence('op', 1))
    delete(here, msgspec.structs.replace(server), Fence('op', 2))
    wait(
        lambda: Fence('op', 2) in [r['fence'] for r in here.conductor.named('delete_finished')],
        'the report of the newer attempt',
    )
