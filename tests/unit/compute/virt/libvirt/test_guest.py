import errno
import uuid

import pytest

from kilonova.common import exception
from kilonova.compute.virt.driver import PowerState
from kilonova.compute.virt.libvirt import connection
from kilonova.compute.virt.libvirt.guest import Guests
from kilonova.tests.fakes.libvirt import DATA, FakeConnection, FakeDomain, FakeLibvirt

OURS = (DATA / 'domain-plain.xml').read_text()
UUID = '6ffd7a5e-bb0c-4c02-a74a-b7c7e5c0d001'
FOREIGN = str(uuid.uuid4())


@pytest.fixture
def guests(conn: connection.Connection) -> Guests:
    return Guests(conn)


@pytest.fixture
def domain(hypervisor: FakeConnection) -> FakeDomain:
    hypervisor.defineXML(f'<domain><name>other</name><uuid>{FOREIGN}</uuid></domain>')
    return hypervisor.defineXML(OURS)


def test_only_ours_are_listed_and_found(guests: Guests, domain: FakeDomain) -> None:
    assert guests.states() == {UUID: PowerState.SHUTDOWN}
    assert guests.find(UUID).power_state() == PowerState.SHUTDOWN
    with pytest.raises(exception.GuestNotFound):
        guests.find(FOREIGN)
    with pytest.raises(exception.GuestNotFound):
        guests.find(str(uuid.uuid4()))


def test_states(guests: Guests, domain: FakeDomain) -> None:
    guest = guests.find(UUID)
    guest.start(paused=True)
    assert guest.power_state() == PowerState.PAUSED
    guest.resume()
    assert guests.states() == {UUID: PowerState.RUNNING}
    domain.stop(6)
    assert guest.power_state() == PowerState.CRASHED


def test_gone_meanwhile(guests: Guests, domain: FakeDomain, hypervisor: FakeConnection) -> None:
    guest = guests.find(UUID)
    del hypervisor.domains[UUID]
    with pytest.raises(exception.GuestNotFound):
        guest.destroy()
    assert guests.was_ours(UUID)
    assert not guests.was_ours(FOREIGN)


def test_destroy_and_shut_down_do_not_mind_a_guest_that_is_off(
    guests: Guests, domain: FakeDomain
) -> None:
    guest = guests.find(UUID)
    guest.destroy()
    guest.ask_to_shut_down()
    assert not guest.is_active()


def test_destroy_tries_again_while_the_process_hangs(
    guests: Guests, domain: FakeDomain, hypervisor: FakeConnection
) -> None:
    guest = guests.find(UUID)
    guest.start()
    for _ in range(2):
        hypervisor.fail('destroy', FakeLibvirt.VIR_ERR_SYSTEM_ERROR, int1=errno.EBUSY)
    guest.destroy()
    assert not guest.is_active()
    guest.start()
    hypervisor.fail('destroy', FakeLibvirt.VIR_ERR_INTERNAL_ERROR)
    with pytest.raises(connection.HypervisorError):
        guest.destroy()


def test_undefine_takes_everything_along(guests: Guests, domain: FakeDomain) -> None:
    guests.find(UUID).undefine()
    assert domain.undefine_flags == 1 | 2 | 4 | 16


def test_wait_off(guests: Guests, domain: FakeDomain) -> None:
    guest = guests.find(UUID)
    guest.start()
    assert not guest.wait_off(0.05, interval=0.01)
    domain.stop()
    assert guest.wait_off(1)
