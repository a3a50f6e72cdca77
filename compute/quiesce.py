"""Guests whose file systems stand still while somebody else makes snapshots of their volumes."""

import threading

from oslo_log import log as logging

from kilonova.common.context import RequestContext
from kilonova.common.objects.server import Server
from kilonova.compute.host import Host

LOG = logging.getLogger(__name__)

LONGEST = 300.0
"""Seconds after which a guest goes on by itself: who has asked may have died."""


class QuiesceEndpoint:
    """Answers at once, whatever runs for the server."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._still: dict[str, threading.Timer] = {}

    def quiesce_server(self, context: RequestContext, server: Server) -> bool:
        if not self._host.driver.quiesce(server):
            return False
        timer = threading.Timer(LONGEST, self._too_long, (server,))
        timer.daemon = True
        self._still[server.uuid] = timer
        timer.start()
        return True

    def unquiesce_server(self, context: RequestContext, server: Server) -> None:
        timer = self._still.pop(server.uuid, None)
        if timer is not None:
            timer.cancel()
        self._host.driver.unquiesce(server)

    def _too_long(self, server: Server) -> None:
        if self._still.pop(server.uuid, None) is not None:
            LOG.warning('Server %s stood still for %s s; it goes on', server.uuid, LONGEST)
            self._host.driver.unquiesce(server)
