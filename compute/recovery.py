"""What a starting host finds: guests of an earlier life, and records about them."""

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.objects.server import Server
from kilonova.compute.host import Host
from kilonova.compute.orphans import Orphans
from kilonova.compute.power_sync import PowerSync
from kilonova.compute.virt.driver import PowerState

LOG = logging.getLogger(__name__)


class Recovery:
    """Runs once at start, before any operation.

    Half-built and half-deleted servers are not touched here: the conductor sends their
    operations again, and building begins with removing what is there.
    """

    def __init__(self, host: Host, orphans: Orphans, power_sync: PowerSync) -> None:
        self._host, self._orphans, self._power_sync = host, orphans, power_sync

    def run(self) -> None:
        """Remove orphans, start what the host's going down has stopped, tell power states."""
        servers = self._orphans.reap()
        if self._host.conf.resume_guests_state_on_host_boot:
            self._resume(servers)
        self._power_sync.sync_at_start(servers)

    def _resume(self, servers: list[Server]) -> None:
        states = self._host.driver.get_power_states()
        for server in servers:
            was_running = (
                server.vm_state == 'active'
                and server.task_state is None
                and server.power_state == PowerState.RUNNING
            )
            if was_running and states.get(server.uuid) in (PowerState.SHUTDOWN, PowerState.CRASHED):
                self._start(server)

    def _start(self, server: Server) -> None:
        LOG.info('Server %s was running when the host went down; it is started', server.uuid)
        try:
            self._host.driver.power_on(server, server.network_info)
        except exception.KilonovaError as error:
            LOG.warning('Server %s could not be started: %s', server.uuid, error)
