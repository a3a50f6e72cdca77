"""A user looks at a guest while it goes to another host as it runs."""

import ctypes
import os
import pathlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kilonova.common.objects.console import ConsolePlace
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import GuestSpec
from kilonova.consoleproxy import kinds, target
from kilonova.tests.integration.libvirt import hosts
from kilonova.tests.integration.libvirt.conftest import File
from kilonova.tests.integration.libvirt.hosts import Host, make_server
from kilonova.tests.integration.libvirt.test_consoles import (
    Opened,
    check_vnc,
    log_in_and_work,
    opened,
)
from kilonova.tests.integration.libvirt.test_moves import Pair, Steer, arrive, prepare

pytestmark = pytest.mark.integration
__all__ = ['opened']

MOVED = (1000, 'The server has moved to another host; open its console again.')


@pytest.fixture(scope='module')
def pair(libvirt_folder: pathlib.Path) -> Iterator[Pair]:
    with hosts.two(libvirt_folder) as found:
        for host in found:
            host.conf.set_override('enabled', True, 'serial_console')
        yield found


@pytest.fixture
def server(pair: Pair, guest_image: pathlib.Path) -> Iterator[Server]:
    made = make_server()
    spec = GuestSpec(server=made, vifs=[])
    pair[0].driver.spawn(spec, File(guest_image), lambda start: start())
    yield made
    for host in pair:
        host.driver.destroy(made, [])
        assert made.uuid not in host.domains()


Enter = Callable[[Host], None]


@pytest.fixture
def enter(monkeypatch: pytest.MonkeyPatch) -> Enter:
    """Let the proxy reach what listens within a host."""

    def choose(host: Host) -> None:
        def connect(place: ConsolePlace) -> socket.socket:
            return _within(host, lambda: target.connect(place))

        monkeypatch.setattr('kilonova.consoleproxy.handler.connect', connect)

    return choose


def _within(host: Host, make: Callable[[], socket.socket]) -> socket.socket:
    """Make a socket in a host's network, where a thread is as long as that takes."""
    found: list[Any] = []

    def run() -> None:
        space = os.open(f'/proc/{host.daemon.first()}/ns/net', os.O_RDONLY)
        try:
            assert ctypes.CDLL(None, use_errno=True).setns(space, 0) == 0
            found.append(make())
        except (OSError, target.Unreachable) as error:
            found.append(error)
        finally:
            os.close(space)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(found[0], Exception):
        raise found[0]
    made: socket.socket = found[0]
    return made


def test_vnc_and_serial_of_a_guest_that_moves(
    pair: Pair, server: Server, enter: Enter, opened: Opened
) -> None:
    """Both end with the reason, when the source lets the guest go, and open again there."""
    source, other = pair
    users = {}
    for host in pair:
        enter(host)
        serial = opened(kinds.SERIAL, host.driver.get_serial_console(server))
        if host is other:
            serial.send(b'echo here-$((40 + 2))\r')
            serial.read_until(b'here-42')
        else:
            log_in_and_work(serial)
        screen = opened(kinds.NOVNC, host.driver.get_vnc_console(server))
        check_vnc(screen)
        users[host] = (serial, screen)
        if host is source:
            server.task_state, server.host = 'migrating', source.name
            data = prepare(pair, server, [])
            source.driver.migrate_live(server, other.name, data, Steer())
            assert [user.closed() for user in users[source]] == [MOVED, MOVED]
            arrive(pair, server, [], data)
            server.task_state, server.host = None, other.name
    server.task_state = 'deleting'
    other.driver.destroy(server, [])
    gone = (1000, 'The server has been deleted.')
    assert [user.closed() for user in users[other]] == [gone, gone]
