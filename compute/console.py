"""What a guest shows."""

from kilonova.common.context import RequestContext
from kilonova.common.objects.server import Server
from kilonova.compute.host import Host


class ConsoleEndpoint:
    """Answers at once, whatever runs for the server."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def get_console_output(
        self, context: RequestContext, server: Server, length: int | None
    ) -> str:
        return last_lines(self._host.driver.get_console_output(server), length)


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
