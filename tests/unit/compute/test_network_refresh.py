"""Keeping stored ports in step with Neutron."""

import pytest

from kilonova.common.objects import work
from kilonova.common.objects.network import NetworkRequest
from kilonova.common.objects.operation import ExternalEvent, Fence
from kilonova.common.objects.server import Server
from kilonova.tests.unit.compute.here import CONTEXT, Here, make_server, networks, wait


@pytest.fixture
def server(here: Here) -> Server:
    network = here.neutron.add_network()
    server = here.built(
        make_server(),
        networks(NetworkRequest(network_id=network, tag='a'), NetworkRequest(network_id=network)),
    )
    here.refresh.collector._window = 0.05
    here.refresh.collector.start()
    return server


def changed(here: Here, server: Server) -> None:
    event = ExternalEvent(name='network-changed', server_uuid=server.uuid)
    here.events.external_events(CONTEXT, [event, event])


def test_a_change_is_stored_once(here: Here, server: Server) -> None:
    port = server.network_info[1].id
    here.neutron.ports[port]['fixed_ips'][0]['ip_address'] = '10.1.0.200'
    here.conductor.calls.clear()
    changed(here, server)
    found = here.conductor.wait_for('update_network_info')['network_info']
    assert found[1].fixed_ips[0].address == '10.1.0.200'
    assert [vif.id for vif in found] == [vif.id for vif in server.network_info]
    assert found[0].tag == 'a'
    assert here.conductor.settle() == ['get_server', 'update_network_info']


def test_no_change_is_not_stored(here: Here, server: Server) -> None:
    requests = len(here.neutron.requests)
    changed(here, server)
    here.conductor.wait_for('get_server')
    assert 'update_network_info' not in here.conductor.settle()
    assert len(here.neutron.requests) - requests == 4


def test_a_port_that_is_gone_is_forgotten(here: Here, server: Server) -> None:
    del here.neutron.ports[server.network_info[0].id]
    changed(here, server)
    found = here.conductor.wait_for('update_network_info')['network_info']
    assert [vif.id for vif in found] == [server.network_info[1].id]


def test_it_waits_for_the_end_of_an_operation(here: Here, server: Server) -> None:
    here.conf.set_override('power_delay', 0.5, group='fake_driver')
    here.work.perform(CONTEXT, server, Fence('op', 1), work.Reboot('HARD'))
    changed(here, server)
    here.conductor.wait_for('get_server')
    names = [name for name, _ in here.conductor.calls]
    assert names.index('work_finished') < names.index('get_server')


def test_servers_of_others_are_not_looked_at(here: Here, server: Server) -> None:
    here.conductor.servers[server.uuid].host = 'elsewhere'
    requests = len(here.neutron.requests)
    assert here.refresh.refresh(server.uuid) is False
    assert here.refresh.refresh('unknown') is False
    assert len(here.neutron.requests) == requests


def test_neutron_that_fails_is_asked_again_the_next_time(here: Here, server: Server) -> None:
    here.neutron.break_with(503, 'GET /v2.0/ports')
    here.neutron.ports[server.network_info[0].id]['fixed_ips'][0]['ip_address'] = '10.1.0.201'
    changed(here, server)
    here.conductor.wait_for('get_server')
    here.neutron.mend()
    here.refresh.heal_next()
    here.conductor.wait_for('update_network_info')


def test_healing_goes_round(here: Here, server: Server) -> None:
    other = here.built(make_server())
    for _ in range(4):
        here.refresh.heal_next()
        wait(lambda: not here.refresh.collector._hinted, 'it is looked at')
    here.conductor.wait_for('get_server', 4)
    looked = [values['uuid'] for values in here.conductor.named('get_server')]
    assert sorted(looked) == sorted([server.uuid, other.uuid] * 2)
