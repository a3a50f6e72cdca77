"""What a guest shows, and what is known of it."""

from typing import NamedTuple

from kilonova.common import exception
from kilonova.common.context import RequestContext
from kilonova.common.objects.console import Console
from kilonova.common.objects.diagnostics import Diagnostics
from kilonova.common.objects.server import Server
from kilonova.compute.host import Host
from kilonova.compute.virt.driver import PowerState


class Protocol(NamedTuple):
    """One kind of console: its options, the URL of the proxy for each type, the driver's method."""

    group: str
    base_urls: dict[str, str]
    method: str


PROTOCOLS = {
    'vnc': Protocol('vnc', {'novnc': 'novncproxy_base_url'}, 'get_vnc_console'),
    'spice': Protocol(
        'spice',
        {'spice-html5': 'html5proxy_base_url', 'spice-direct': 'spice_direct_proxy_base_url'},
        'get_spice_console',
    ),
    'serial': Protocol('serial_console', {'serial': 'base_url'}, 'get_serial_console'),
    'mks': Protocol('mks', {'webmks': 'mksproxy_base_url'}, 'get_mks_console'),
}


class ConsoleEndpoint:
    """Answers at once, whatever runs for the server."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def get_console_output(
        self, context: RequestContext, server: Server, length: int | None
    ) -> str:
        return last_lines(self._host.driver.get_console_output(server), length)

    def get_console(
        self, context: RequestContext, server: Server, protocol: str, console_type: str
    ) -> Console:
        kind = PROTOCOLS[protocol]
        options = self._host.conf[kind.group]
        if not options.enabled:
            raise exception.ConsoleTypeUnavailable(console_type=console_type)
        if console_type not in kind.base_urls:
            raise exception.ConsoleTypeInvalid(console_type=console_type)
        try:
            place = getattr(self._host.driver, kind.method)(server)
        except exception.GuestNotFound:
            raise exception.InstanceNotReady(instance_id=server.uuid) from None
        if console_type == 'spice-html5' and place.port == place.tls_port:
            # Its proxy speaks in the clear to hypervisors: no option says whom it could trust.
            raise exception.ConsoleTypeUnavailable(console_type=console_type)
        return Console(place=place, base_url=options[kind.base_urls[console_type]])

    def get_diagnostics(self, context: RequestContext, server: Server) -> Diagnostics:
        power = self._host.driver.get_power_state(server.uuid)
        if power != PowerState.RUNNING:
            raise exception.InstanceInvalidState(
                method='get_diagnostics',
                instance_uuid=server.uuid,
                attr='power state',
                state=power.text,
            )
        return self._host.driver.get_diagnostics(server)


def last_lines(log: bytes, length: int | None) -> str:
    """Return the last lines of a log (None: all, as for a negative number), as text.

    What follows the last line break counts as a line, be it nothing.
    """
    if length == 0:
        return ''
    if length is not None and length > 0:
        at = len(log)
        for _ in range(length):
            at = log.rfind(b'\n', 0, max(at, 0))
            if at < 0:
                break
        log = log[at + 1 :]
    return log.decode(errors='replace')
