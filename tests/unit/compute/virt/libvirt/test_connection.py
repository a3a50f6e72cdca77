import time

import pytest

from kilonova.compute.virt.driver import Events
from kilonova.compute.virt.libvirt import connection
from kilonova.tests.fakes.libvirt import FakeConnection, FakeLibvirt


def test_opens_once_and_when_needed(library: FakeLibvirt, conn: connection.Connection) -> None:
    assert library.opened == 0
    assert conn.call(lambda c: c.getHostname()) == 'compute1.example.org'
    conn.call(lambda c: c.getType())
    assert library.opened == 1


def test_refusals_carry_libvirts_number(
    hypervisor: FakeConnection, conn: connection.Connection
) -> None:
    hypervisor.fail('listAllDomains', number=55)
    with pytest.raises(connection.HypervisorError) as caught:
        conn.call(lambda c: c.listAllDomains(0))
    assert caught.value.number == 55
    assert 'listAllDomains failed on purpose' in caught.value.message


def test_reconnects_after_an_error_of_the_transport(
    library: FakeLibvirt, hypervisor: FakeConnection, conn: connection.Connection
) -> None:
    hypervisor.fail('listAllDomains', FakeLibvirt.VIR_ERR_RPC, FakeLibvirt.VIR_FROM_RPC)
    with pytest.raises(connection.HypervisorError):
        conn.call(lambda c: c.listAllDomains(0))
    assert conn.call(lambda c: c.listAllDomains(0)) == []
    assert library.opened == 2


def test_reconnects_when_libvirt_hung_up(
    library: FakeLibvirt, hypervisor: FakeConnection, conn: connection.Connection
) -> None:
    conn.call(lambda c: c.getType())
    assert hypervisor.on_close
    hypervisor.on_close(hypervisor, 0, None)
    conn.call(lambda c: c.getType())
    assert library.opened == 2


def test_unreachable(library: FakeLibvirt, conn: connection.Connection) -> None:
    library.unreachable = True
    with pytest.raises(connection.HypervisorError, match='no socket'):
        conn.call(lambda c: c.getType())


def test_closed_for_good(library: FakeLibvirt, conn: connection.Connection) -> None:
    conn.call(lambda c: c.getType())
    conn.close()
    with pytest.raises(connection.HypervisorError, match='closed'):
        conn.call(lambda c: c.getType())
    assert library.opened == 1


def test_events_are_delivered_until_it_is_closed(
    hypervisor: FakeConnection, conn: connection.Connection
) -> None:
    told: list[tuple[str, Events]] = []
    conn.call(lambda c: c.getType())
    conn.watch(lambda uuid, event: told.append((uuid, event)))
    domain = hypervisor.defineXML('<domain><name>x</name><uuid>u</uuid></domain>')
    domain.createWithFlags(0)
    domain.stop()
    for _ in range(100):
        if len(told) == 2:
            break
        time.sleep(0.01)
    assert told == [('u', Events.STARTED), ('u', Events.STOPPED)]
    conn.close()
    time.sleep(0.05)
    domain.createWithFlags(0)
    time.sleep(0.05)
    assert len(told) == 2


def test_every_event_name_is_known(library: FakeLibvirt) -> None:
    assert set(connection.lifecycle_names().values()) == set(Events)
