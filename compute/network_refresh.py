"""Keeping what is stored of servers' ports in step with Neutron."""

from oslo_log import log as logging

from kilonova.common import context as ctx
from kilonova.common import exception
from kilonova.compute.collector import Collector
from kilonova.compute.host import Host

LOG = logging.getLogger(__name__)


class NetworkRefresh:
    """Looks at a server's ports when Neutron says so, and at one after the other regularly."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.collector = Collector('network refresh', host.operations, self._refresh_all)
        self._round: list[str] = []

    def request(self, uuid: str) -> None:
        """Have a server's ports looked at soon."""
        self.collector.hint(uuid)

    def heal_next(self) -> None:
        """Look at the ports of the next server of the round."""
        if not self._round:
            self._round = sorted(self._host.driver.list_guests())
        if self._round:
            self.request(self._round.pop(0))

    def refresh(self, uuid: str) -> bool:
        """Store what Neutron says of one server, if that is news."""
        context = ctx.get_admin_context()
        try:
            server = self._host.conductor.get_server(context, uuid)
        except exception.NotFound:
            return False
        if server.host != self._host.name or server.task_state is not None:
            return False
        found = self._host.ports.describe(server)
        if found == server.network_info:
            return False
        self._host.conductor.update_network_info(context, uuid, found, server.network_info)
        LOG.info('The ports of server %s have changed', uuid)
        return True

    def _refresh_all(self, uuids: list[str]) -> None:
        for uuid in uuids:
            try:
                self.refresh(uuid)
            except exception.KilonovaError as error:
                LOG.warning('The ports of server %s could not be looked at: %s', uuid, error)
