"""The consoles of a real guest, through the proxies."""

import pathlib
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
from oslo_config import cfg

from kilonova.common.objects.console import ConsoleAccess, ConsolePlace
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import GuestSpec
from kilonova.compute.virt.libvirt.driver import LibvirtDriver
from kilonova.consoleproxy import kinds
from kilonova.consoleproxy.kinds import Kind
from kilonova.consoleproxy.listener import Listener
from kilonova.tests.fakes.websocket_client import WebsocketClient
from kilonova.tests.integration.libvirt.conftest import File
from kilonova.tests.integration.processes import wait_for
from kilonova.tests.unit.consoleproxy.conftest import make_conf

pytestmark = pytest.mark.integration

PATH = '/?token=1234567890123456'
SECONDS = 180


def has_address() -> bool:
    """Tell whether SPICE can listen: its look-up of names leaves out what no interface has."""
    found = [one for name in psutil.net_if_addrs().values() for one in name]
    return any(a.family == socket.AF_INET and not a.address.startswith('127.') for a in found)


class Conductor:
    """Says where the driver says the console is."""

    def __init__(self, kind: Kind, server: Server, place: ConsolePlace) -> None:
        self.server: Server | None = server
        self._access = ConsoleAccess(
            instance_uuid=server.uuid,
            console_type=kind.console_type,
            place=place,
            base_url='http://127.0.0.1/',
        )

    def validate_console_token(self, _context: object, _token: str) -> ConsoleAccess:
        return self._access

    def get_server(self, _context: object, _uuid: str) -> Server | None:
        return self.server


Opened = Callable[[Kind, ConsolePlace], WebsocketClient]


@pytest.fixture
def opened(tmp_path: pathlib.Path, server: Server) -> Iterator[Opened]:
    listeners: list[Listener] = []

    def start(kind: Kind, place: ConsolePlace) -> WebsocketClient:
        conductor = Conductor(kind, server, place)
        listener = Listener(make_conf(tmp_path, kind, {}), kind, conductor, '')  # type: ignore[arg-type]
        listener.start()
        listeners.append(listener)
        return WebsocketClient(('127.0.0.1', listener.port), PATH, timeout=60)

    yield start
    for listener in listeners:
        listener.stop()


def test_vnc_and_serial(
    conf: cfg.ConfigOpts,
    server: Server,
    guest_image: pathlib.Path,
    removed: Callable[[Server], None],
    driver: LibvirtDriver,
    opened: Opened,
) -> None:
    conf.set_override('enabled', True, 'serial_console')
    driver.spawn(GuestSpec(server=server, vifs=[]), File(guest_image), lambda start: start())

    serial = opened(kinds.SERIAL, driver.get_serial_console(server))
    log_in_and_work(serial)
    check_vnc(opened(kinds.NOVNC, driver.get_vnc_console(server)))

    # What went over the serial console is in the log as well, and stays there.
    wait_for('the log', lambda: b'kilonova-42' in driver.get_console_output(server), 30)
    server.task_state = 'reboot_started_hard'
    driver.reboot(server, [], 'HARD')
    assert serial.closed() == (1000, 'The server is restarting; open its console again.')

    def boots() -> int:
        return driver.get_console_output(server).count(b'lab-guest: ready')

    wait_for('the next boot', lambda: boots() == 2, SECONDS)
    log = driver.get_console_output(server)
    assert b'kilonova-42' in log and len(log) <= 100 * 1024

    serial = opened(kinds.SERIAL, driver.get_serial_console(server))
    serial.send(b'\r')
    serial.read_until(b'#')
    server.task_state = 'powering-off'
    driver.power_off(server, 0)
    assert serial.closed() == (1000, 'The server has been stopped.')
    removed(server)


@pytest.mark.skipif(not has_address(), reason='SPICE needs an IPv4 address beside loopback')
def test_spice(
    conf: cfg.ConfigOpts,
    server: Server,
    guest_image: pathlib.Path,
    removed: Callable[[Server], None],
    driver: LibvirtDriver,
    opened: Opened,
) -> None:
    conf.set_override('enabled', False, 'vnc')
    conf.set_override('enabled', True, 'spice')
    driver.spawn(GuestSpec(server=server, vifs=[]), File(guest_image), lambda start: start())
    place = driver.get_spice_console(server)
    for _ in range(2):  # one for each channel
        _check_spice(opened(kinds.SPICE, place))
    removed(server)


def log_in_and_work(serial: WebsocketClient) -> None:
    seen = b''
    deadline = time.monotonic() + SECONDS
    while b'lab-guest: ready' not in seen and time.monotonic() < deadline:
        seen += serial.read(1)
    serial.send(b'\r')
    serial.read_until(b'#')
    serial.send(b'echo kilonova-$((6 * 7))\r')
    assert b'kilonova-42' in serial.read_until(b'kilonova-42')


def check_vnc(user: WebsocketClient) -> None:
    """Get as far as the first picture."""
    assert user.read(12) == b'RFB 003.008\n'
    user.send(b'RFB 003.008\n')
    assert user.read(2) == b'\1\1'
    user.send(b'\1')
    assert user.read(4) == b'\0\0\0\0'
    user.send(b'\1')
    width, height = struct.unpack('>HH', user.read(4))
    user.read(16)
    (length,) = struct.unpack('>I', user.read(4))
    assert b'QEMU' in user.read(length)
    user.send(struct.pack('>BBHI', 2, 0, 1, 0))  # raw pixels are enough
    user.send(struct.pack('>BBHHHH', 3, 0, 0, 0, width, height))
    kind, _, count = struct.unpack('>BBH', user.read(4))
    assert (kind, count > 0) == (0, True)
    x, y, wide, high, encoding = struct.unpack('>HHHHi', user.read(12))
    assert encoding == 0
    picture = user.read(wide * high * 4)
    assert len(set(picture)) > 1, 'the screen shows nothing'


def _check_spice(user: WebsocketClient) -> None:
    """Get the answer to the link message of a main channel."""
    link = struct.pack('<IBBIII', 0, 1, 0, 0, 0, 18)
    user.send(b'REDQ' + struct.pack('<III', 2, 2, len(link)) + link)
    magic, major, _, length = struct.unpack('<4sIII', user.read(16))
    assert (magic, major) == (b'REDQ', 2)
    answer = user.read(length)
    assert struct.unpack('<I', answer[:4]) == (0,)
    assert re.search(rb'\x30\x81', answer), 'no public key'
