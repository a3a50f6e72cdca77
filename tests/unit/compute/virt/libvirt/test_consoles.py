"""Consoles, read out of domains as libvirt describes running ones."""

import pytest
from lxml import etree
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.console import ConsolePlace
from kilonova.compute.virt.libvirt import consoles
from kilonova.compute.virt.libvirt.connection import Connection
from kilonova.compute.virt.libvirt.guest import Guest
from kilonova.tests.fakes.libvirt import RUNNING, SHUTOFF, FakeConnection
from kilonova.tests.unit.compute.virt.libvirt.conftest import UUID


@pytest.fixture
def guest(conn: Connection, hypervisor: FakeConnection) -> Guest:
    hypervisor.defineXML(f'<domain><uuid>{UUID}</uuid><devices/></domain>')
    hypervisor.domains[UUID].number = RUNNING
    return Guest(conn, UUID)


def give(hypervisor: FakeConnection, *devices: str) -> None:
    parent = hypervisor.domains[UUID].root.find('devices')
    assert parent is not None
    for device in devices:
        parent.append(etree.fromstring(device))


def test_vnc(conf: cfg.ConfigOpts, guest: Guest, hypervisor: FakeConnection) -> None:
    conf.set_override('server_proxyclient_address', '192.0.2.9', 'vnc')
    give(
        hypervisor,
        '<graphics type="spice" port="5901"/>',
        '<graphics type="vnc" port="5902" listen="0.0.0.0"/>',
    )
    assert consoles.vnc(conf, guest) == ConsolePlace(host='192.0.2.9', port=5902)


@pytest.mark.parametrize(
    ('ports', 'place'),
    [
        ('port="5901"', (5901, None)),
        ('port="5901" tlsPort="5903"', (5901, 5903)),
        ('port="-1" tlsPort="5903"', (5903, 5903)),
    ],
)
def test_spice(
    conf: cfg.ConfigOpts,
    guest: Guest,
    hypervisor: FakeConnection,
    ports: str,
    place: tuple[int, int | None],
) -> None:
    give(hypervisor, f'<graphics type="spice" {ports}/>')
    found = consoles.spice(conf, guest)
    assert (found.host, found.port, found.tls_port) == ('127.0.0.1', *place)


def test_the_first_serial_port_with_a_socket(guest: Guest, hypervisor: FakeConnection) -> None:
    give(
        hypervisor,
        '<serial type="pty"><source path="/dev/pts/1"/></serial>',
        '<serial type="tcp"><source mode="bind" host="192.0.2.8" service="10007"/></serial>',
        '<serial type="tcp"><source mode="bind" host="192.0.2.8" service="10008"/></serial>',
    )
    assert consoles.serial(guest) == ConsolePlace(host='192.0.2.8', port=10007)


def test_a_guest_without_any(conf: cfg.ConfigOpts, guest: Guest) -> None:
    with pytest.raises(exception.ConsoleTypeUnavailable, match='vnc'):
        consoles.vnc(conf, guest)
    with pytest.raises(exception.ConsoleTypeUnavailable, match='spice'):
        consoles.spice(conf, guest)
    with pytest.raises(exception.ConsoleTypeUnavailable, match='serial'):
        consoles.serial(guest)


def test_a_display_without_a_port(
    conf: cfg.ConfigOpts, guest: Guest, hypervisor: FakeConnection
) -> None:
    give(hypervisor, '<graphics type="vnc" port="-1"/>', '<graphics type="spice"/>')
    for find in (consoles.vnc, consoles.spice):
        with pytest.raises(exception.ConsoleTypeUnavailable):
            find(conf, guest)


def test_a_guest_that_is_off(
    conf: cfg.ConfigOpts, guest: Guest, hypervisor: FakeConnection
) -> None:
    give(hypervisor, '<graphics type="vnc" port="5902"/>')
    hypervisor.domains[UUID].number = SHUTOFF
    with pytest.raises(exception.GuestNotFound):
        consoles.vnc(conf, guest)
