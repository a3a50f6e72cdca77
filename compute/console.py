"""What a guest shows, and what is known of it."""

from kilonova.common import exception
from kilonova.common.context import RequestContext
from kilonova.common.objects.diagnostics import Diagnostics
from kilonova.common.objects.server import Server
from kilonova.compute.host import Host
from kilonova.compute.virt.driver import PowerState


class ConsoleEndpoint:
    """Answers at once, whatever runs for the server."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def get_console_output(
        self, context: RequestContext, server: Server, length: int | None
    ) -> str:
        return last_lines(self._host.driver.get_console_output(server), length)

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
    """Return the last lines of a log (None: all, as for a negative number), as text."""
    if length == 0:
        return ''
    if length is not None and length > 0:
        at = len(log) - 1 if log.endswith(b'\n') else len(log)
        for _ in range(length):
            at = log.rfind(b'\n', 0, max(at, 0))
            if at < 0:
                break
        log = log[at + 1 :]
    return log.decode(errors='replace')
