"""Consoles that a host offers."""

from collections.abc import Callable

import pytest

from kilonova.common import exception
from kilonova.common.objects.console import ConsolePlace
from kilonova.tests.unit.compute.here import CONTEXT, Here, make_server

MakeHere = Callable[..., Here]
ENABLED = {group: {'enabled': True} for group in ('vnc', 'spice', 'serial_console', 'mks')}
PROXIES = {
    ('vnc', 'novnc'): 'http://127.0.0.1:6080/vnc_auto.html',
    ('spice', 'spice-html5'): 'http://127.0.0.1:6082/spice_auto.html',
    ('spice', 'spice-direct'): 'http://127.0.0.1:13002/nova',
    ('serial', 'serial'): 'ws://127.0.0.1:6083/',
    ('mks', 'webmks'): 'http://127.0.0.1:6090/',
}


@pytest.mark.parametrize(('protocol', 'console_type'), PROXIES)
def test_every_kind(make_here: MakeHere, protocol: str, console_type: str) -> None:
    here = make_here(**ENABLED)
    server = here.built(make_server())
    found = here.console.get_console(CONTEXT, server, protocol, console_type)
    assert found.base_url == PROXIES[protocol, console_type]
    assert found.place == ConsolePlace(
        host=f'fake{protocol}console.com', port=6969, tls_port=6970 if protocol == 'spice' else None
    )


def test_by_default_there_is_vnc_alone(here: Here) -> None:
    server = here.built(make_server())
    for protocol, console_type in PROXIES:
        if protocol == 'vnc':
            assert here.console.get_console(CONTEXT, server, protocol, console_type)
        else:
            with pytest.raises(exception.ConsoleTypeUnavailable, match=console_type):
                here.console.get_console(CONTEXT, server, protocol, console_type)


@pytest.mark.parametrize(
    ('protocol', 'console_type'),
    [('vnc', 'xvpvnc'), ('vnc', 'serial'), ('spice', 'novnc'), ('mks', 'rdp-html5')],
)
def test_types_of_another_protocol(make_here: MakeHere, protocol: str, console_type: str) -> None:
    here = make_here(**ENABLED)
    server = here.built(make_server())
    with pytest.raises(exception.ConsoleTypeInvalid, match=console_type):
        here.console.get_console(CONTEXT, server, protocol, console_type)


def test_a_guest_that_is_off_or_missing(here: Here) -> None:
    server = here.built(make_server())
    here.driver.pause(server)
    assert here.console.get_console(CONTEXT, server, 'vnc', 'novnc')
    here.driver.unpause(server)
    here.driver.power_off(server, 0)
    for one in (server, make_server()):
        with pytest.raises(exception.InstanceNotReady):
            here.console.get_console(CONTEXT, one, 'vnc', 'novnc')


def test_spice_that_is_encrypted_only(make_here: MakeHere, monkeypatch: pytest.MonkeyPatch) -> None:
    """``[spice]require_secure``: native clients are told the port, the browser's has no way."""
    here = make_here(**ENABLED)
    server = here.built(make_server())
    place = ConsolePlace(host='h', port=5901, tls_port=5901)
    monkeypatch.setattr(here.driver, 'get_spice_console', lambda server: place)
    assert here.console.get_console(CONTEXT, server, 'spice', 'spice-direct').place == place
    with pytest.raises(exception.ConsoleTypeUnavailable, match='spice-html5'):
        here.console.get_console(CONTEXT, server, 'spice', 'spice-html5')
