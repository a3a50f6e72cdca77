"""Waiting for Neutron's plug events."""

from collections.abc import Callable
from typing import Any

import pytest

from kilonova.common.objects.network import NetworkRequest, Networks
from kilonova.compute.virt.driver import PowerState
from kilonova.tests.unit.compute.here import Here, make_server, networks, wait

MakeHere = Callable[..., Here]


@pytest.fixture
def slow_plug(make_here: MakeHere) -> tuple[Here, Networks]:
    here = make_here(DEFAULT={'vif_plugging_timeout': 1})
    here.neutron.plugged_at_once = False
    network = here.neutron.add_network()
    return here, networks(NetworkRequest(network_id=network), NetworkRequest(network_id=network))


def _started(here: Here, server: Any) -> list[str]:
    wait(lambda: here.driver.list_guests(), 'the guest')
    assert here.driver.get_power_state(server.uuid) == PowerState.PAUSED
    return list(here.neutron.ports)


def test_the_guest_runs_when_all_ports_are_plugged(slow_plug: tuple[Here, Networks]) -> None:
    here, wanted = slow_plug
    here.conf.set_override('vif_plugging_timeout', 30)
    server = make_server()
    here.build(server, wanted)
    for port in _started(here, server):
        assert here.conductor.named('build_finished') == []
        here.plugged(server, port)
    assert all(v.active for v in here.conductor.wait_for('build_finished')['network_info'])


def test_an_event_before_the_wait_counts(slow_plug: tuple[Here, Networks]) -> None:
    here, wanted = slow_plug
    server = make_server()

    def plug_early(method: str) -> None:
        if method == 'server_progress':
            for port in here.neutron.ports:
                here.plugged(server, port)

    here.conductor.before = plug_early
    here.build(server, wanted)
    assert all(v.active for v in here.conductor.wait_for('build_finished')['network_info'])


def test_an_event_of_an_earlier_life_does_not_count(slow_plug: tuple[Here, Networks]) -> None:
    here, _ = slow_plug
    server = make_server()
    network = next(iter(here.neutron.things['networks']))
    given = here.neutron.make_port(network)['id']
    here.plugged(server, given)
    here.build(server, networks(NetworkRequest(port_id=given)))
    here.conductor.wait_for('build_failed')


def test_ports_that_are_not_plugged_fail_the_build(slow_plug: tuple[Here, Networks]) -> None:
    here, wanted = slow_plug
    server = make_server()
    here.build(server, wanted)
    first, second = _started(here, server)
    here.plugged(server, first)
    report = here.conductor.wait_for('build_failed')
    assert report['reschedule'] is True
    assert second in report['reason'] and first not in report['reason']
    here.wait_idle()
    assert not here.driver.list_guests() and not here.neutron.ports


def test_they_do_not_where_that_is_not_fatal(slow_plug: tuple[Here, Networks]) -> None:
    here, wanted = slow_plug
    here.conf.set_override('vif_plugging_is_fatal', False)
    here.build(make_server(), wanted)
    assert not any(v.active for v in here.conductor.wait_for('build_finished')['network_info'])


def test_a_failed_plug_does_not_wait_for_the_timeout(slow_plug: tuple[Here, Networks]) -> None:
    here, wanted = slow_plug
    here.conf.set_override('vif_plugging_timeout', 60)
    server = make_server()
    here.build(server, wanted)
    here.plugged(server, _started(here, server)[0], status='failed')
    here.conductor.wait_for('build_failed', seconds=5)


@pytest.mark.parametrize('option', ['timeout', 'driver'])
def test_nothing_is_waited_for_where_not_wanted(
    slow_plug: tuple[Here, Networks], option: str
) -> None:
    here, wanted = slow_plug
    here.conf.set_override('vif_plugging_timeout', 0 if option == 'timeout' else 60)
    here.driver.needs_plug_events = option != 'driver'
    here.build(make_server(), wanted)
    here.conductor.wait_for('build_finished', seconds=5)
